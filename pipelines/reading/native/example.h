// Finds a feature's bytes in a serialized tf.train.Example, without copying and
// without protobuf. Every read is checked against the end: the input may be anything.
//
// Wire format: https://protobuf.dev/programming-guides/encoding
// Messages: tensorflow/core/example/{example,feature}.proto

#ifndef VAE_PROD_PIPELINES_NATIVE_EXAMPLE_H_
#define VAE_PROD_PIPELINES_NATIVE_EXAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vae_prod {

// Walks the fields of one message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // Goes to the next field; false at the end, and where the message is malformed.
  bool Next() {
    if (rest_.empty()) return false;
    uint64_t tag;
    if (!Varint(&tag) || tag >> 3 == 0 || tag > UINT32_MAX) return Fail();
    number_ = static_cast<uint32_t>(tag >> 3);
    delimited_ = (tag & 7) == 2;
    uint64_t length = 0;
    switch (tag & 7) {
      case 0:
        return Varint(&length) || Fail();
      case 1:
        return Take(8) || Fail();
      case 2:
        return (Varint(&length) && Take(length)) || Fail();
      case 5:
        return Take(4) || Fail();
      default:
        return Fail();
    }
  }

  // Whether the current field is the length-delimited field of this number.
  bool Is(uint32_t number) const { return delimited_ && number_ == number; }
  std::string_view bytes() const { return bytes_; }
  // False once the message has turned out to be malformed.
  bool ok() const { return ok_; }

 private:
  bool Fail() {
    ok_ = false;
    rest_ = {};
    return false;
  }

  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return true;
    }
    return false;
  }

  bool Take(uint64_t length) {
    if (length > rest_.size()) return false;
    bytes_ = rest_.substr(0, static_cast<size_t>(length));
    rest_.remove_prefix(static_cast<size_t>(length));
    return true;
  }

  std::string_view rest_;
  std::string_view bytes_;
  uint32_t number_ = 0;
  bool delimited_ = false;
  bool ok_ = true;
};

// Reads a Feature that must hold one value of bytes.
inline bool SingleBytes(std::string_view feature, std::string_view* value) {
  int count = 0;
  Fields kinds(feature);
  while (kinds.Next()) {
    if (!kinds.Is(1)) continue;  // bytes_list
    Fields values(kinds.bytes());
    while (values.Next()) {
      if (!values.Is(1)) continue;
      *value = values.bytes();
      ++count;
    }
    if (!values.ok()) return false;
  }
  return kinds.ok() && count == 1;
}

// Finds the feature `name`, which must hold one value of bytes. False where there is
// none or the Example is malformed.
inline bool FindBytes(std::string_view example, std::string_view name,
                      std::string_view* value) {
  bool found = false;
  Fields top(example);
  while (top.Next()) {
    if (!top.Is(1)) continue;  // features
    Fields entries(top.bytes());
    while (entries.Next()) {
      if (!entries.Is(1)) continue;  // an entry of the map
      std::string_view key, feature;
      Fields pair(entries.bytes());
      while (pair.Next()) {
        if (pair.Is(1)) key = pair.bytes();
        if (pair.Is(2)) feature = pair.bytes();
      }
      if (!pair.ok()) return false;
      // Of entries with the same key the last one counts.
      if (key == name) found = SingleBytes(feature, value);
    }
    if (!entries.ok()) return false;
  }
  return top.ok() && found;
}

}  // namespace vae_prod

#endif  // VAE_PROD_PIPELINES_NATIVE_EXAMPLE_H_
