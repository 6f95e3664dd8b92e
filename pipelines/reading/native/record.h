// The framing of a record in a TFRecord file: length and its checksum before the
// payload, the payload's checksum after it.
//
// https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

#ifndef VAE_PROD_PIPELINES_NATIVE_RECORD_H_
#define VAE_PROD_PIPELINES_NATIVE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "absl/crc/crc32c.h"
#include "tensorflow/core/lib/core/coding.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace vae_prod {

constexpr size_t kRecordHeader = 12;
constexpr size_t kRecordFooter = 4;

#if defined(__x86_64__)
// TensorFlow's checksum knows which processors are fast by name and takes its time on
// others. Three sums side by side keep the instruction busy on all of them.
__attribute__((target("sse4.2"))) inline uint32_t ThreeChecksums(
    std::string_view data) {
  const size_t part = data.size() / 24 * 8;
  const char* at = data.data();
  uint64_t sums[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  for (size_t i = 0; i < part; i += 8) {
    for (int k = 0; k < 3; ++k) {
      uint64_t word;
      std::memcpy(&word, at + k * part + i, sizeof word);
      sums[k] = _mm_crc32_u64(sums[k], word);
    }
  }
  for (size_t i = 3 * part; i < data.size(); ++i) {
    sums[2] = _mm_crc32_u8(static_cast<uint32_t>(sums[2]), at[i]);
  }
  const auto sum = [&](int k) {
    return absl::crc32c_t(~static_cast<uint32_t>(sums[k]));
  };
  const absl::crc32c_t first = absl::ConcatCrc32c(sum(0), sum(1), part);
  return static_cast<uint32_t>(
      absl::ConcatCrc32c(first, sum(2), data.size() - 2 * part));
}
#endif

inline uint32_t Checksum(std::string_view data) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ThreeChecksums(data);
#endif
  return tensorflow::crc32c::Value(data.data(), data.size());
}

// Whether the four bytes at `stored` are the masked CRC-32C of `data`.
inline bool ChecksumFits(std::string_view data, const char* stored) {
  return tensorflow::core::DecodeFixed32(stored) ==
         tensorflow::crc32c::Mask(Checksum(data));
}

// Finds the payload of a framed record; false where length or checksums differ.
inline bool FindPayload(std::string_view framed, std::string_view* payload) {
  if (framed.size() < kRecordHeader + kRecordFooter) return false;
  const char* data = framed.data();
  const size_t length = framed.size() - kRecordHeader - kRecordFooter;
  if (tensorflow::core::DecodeFixed64(data) != length) return false;
  if (!ChecksumFits({data, 8}, data + 8)) return false;
  *payload = {data + kRecordHeader, length};
  return ChecksumFits(*payload, data + kRecordHeader + length);
}

}  // namespace vae_prod

#endif  // VAE_PROD_PIPELINES_NATIVE_RECORD_H_
