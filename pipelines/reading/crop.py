"""Crop, flip and scale: which window of each image is kept, mirrored, in what type."""

import attrs
import tensorflow as tf


@attrs.frozen(eq=False)
class Crop:
    """How the images of a batch are cropped, mirrored (flipped) and scaled.

    Attributes:
        window: (height, width) kept of each image.
        corners: int32 [B, 2], upper left corner (y, x) of each window.
        mirrored: bool [B], which windows are mirrored left to right.
        dtype: uint8; or float32 or bfloat16, scaled from [0, 255] to [0, 1].
    """

    window: tuple[int, int]
    corners: tf.Tensor
    mirrored: tf.Tensor
    dtype: tf.DType = tf.uint8

    @classmethod
    def whole(
        cls, shape: tuple[int, int, int], size: tf.Tensor, dtype: tf.DType = tf.uint8
    ) -> "Crop":
        """Keep `size` (int []) whole images of a shape as they are."""
        corners = tf.zeros(tf.stack([size, 2]), tf.int32)
        return cls(shape[:2], corners, tf.zeros(tf.stack([size]), tf.bool), dtype)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Crop, mirror and scale images, uint8 [B, H, W, C], with TensorFlow's ops."""
        height, width = self.window
        if images.shape[1:3] == self.window:
            # Select takes whole images; `tf.where` would look at each element.
            images = tf.raw_ops.Select(
                condition=self.mirrored, x=tf.reverse(images, axis=[2]), y=images
            )
        else:
            y = self.corners[:, :1] + tf.range(height)
            x = tf.range(width)
            x = tf.where(self.mirrored[:, None], width - 1 - x, x)
            images = tf.gather(images, y, axis=1, batch_dims=1)
            images = tf.gather(images, self.corners[:, 1:] + x, axis=2, batch_dims=1)
        return scale(images, self.dtype)


def scale(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Map uint8 images to [0, 1] in a floating type; leave them for uint8."""
    if dtype == tf.uint8:
        return images
    return tf.cast(tf.cast(images, tf.float32) / 255.0, dtype)
