// The CPU kernels of the input ops: a batch is shared out over TensorFlow's threads,
// and each example goes from its bytes to its place in the batch at once.

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "example.h"
#include "image.h"
#include "ops.h"
#include "record.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/env.h"

namespace vae_prod {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::RandomAccessFile;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::tstring;

constexpr char kImageFeature[] = "image";
// Of an op; a process has several, and opens other files beside them.
constexpr size_t kMaxOpenFiles = 256;
constexpr size_t kShareOfOpenFiles = 8;
constexpr int64_t kMaxRecordBytes = int64_t{1} << 30;
constexpr int64_t kMaxOffset = int64_t{1} << 60;
// Rough cycles for one image; TensorFlow shares a batch out by them.
constexpr int64_t kCyclesRaw = 40'000;
constexpr int64_t kCyclesDecoded = 500'000;

// How many files an op keeps open, within what the process may (`ulimit -n`).
size_t OpenFiles() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  const size_t share = std::min<rlim_t>(limit.rlim_cur, 1 << 20) / kShareOfOpenFiles;
  return std::clamp<size_t>(share, 1, kMaxOpenFiles);
}

// Opens each file once and keeps the latest ones open. Safe for concurrent use.
class Files {
 public:
  absl::Status Get(const tstring& path, std::shared_ptr<RandomAccessFile>* file) {
    absl::MutexLock lock(&mutex_);
    const std::string name(path);
    const auto found = open_.find(name);
    if (found != open_.end()) {
      *file = found->second;
      return absl::OkStatus();
    }
    while (names_.size() >= limit_) Close();
    std::unique_ptr<RandomAccessFile> opened;
    absl::Status status = Open(name, &opened);
    while (absl::IsResourceExhausted(status) && !names_.empty()) {
      Close();  // Others hold more than their share.
      status = Open(name, &opened);
    }
    TF_RETURN_IF_ERROR(status);
    names_.push_back(name);
    *file = open_[name] = std::move(opened);
    return absl::OkStatus();
  }

 private:
  static absl::Status Open(const std::string& name,
                           std::unique_ptr<RandomAccessFile>* file) {
    return tensorflow::Env::Default()->NewRandomAccessFile(name, file);
  }

  // Lets go of the file opened first; readers that still use it keep it alive.
  void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    open_.erase(names_.front());
    names_.pop_front();
  }

  const size_t limit_ = OpenFiles();
  absl::Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<RandomAccessFile>> open_
      ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

