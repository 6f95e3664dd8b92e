"""Convolutions with few channels at one end, over blocks of pixels as channels.

The convolution that reads an image and the one that draws it have 3 channels at a
stride of 2. A GPU's tensor cores take channels in eights: there cuDNN pads such maps
to 8 and copies them, or leaves the tensor cores alone. Blocks of stride x stride
neighbours, taken as one pixel of 12 channels (`tf.nn.space_to_depth`) and 4 zeros, make
of both a convolution of stride 1, with the same weights and zeros between them.
"""

import tensorflow as tf

_CHANNELS = 8


def block_kernel(kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Turn a kernel with a stride into the one for blocks of pixels, with none.

    Args:
        kernel: [K, K, in, out].
        stride: Of the convolution, "same", of maps that it divides.

    Returns:
        [M, M, stride^2 in, out], M about K / stride; for a "same" convolution.
    """
    size, _, inputs, outputs = kernel.shape
    # Where "same" begins in front of the maps, a block must begin.
    front = -(max(size - stride, 0) // 2) % stride
    edge = [front, -(front + size) % stride]
    kernel = tf.pad(kernel, [edge, edge, [0, 0], [0, 0]])
    count = kernel.shape[0] // stride
    kernel = tf.reshape(kernel, [count, stride, count, stride, inputs, outputs])
    kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])
    return tf.reshape(kernel, [count, count, stride**2 * inputs, outputs])


def convolution(maps: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Return `tf.nn.conv2d(maps, kernel, stride, "SAME")`.

    Args:
        maps: [B, H, W, in]; the stride divides H and W.
        kernel: [K, K, in, out].
        stride: At least 2.

    Returns:
        [B, H / stride, W / stride, out].
    """
    blocks = _filled(tf.nn.space_to_depth(maps, stride), axis=3)
    kernel = _filled(block_kernel(kernel, stride), axis=2)
    return tf.nn.conv2d(blocks, kernel, 1, "SAME")


def transposed_convolution(
    maps: tf.Tensor, kernel: tf.Tensor, stride: int, bias: tf.Tensor | None
) -> tf.Tensor:
    """Return `tf.nn.conv2d_transpose(maps, kernel, ..., stride, "SAME")`, plus bias.

    Args:
        maps: [B, H, W, in].
        kernel: [K, K, out, in].
        stride: At least 2.
        bias: [out], in the precision of the maps; None: none.

    Returns:
        [B, stride H, stride W, out].
    """
    kernel = block_kernel(kernel, stride)
    channels = kernel.shape[2]
    kernel = _filled(kernel, axis=2)
    shape = tf.concat([tf.shape(maps)[:3], [kernel.shape[2]]], axis=0)
    blocks = tf.nn.conv2d_transpose(maps, kernel, shape, 1, "SAME")[..., :channels]
    if bias is not None:
        blocks = _add_bias(blocks, tf.tile(bias, [stride**2]))
    return tf.nn.depth_to_space(blocks, stride)


def _filled(tensor: tf.Tensor, axis: int) -> tf.Tensor:
    """Fill channels up with zeros to a multiple of 8."""
    missing = -tensor.shape[axis] % _CHANNELS
    margins = [[0, missing if i == axis else 0] for i in range(tensor.shape.rank)]
    return tf.pad(tensor, margins) if missing else tensor


@tf.custom_gradient
def _add_bias(maps: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Add a bias [C] to maps [B, H, W, C]; its gradient is summed in float32."""

    def gradient(upstream):
        # First over what leaves rows together: XLA sums few columns slowly. A mean,
        # not a sum, for it would make one sum of two.
        rows = tf.reduce_mean(tf.cast(upstream, tf.float32), axis=[0, 1])
        count = tf.cast(tf.reduce_prod(tf.shape(upstream)[:2]), tf.float32)
        return upstream, tf.cast(tf.reduce_sum(rows, axis=0) * count, bias.dtype)

    return maps + bias, gradient
