// Registration of the input ops, with their shape functions. Included by the kernels
// alone: one unit compiles in half the time of two.

#ifndef VAE_PROD_PIPELINES_NATIVE_OPS_H_
#define VAE_PROD_PIPELINES_NATIVE_OPS_H_

#include <vector>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace vae_prod {
namespace {

using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// Checks `mirrored` [B] and `corners` [B, 2] and sets `images` and `ok`.
absl::Status SetImages(InferenceContext* c, DimensionHandle batch, int first_window) {
  ShapeHandle mirrored, corners;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(first_window), 1, &mirrored));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(first_window + 1), 2, &corners));
  TF_RETURN_IF_ERROR(c->Merge(batch, c->Dim(mirrored, 0), &batch));
  TF_RETURN_IF_ERROR(c->Merge(batch, c->Dim(corners, 0), &batch));
  std::vector<int> stored, window;
  TF_RETURN_IF_ERROR(c->GetAttr("stored_shape", &stored));
  TF_RETURN_IF_ERROR(c->GetAttr("window", &window));
  if (stored.size() != 3 || window.size() != 2) {
    return absl::InvalidArgumentError(
        "stored_shape must be [height, width, channels], window [height, width].");
  }
  c->set_output(0, c->MakeShape({batch, c->MakeDim(window[0]), c->MakeDim(window[1]),
                                 c->MakeDim(stored[2])}));
  c->set_output(1, c->Vector(batch));
  return absl::OkStatus();
}

REGISTER_OP("VaeProdReadImages")
    .Input("paths: string")
    .Input("rows: int64")
    .Input("mirrored: bool")
    .Input("corners: int32")
    .Output("images: dtype")
    .Output("ok: bool")
    .Output("serialized: string")
    .Attr("dtype: {uint8, float, bfloat16}")
    .Attr("encoding: {'jpeg', 'png', 'raw'}")
    .Attr("stored_shape: list(int)")
    .Attr("window: list(int)")
    .Attr("keep_serialized: bool")
    .SetShapeFn([](InferenceContext* c) -> absl::Status {
      ShapeHandle paths, rows;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &paths));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &rows));
      bool keep;
      TF_RETURN_IF_ERROR(c->GetAttr("keep_serialized", &keep));
      c->set_output(2, c->Vector(keep ? c->Dim(rows, 0) : c->MakeDim(0)));
      return SetImages(c, c->Dim(rows, 0), 2);
    })
    .Doc(R"doc(
Reads records at given places, checks them and decodes their images.

paths: string [S], the shards.
rows: int64 [B, 3]: number of the shard, offset and length of the payload in bytes.
mirrored: Which images are mirrored left to right.
corners: int32 [B, 2]: upper left corner (y, x) of the window kept of each image.
images: [B, *window, channels]; uint8, or scaled to [0, 1]. Zeros where not ok.
ok: Whether the record is whole and its image decodes to the stored shape.
serialized: string [B], the payloads, where `keep_serialized`; empty otherwise.
)doc");

REGISTER_OP("VaeProdDecodeImages")
    .Input("serialized: string")
    .Input("mirrored: bool")
    .Input("corners: int32")
    .Output("images: dtype")
    .Output("ok: bool")
    .Attr("dtype: {uint8, float, bfloat16}")
    .Attr("encoding: {'jpeg', 'png', 'raw'}")
    .Attr("stored_shape: list(int)")
    .Attr("window: list(int)")
    .SetShapeFn([](InferenceContext* c) -> absl::Status {
      ShapeHandle serialized;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 1, &serialized));
      return SetImages(c, c->Dim(serialized, 0), 1);
    })
    .Doc(R"doc(
Decodes the images of serialized Examples; see VaeProdReadImages.
)doc");

}  // namespace
}  // namespace vae_prod

#endif  // VAE_PROD_PIPELINES_NATIVE_OPS_H_
