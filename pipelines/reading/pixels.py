"""Arithmetic on pixels that augmentation and corruption share."""

import tensorflow as tf

# Rec. 601 luma, the weights of JPEG's Y and of Pillow's "L".
_LUMA = (0.299, 0.587, 0.114)


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Round float images in [0, 255] to uint8, values outside clipped."""
    return tf.saturate_cast(tf.round(images), tf.uint8)


def luma(images: tf.Tensor) -> tf.Tensor:
    """Return the luma of float32 images [B, H, W, C], C being 1 or 3, [B, H, W, 1]."""
    if images.shape[-1] == 1:
        return images
    return tf.tensordot(images, tf.constant(_LUMA)[:, None], 1)
