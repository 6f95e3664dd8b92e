// Decodes one stored image and places a window of it in a batch.

#ifndef VAE_PROD_PIPELINES_NATIVE_IMAGE_H_
#define VAE_PROD_PIPELINES_NATIVE_IMAGE_H_

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tensorflow/core/lib/jpeg/jpeg_mem.h"
#include "tensorflow/core/lib/png/png_io.h"

namespace vae_prod {

enum class Encoding { kJpeg, kPng, kRaw };

// As TensorFlow's own limit. Sizes and positions in an image then fit an int.
constexpr size_t kMaxImageBytes = size_t{1} << 29;

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
  // The header is looked at first: to decode an image that claims to be huge could
  // take gigabytes.
  int width, height, components;
  if (!tensorflow::jpeg::GetImageInfo(data.data(), static_cast<int>(data.size()),
                                      &width, &height, &components) ||
      width != spec.width || height != spec.height) {
    return false;
  }
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
  if (data.size() > INT_MAX) return nullptr;  // The decoders count in ints.
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

// Copies a row's pixels from the right to the left.
template <int channels>
void MirrorRow(const uint8_t* row, int width, uint8_t* out) {
  const uint8_t* pixel = row + (width - 1) * channels;
  std::memcpy(out, pixel, channels);
  for (int x = 1; x < width; ++x) {
    out += channels;
    pixel -= channels;
    // Four bytes move faster than three; the next pixel covers the fourth.
    constexpr int kAtOnce = channels == 3 ? 4 : channels;
    std::memcpy(out, pixel, x + 1 < width ? kAtOnce : channels);
  }
}

template <int channels, typename T>
void PlaceRows(const ImageSpec& spec, const Window& window, const uint8_t* pixels,
               bool mirrored, const T* table, T* out) {
  const int size = window.width * channels;
  std::vector<uint8_t> turned(mirrored ? size : 0);
  for (int y = 0; y < window.height; ++y, out += size) {
    const uint8_t* row =
        pixels + ((window.top + y) * spec.width + window.left) * channels;
    if (mirrored) {
      MirrorRow<channels>(row, window.width, turned.data());
      row = turned.data();
    }
    if constexpr (std::is_same_v<T, uint8_t>) {
      std::memcpy(out, row, size);
    } else {
      for (int i = 0; i < size; ++i) out[i] = table[row[i]];
    }
  }
}

// Copies a window of an image to `out`, mirrored left to right if asked.
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
