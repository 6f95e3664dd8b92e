// Feeds mutated records to the input op's parsers and decoders; see fuzz_test.py.
//
//   fuzz SEEDS FIRST COUNT
//
// runs the mutations number FIRST to FIRST + COUNT - 1 and prints how far each got.
// A mutation is a function of its number, so that one that fails can be run alone.
//
// SEEDS holds int32 encoding, height, width, channels, length and `length` bytes of a
// framed record, over and over.
//
// The sanitizers see into this code only, not into TensorFlow's libraries. So what
// those read and write lies right at a page that may not be touched.

#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/reading/native/example.h"
#include "pipelines/reading/native/image.h"
#include "pipelines/reading/native/record.h"

namespace vae_prod {
namespace {

constexpr std::array<const char*, 3> kEncodings = {"jpeg", "png", "raw"};

// What is mutated: the framed record; its payload or image, framed anew; or the image
// with the checksums inside of it made good.
enum Part { kFrame, kPayload, kImage, kMendedImage, kNumParts };
constexpr std::array<const char*, kNumParts> kParts = {"frame", "payload", "image",
                                                       "mended image"};
// How far a record got.
enum Outcome { kNoRecord, kNoExample, kNoImage, kAccepted, kNumOutcomes };

uint64_t current = 0;

void SayWhich() { std::fprintf(stderr, "\nmutation %lu\n", current); }

[[noreturn]] void Die(const char* reason) {
  std::fprintf(stderr, "%s\n", reason);
  SayWhich();
  std::abort();
}

// Bytes between two pages that may not be touched.
class Guarded {
 public:
  explicit Guarded(size_t capacity)
      : page_(sysconf(_SC_PAGESIZE)), inner_((capacity + page_ - 1) / page_ * page_) {
    void* all = mmap(nullptr, inner_ + 2 * page_, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) Die("no memory");
    begin_ = static_cast<char*>(all) + page_;
    if (mprotect(begin_, inner_, PROT_READ | PROT_WRITE)) Die("no memory");
  }

  // Returns `size` bytes that begin or end at a guard page.
  char* Take(size_t size, bool at_end) {
    if (size > inner_) Die("a buffer is too small");
    return at_end ? begin_ + inner_ - size : begin_;
  }

 private:
  size_t page_;
  size_t inner_;
  char* begin_;
};

struct Seed {
  ImageSpec spec;
  std::string framed;
  std::string payload;
  std::string image;
};

class Mutator {
 public:
  Mutator(uint64_t number, const std::vector<Seed>& seeds)
      : random_(number), seeds_(seeds) {}

  size_t Below(size_t limit) { return limit ? random_() % limit : 0; }

  std::string Mutate(std::string data, std::string Seed::*same) {
    for (size_t i = 0, times = 1 + Below(4); i < times; ++i) Once(&data, same);
    return data;
  }

 private:
  void Once(std::string* data, std::string Seed::*same) {
    // Headers are short and decide the most.
    const size_t reach = Below(2) ? std::min<size_t>(data->size(), 64) : data->size();
    const size_t at = Below(reach);
    switch (Below(7)) {
      case 0:
        if (!data->empty()) (*data)[at] ^= 1 << Below(8);
        break;
      case 1:
        if (!data->empty()) (*data)[at] = static_cast<char>(random_());
        break;
      case 2:
        data->resize(Below(2) ? at : data->size() - std::min(data->size(), Below(8)));
        break;
      case 3:
        data->insert(at, std::string(1 + Below(16), static_cast<char>(random_())));
        break;
      case 4:
        data->erase(at, 1 + Below(16));
        break;
      case 5: {
        const std::string& other = seeds_[Below(seeds_.size())].*same;
        const size_t from = Below(other.size());
        const size_t length = Below(2) ? 64 : std::string::npos;
        data->replace(at, Below(64), other.substr(from, length));
        break;
      }
      case 6: {
        static constexpr uint64_t kExtremes[] = {
            0,           1,          0x7f,          0x80,
            0xff,        0x7fff,     0xffff,        0x7fffffff,
            0x80000000,  0xffffffff, 0xfffffff0,    ~uint64_t{0},
            ~uint64_t{15}, uint64_t{1} << 63};
        uint64_t value = kExtremes[Below(std::size(kExtremes))];
        char bytes[10];
        size_t length = size_t{1} << Below(4);
        if (Below(3) == 0) {
          length = 0;
          do {
            bytes[length++] = static_cast<char>((value & 0x7f) | (value > 127) << 7);
          } while (value >>= 7);
        } else {
          std::memcpy(bytes, &value, length);
          if (Below(2)) std::reverse(bytes, bytes + length);
        }
        data->replace(at, length, bytes, length);
        break;
      }
    }
  }