// Memory that is used over and over, and left as it is.
class Buffer {
 public:
  char* Take(size_t size) {
    if (size > size_) {
      bytes_.reset(new char[size]);
      size_ = size;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
};

// What an example needs while it is worked on; one for each thread's share.
struct Scratch {
  Buffer record;
  Buffer pixels;
};

// The part both ops have in common: from payloads to a batch of images.
template <typename T>
class ImagesOp : public OpKernel {
 public:
  explicit ImagesOp(OpKernelConstruction* context) : OpKernel(context) {
    std::string encoding;
    std::vector<int> stored, window;
    OP_REQUIRES_OK(context, context->GetAttr("encoding", &encoding));
    OP_REQUIRES_OK(context, context->GetAttr("stored_shape", &stored));
    OP_REQUIRES_OK(context, context->GetAttr("window", &window));
    OP_REQUIRES(context, stored.size() == 3 && window.size() == 2,
                absl::InvalidArgumentError("stored_shape or window has another rank"));
    spec_ = {stored[0], stored[1], stored[2],
             encoding == "jpeg"  ? Encoding::kJpeg
             : encoding == "png" ? Encoding::kPng
                                 : Encoding::kRaw};
    height_ = window[0];
    width_ = window[1];
    OP_REQUIRES(context,
                0 < height_ && height_ <= spec_.height && 0 < width_ &&
                    width_ <= spec_.width,
                absl::InvalidArgumentError("the window is larger than the image"));
    OP_REQUIRES(context, spec_.channels == 1 || spec_.channels == 3,
                absl::InvalidArgumentError("images must have 1 or 3 channels"));
    OP_REQUIRES(context, spec_.size() <= kMaxImageBytes,
                absl::InvalidArgumentError("images are too large"));
    for (int i = 0; i < 256; ++i) table_[i] = static_cast<T>(i / 255.0f);
  }

 protected:
  // The tensors of one call. Each example writes its own part of the outputs.
  struct Batch {
    int64_t size;
    const bool* mirrored;
    const int32_t* corners;
    T* images;
    bool* ok;
  };

  // Checks the inputs from `first` on (mirrored, corners) and makes the outputs.
  absl::Status Begin(OpKernelContext* context, int64_t size, int first, Batch* batch) {
    const Tensor& mirrored = context->input(first);
    const Tensor& corners = context->input(first + 1);
    if (mirrored.shape() != TensorShape({size}) ||
        corners.shape() != TensorShape({size, 2})) {
      return absl::InvalidArgumentError(
          "mirrored must be [B] and corners [B, 2], B being the number of records");
    }
    const auto corner = corners.matrix<int32_t>();
    for (int64_t i = 0; i < size; ++i) {
      if (corner(i, 0) < 0 || corner(i, 0) > spec_.height - height_ ||
          corner(i, 1) < 0 || corner(i, 1) > spec_.width - width_) {
        return absl::InvalidArgumentError("a window lies outside of its image");
      }
    }
    Tensor *images, *ok;
    TF_RETURN_IF_ERROR(context->allocate_output(
        0, TensorShape({size, height_, width_, spec_.channels}), &images));
    TF_RETURN_IF_ERROR(context->allocate_output(1, TensorShape({size}), &ok));
    *batch = {size, mirrored.flat<bool>().data(), corners.flat<int32_t>().data(),
              images->flat<T>().data(), ok->flat<bool>().data()};
    return absl::OkStatus();
  }

  // Places the image of a payload, or zeros where it can't be used.
  void Finish(const Batch& batch, int64_t i, bool whole, std::string_view payload,
              Scratch* scratch) const {
    T* out = batch.images + i * height_ * width_ * spec_.channels;
    std::string_view data;
    const uint8_t* pixels = nullptr;
    if (whole && FindBytes(payload, kImageFeature, &data)) {
      const size_t size = spec_.encoding == Encoding::kRaw ? 0 : spec_.size();
      char* buffer = scratch->pixels.Take(size);
      pixels = DecodeImage(spec_, data, reinterpret_cast<uint8_t*>(buffer));
    }
    batch.ok[i] = pixels != nullptr;
    if (!pixels) {
      std::fill_n(out, height_ * width_ * spec_.channels, T(0));
      return;
    }
    const Window window = {batch.corners[2 * i], batch.corners[2 * i + 1], height_,
                           width_};
    Place(spec_, window, pixels, batch.mirrored[i], table_.data(), out);
  }

  // Calls `work(i, scratch)` for each example of the batch, in parallel.
  template <typename Work>
  void ForEach(OpKernelContext* context, int64_t size, const Work& work) const {
    const auto cost = spec_.encoding == Encoding::kRaw ? kCyclesRaw : kCyclesDecoded;
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
        size, cost, [&](int64_t begin, int64_t end) {
          Scratch scratch;
          for (int64_t i = begin; i < end; ++i) work(i, &scratch);
        });
  }

 private:
  ImageSpec spec_;
  int height_;
  int width_;
  // What the 256 bytes become, other than in bytes.
  std::array<T, 256> table_;
};

template <typename T>
class ReadImagesOp : public ImagesOp<T> {
 public:
  explicit ReadImagesOp(OpKernelConstruction* context) : ImagesOp<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("keep_serialized", &keep_serialized_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& paths = context->input(0);
    const Tensor& rows = context->input(1);
    OP_REQUIRES(context, paths.dims() == 1 && rows.dims() == 2 && rows.dim_size(1) == 3,
                absl::InvalidArgumentError("paths must be [S] and rows [B, 3]"));
    const int64_t size = rows.dim_size(0);
    const auto row = rows.matrix<int64_t>();
    for (int64_t i = 0; i < size; ++i) {
      OP_REQUIRES(context, 0 <= row(i, 0) && row(i, 0) < paths.dim_size(0),
                  absl::InvalidArgumentError("a row names a shard that isn't there"));
    }
    typename ImagesOp<T>::Batch batch;
    OP_REQUIRES_OK(context, this->Begin(context, size, 2, &batch));
    Tensor* serialized;
    OP_REQUIRES_OK(context,
                   context->allocate_output(
                       2, TensorShape({keep_serialized_ ? size : 0}), &serialized));
    tstring* kept = keep_serialized_ ? serialized->flat<tstring>().data() : nullptr;
    const auto path = paths.vec<tstring>();
    absl::Mutex mutex;
    absl::Status status;
    this->ForEach(context, size, [&](int64_t i, Scratch* scratch) {
      std::string_view payload;
      bool whole = false;
      absl::Status read = Read(path(row(i, 0)), row(i, 1), row(i, 2), scratch, &payload,
                               &whole);
      if (!read.ok()) {
        absl::MutexLock lock(&mutex);
        status.Update(read);
      }
      if (kept && whole) kept[i].assign(payload.data(), payload.size());
      this->Finish(batch, i, whole, payload, scratch);
    });
    OP_REQUIRES_OK(context, status);
  }

