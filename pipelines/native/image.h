// Decodes one stored image and places a window of it in a batch.

#ifndef VAE_PROD_PIPELINES_NATIVE_IMAGE_H_
#define VAE_PROD_PIPELINES_NATIVE_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "tensorflow/core/lib/jpeg/jpeg_mem.h"
#include "tensorflow/core/lib/png/png_io.h"

namespace vae_prod {

enum class Encoding { kJpeg, kPng, kRaw };

// An image as stored: uint8 [height, width, channels].
struct ImageSpec {
  int height;
  int width;
  int channels;
  Encoding encoding;

  size_t size() const { return size_t{1} * height * width * channels; }
};

// The part of an image that is kept.
struct Window {
  int top;
  int left;
  int height;
  int width;
};

inline bool DecodeJpeg(const ImageSpec& spec, std::string_view data, uint8_t* pixels) {
  tensorflow::jpeg::UncompressFlags flags;
  flags.components = spec.channels;
  flags.dct_method = JDCT_ISLOW;  // As dct_method="INTEGER_ACCURATE".
  const auto place = [&](int width, int height, int channels) -> uint8_t* {
    const bool fits = width == spec.width && height == spec.height &&
                      channels == spec.channels;
    return fits ? pixels : nullptr;
  };
  return tensorflow::jpeg::Uncompress(data.data(), static_cast<int>(data.size()),
                                      flags, nullptr, place) != nullptr;
}

inline bool DecodePng(const ImageSpec& spec, std::string_view data, uint8_t* pixels) {
  tensorflow::png::DecodeContext context;
  if (!tensorflow::png::CommonInitDecode(data, spec.channels, 8, &context)) {
    return false;
  }
  if (context.width != static_cast<uint32_t>(spec.width) ||
      context.height != static_cast<uint32_t>(spec.height)) {
    tensorflow::png::CommonFreeDecode(&context);
    return false;
  }
  return tensorflow::png::CommonFinishDecode(pixels, spec.width * spec.channels,
                                             &context);
}

// Decodes an image into `buffer` (spec.size() bytes), or finds it as it is where it
// is stored raw. Null where it is damaged or of another size.
inline const uint8_t* DecodeImage(const ImageSpec& spec, std::string_view data,
                                  uint8_t* buffer) {
  switch (spec.encoding) {
    case Encoding::kJpeg:
      return DecodeJpeg(spec, data, buffer) ? buffer : nullptr;
    case Encoding::kPng:
      return DecodePng(spec, data, buffer) ? buffer : nullptr;
    case Encoding::kRaw:
      if (data.size() != spec.size()) return nullptr;
      return reinterpret_cast<const uint8_t*>(data.data());
  }
  return nullptr;
}

// Copies one row, from the right to the left if `mirrored`; `table` gives the 256
// values of an element.
template <int channels, typename T>
void PlaceRow(const uint8_t* row, int width, bool mirrored, const T* table, T* out) {
  if (!mirrored) {
    for (int i = 0; i < width * channels; ++i) out[i] = table[row[i]];
    return;
  }
  for (const uint8_t* pixel = row + (width - 1) * channels; pixel >= row;
       pixel -= channels, out += channels) {
    for (int c = 0; c < channels; ++c) out[c] = table[pixel[c]];
  }
}

template <int channels>
void PlaceRow(const uint8_t* row, int width, bool mirrored, uint8_t* out) {
  if (!mirrored) {
    std::memcpy(out, row, size_t{1} * width * channels);
    return;
  }
  for (int x = 0; x < width; ++x) {
    std::memcpy(out + x * channels, row + (width - 1 - x) * channels, channels);
  }
}

template <int channels, typename T>
void PlaceRows(const ImageSpec& spec, const Window& window, const uint8_t* pixels,
               bool mirrored, const T* table, T* out) {
  for (int y = 0; y < window.height; ++y, out += window.width * channels) {
    const uint8_t* row =
        pixels + ((window.top + y) * spec.width + window.left) * channels;
    if constexpr (std::is_same_v<T, uint8_t>) {
      PlaceRow<channels>(row, window.width, mirrored, out);
    } else {
      PlaceRow<channels>(row, window.width, mirrored, table, out);
    }
  }
}

// Copies a window of an image to `out`, mirrored left to right if asked. The values
// are those of `table`; bytes stay as they are.
template <typename T>
void Place(const ImageSpec& spec, const Window& window, const uint8_t* pixels,
           bool mirrored, const T* table, T* out) {
  if (spec.channels == 1) {
    PlaceRows<1>(spec, window, pixels, mirrored, table, out);
  } else {
    PlaceRows<3>(spec, window, pixels, mirrored, table, out);
  }
}

}  // namespace vae_prod

#endif  // VAE_PROD_PIPELINES_NATIVE_IMAGE_H_