  std::mt19937_64 random_;
  const std::vector<Seed>& seeds_;
};

std::string Delimited(int field, std::string_view bytes) {
  std::string out(1, static_cast<char>(field << 3 | 2));
  for (size_t left = bytes.size();; left >>= 7) {
    out += static_cast<char>((left & 0x7f) | (left > 127) << 7);
    if (left <= 127) break;
  }
  return out.append(bytes);
}

std::string MakeExample(std::string_view image) {
  const std::string feature = Delimited(1, Delimited(1, image));
  const std::string pair = Delimited(1, "image") + Delimited(2, feature);
  return Delimited(1, Delimited(1, pair));
}

std::string MakeFrame(std::string_view payload) {
  const auto append = [](std::string* out, std::string_view bytes) {
    const uint32_t crc = tensorflow::crc32c::Value(bytes.data(), bytes.size());
    tensorflow::core::PutFixed32(out, tensorflow::crc32c::Mask(crc));
  };
  std::string framed;
  tensorflow::core::PutFixed64(&framed, payload.size());
  append(&framed, std::string(framed));
  framed.append(payload);
  append(&framed, payload);
  return framed;
}

// Makes the checksum of each of a PNG's chunks good.
void MendPng(std::string* png) {
  const auto big_endian = [&](size_t at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      value = value << 8 | static_cast<uint8_t>((*png)[at + i]);
    }
    return value;
  };
  for (size_t at = 8; at + 12 <= png->size();) {
    const size_t end = at + 8 + big_endian(at);
    if (end + 4 > png->size()) return;
    uint32_t crc = ~0u;
    for (size_t i = at + 4; i < end; ++i) {
      crc ^= static_cast<uint8_t>((*png)[i]);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; ++i) {
      (*png)[end + i] = static_cast<char>(~crc >> (24 - 8 * i));
    }
    at = end + 4;
  }
}

class Fuzzer {
 public:
  explicit Fuzzer(std::vector<Seed> seeds) : seeds_(std::move(seeds)) {}

  // Runs a mutation and counts its outcome.
  void Run(uint64_t number) {
    current = number;
    Mutator mutator(number, seeds_);
    const Seed& seed = seeds_[mutator.Below(seeds_.size())];
    const auto part = static_cast<Part>(mutator.Below(kNumParts));
    const Outcome outcome = Try(seed.spec, Mutated(seed, part, &mutator), &mutator);
    ++counts_[static_cast<int>(seed.spec.encoding)][part][outcome];
  }

  // Whether the seeds as they are pass.
  void CheckSeeds() {
    Mutator mutator(0, seeds_);
    for (const Seed& seed : seeds_) {
      if (Try(seed.spec, seed.framed, &mutator) != kAccepted) Die("a seed is refused");
      if (Try(seed.spec, MakeFrame(MakeExample(seed.image)), &mutator) != kAccepted) {
        Die("a seed is refused when framed anew");
      }
    }
  }

  void Print() const {
    std::printf("encoding,mutated,records,no record,no example,no image,accepted\n");
    for (size_t e = 0; e < kEncodings.size(); ++e) {
      for (size_t p = 0; p < kNumParts; ++p) {
        uint64_t sum = 0;
        for (const uint64_t count : counts_[e][p]) sum += count;
        std::printf("%s,%s,%lu", kEncodings[e], kParts[p], sum);
        for (const uint64_t count : counts_[e][p]) std::printf(",%lu", count);
        std::printf("\n");
      }
    }
  }