 private:
  // Reads a record. A file that can't be read is an error; one that ends too early or
  // holds something else is a record that isn't `whole`.
  absl::Status Read(const tstring& path, int64_t offset, int64_t length,
                    Scratch* scratch, std::string_view* payload, bool* whole) {
    const auto header = static_cast<int64_t>(kRecordHeader);
    if (offset < header || offset > kMaxOffset || length < 0 ||
        length > kMaxRecordBytes) {
      return absl::OkStatus();
    }
    std::shared_ptr<RandomAccessFile> file;
    TF_RETURN_IF_ERROR(files_.Get(path, &file));
    const size_t size = kRecordHeader + length + kRecordFooter;
    absl::string_view framed;
    const absl::Status read = file->Read(
        offset - header, framed, absl::MakeSpan(scratch->record.Take(size), size));
    if (absl::IsOutOfRange(read)) return absl::OkStatus();
    TF_RETURN_IF_ERROR(read);
    *whole = framed.size() == size &&
             FindPayload({framed.data(), framed.size()}, payload);
    return absl::OkStatus();
  }

  Files files_;
  bool keep_serialized_;
};

template <typename T>
class DecodeImagesOp : public ImagesOp<T> {
 public:
  using ImagesOp<T>::ImagesOp;

  void Compute(OpKernelContext* context) override {
    const Tensor& serialized = context->input(0);
    OP_REQUIRES(context, serialized.dims() == 1,
                absl::InvalidArgumentError("serialized must be [B]"));
    const auto payload = serialized.vec<tstring>();
    typename ImagesOp<T>::Batch batch;
    OP_REQUIRES_OK(context, this->Begin(context, payload.size(), 1, &batch));
    this->ForEach(context, batch.size, [&](int64_t i, Scratch* scratch) {
      this->Finish(batch, i, true, {payload(i).data(), payload(i).size()}, scratch);
    });
  }
};

#define REGISTER(T)                                                             \
  REGISTER_KERNEL_BUILDER(Name("VaeProdReadImages")                             \
                              .Device(tensorflow::DEVICE_CPU)                   \
                              .TypeConstraint<T>("dtype"),                      \
                          ReadImagesOp<T>);                                     \
  REGISTER_KERNEL_BUILDER(Name("VaeProdDecodeImages")                           \
                              .Device(tensorflow::DEVICE_CPU)                   \
                              .TypeConstraint<T>("dtype"),                      \
                          DecodeImagesOp<T>);

REGISTER(uint8_t)
REGISTER(float)
REGISTER(Eigen::bfloat16)
#undef REGISTER

}  // namespace
}  // namespace vae_prod
