// The framing of a record in a TFRecord file: length and its checksum before the
// payload, the payload's checksum after it.
//
// https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

#ifndef VAE_PROD_PIPELINES_NATIVE_RECORD_H_
#define VAE_PROD_PIPELINES_NATIVE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tensorflow/core/lib/core/coding.h"
#include "tensorflow/core/lib/hash/crc32c.h"

namespace vae_prod {

constexpr size_t kRecordHeader = 12;
constexpr size_t kRecordFooter = 4;

// Whether the four bytes at `stored` are the masked CRC-32C of `data`.
inline bool ChecksumFits(std::string_view data, const char* stored) {
  const uint32_t crc = tensorflow::crc32c::Value(data.data(), data.size());
  return tensorflow::core::DecodeFixed32(stored) == tensorflow::crc32c::Mask(crc);
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