 private:
  static std::string Mutated(const Seed& seed, Part part, Mutator* mutator) {
    if (part == kFrame) return mutator->Mutate(seed.framed, &Seed::framed);
    if (part == kPayload) {
      return MakeFrame(mutator->Mutate(seed.payload, &Seed::payload));
    }
    std::string image = mutator->Mutate(seed.image, &Seed::image);
    if (part == kMendedImage && seed.spec.encoding == Encoding::kPng) MendPng(&image);
    return MakeFrame(MakeExample(image));
  }

  Outcome Try(const ImageSpec& spec, const std::string& framed, Mutator* mutator) {
    // Once on the heap, where the sanitizers see our own code's slips ...
    const std::vector<char> exact(framed.begin(), framed.end());
    std::string_view payload, data;
    if (Checksum({exact.data(), exact.size()}) !=
        tensorflow::crc32c::Value(exact.data(), exact.size())) {
      Die("the checksum isn't TensorFlow's");
    }
    const bool whole = FindPayload({exact.data(), exact.size()}, &payload);
    const bool found = whole && FindBytes(payload, "image", &data);
    // (the parser must also stand what the checksum would keep from it)
    std::string_view ignored;
    FindBytes({exact.data(), exact.size()}, "image", &ignored);
    if (!whole) return kNoRecord;
    if (!found) return kNoExample;
    // ... then between guard pages, where the decoders' slips show.
    char* input = input_.Take(data.size(), mutator->Below(4) != 0);
    std::copy(data.begin(), data.end(), input);
    char* pixels = pixels_.Take(spec.size(), mutator->Below(4) != 0);
    const auto decode = [&](int fill) {
      std::memset(pixels, fill, spec.size());
      auto* out = reinterpret_cast<uint8_t*>(pixels);
      return DecodeImage(spec, {input, data.size()}, out);
    };
    const uint8_t* image = decode(0);
    if (!image) return kNoImage;
    const std::vector<uint8_t> first(image, image + spec.size());
    image = decode(255);
    if (!image || !std::equal(first.begin(), first.end(), image)) {
      Die("an accepted image isn't written in whole");
    }
    PlaceAnywhere<uint8_t>(spec, image, mutator);
    PlaceAnywhere<float>(spec, image, mutator);
    return kAccepted;
  }

  template <typename T>
  void PlaceAnywhere(const ImageSpec& spec, const uint8_t* image, Mutator* mutator) {
    Window window;
    window.height = 1 + mutator->Below(spec.height);
    window.width = 1 + mutator->Below(spec.width);
    window.top = mutator->Below(spec.height - window.height + 1);
    window.left = mutator->Below(spec.width - window.width + 1);
    const std::vector<T> table(256);
    // Exact, for the sanitizers.
    std::vector<T> out(size_t{1} * window.height * window.width * spec.channels);
    Place(spec, window, image, mutator->Below(2) != 0, table.data(), out.data());
  }

  std::vector<Seed> seeds_;
  Guarded input_{1 << 22};
  Guarded pixels_{1 << 22};
  std::array<std::array<std::array<uint64_t, kNumOutcomes>, kNumParts>, 3> counts_ = {};
};

std::vector<Seed> ReadSeeds(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<Seed> seeds;
  int32_t head[5];
  while (file.read(reinterpret_cast<char*>(head), sizeof head)) {
    Seed seed;
    seed.spec = {head[1], head[2], head[3], static_cast<Encoding>(head[0])};
    seed.framed.resize(head[4]);
    file.read(seed.framed.data(), head[4]);
    std::string_view payload, image;
    if (!FindPayload(seed.framed, &payload) || !FindBytes(payload, "image", &image)) {
      Die("a seed is no record");
    }
    seed.payload = payload;
    seed.image = image;
    seeds.push_back(std::move(seed));
  }
  if (seeds.empty()) Die("no seeds");
  return seeds;
}

}  // namespace
}  // namespace vae_prod

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  __sanitizer_set_death_callback(vae_prod::SayWhich);
  vae_prod::Fuzzer fuzzer(vae_prod::ReadSeeds(argv[1]));
  fuzzer.CheckSeeds();
  const uint64_t first = std::strtoull(argv[2], nullptr, 10);
  const uint64_t count = std::strtoull(argv[3], nullptr, 10);
  for (uint64_t i = first; i < first + count; ++i) fuzzer.Run(i);
  fuzzer.Print();
}
