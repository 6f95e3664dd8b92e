"""Pillow's resizing as two matrices, so that a graph resizes as the conversion did.

Resizing, cropping and padding are linear along each axis: the output is
`rows @ image @ columns^T`. A matrix's row holds what one output pixel takes of each
input pixel, as Pillow's `Image.resize(size, filter, box)` weighs them (its
`Resample.c`): the filter, widened by the scale where images become smaller, is centred
on the pixel, cut off at the image's edges and normalised. (Pillow 13 takes rows before
columns where the height shrinks more than the width, which matters for the rounding
alone.)
"""

import math

import tensorflow as tf

# Name of Pillow's filter to (twice its support in pixels, weight at distance x).
_FILTERS = {
    "box": (1, tf.ones_like),  # What is within its support.
    "bilinear": (2, lambda x: 1.0 - tf.abs(x)),
    "hamming": (2, lambda x: _sinc(x) * (0.54 + 0.46 * tf.cos(math.pi * x))),
    "bicubic": (4, lambda x: _cubic(tf.abs(x))),
    "lanczos": (6, lambda x: _sinc(x) * _sinc(x / 3.0)),
}


def _sinc(x: tf.Tensor) -> tf.Tensor:
    is_zero = tf.equal(x, 0.0)
    angle = math.pi * tf.where(is_zero, tf.ones_like(x), x)
    return tf.where(is_zero, tf.ones_like(x), tf.sin(angle) / angle)


def _cubic(x: tf.Tensor) -> tf.Tensor:
    """Return Keys' cubic convolution with a = -0.5, of |x|."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, far)


def matrix(
    name: str, length: tf.Tensor, start: tf.Tensor, stop: tf.Tensor, size: int
) -> tf.Tensor:
    """Return what resizing takes along one axis.

    Args:
        name: Pillow's filter: nearest, box, bilinear, hamming, bicubic or lanczos.
        length: int32 [], pixels of the image along the axis.
        start: int32 [], first pixel of the region that is resized.
        stop: int32 [], the pixel after its last. The filter reaches beyond the region.
        size: Pixels of the result.

    Returns:
        float32 [size, length]; each row adds up to 1.
    """
    region = stop - start
    number = tf.range(size)[:, None]
    # Each pixel's centre, in halves of an output pixel: whole numbers, for a filter may
    # end just where a pixel begins.
    center = (2 * number + 1) * region
    if name == "nearest":
        source = start + center // (2 * size)
        return tf.cast(tf.equal(tf.range(length)[None, :], source), tf.float32)
    doubled, weigh = _FILTERS[name]
    reach = doubled * tf.maximum(region, size)
    inputs = tf.range(length)[None, :]
    lowest = start + (center - reach + size) // (2 * size)
    beyond = start + (center + reach + size) // (2 * size)
    distance = (2 * (inputs - start) + 1) * size - center
    widened = tf.cast(2 * tf.maximum(region, size), tf.float64)
    weights = weigh(tf.cast(distance, tf.float64) / widened)
    inside = (inputs >= lowest) & (inputs < beyond)
    weights = tf.where(inside, weights, tf.zeros_like(weights))
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.cast(weights, tf.float32)


def shift(length: tf.Tensor, start: tf.Tensor, stop: tf.Tensor, size: int) -> tf.Tensor:
    """Return the matrix that centres a region in `size` pixels, on zeros.

    Args and result are those of `matrix`; rows outside the region are zero.
    """
    first = (size - (stop - start)) // 2
    source = tf.range(size)[:, None] - first + start
    inside = (source >= start) & (source < stop)
    return tf.cast(tf.equal(tf.range(length)[None, :], source) & inside, tf.float32)


def apply(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Resize an image, along its rows first and rounded after each, as Pillow does.

    Args:
        image: float32 [H, W, C] of whole numbers in [0, 255].
        rows: float32 [height, H].
        columns: float32 [width, W].

    Returns:
        float32 [height, width, C] of whole numbers in [0, 255].
    """
    narrowed = _rounded(tf.einsum("xw,hwc->hxc", columns, image))
    return _rounded(tf.einsum("yh,hxc->yxc", rows, narrowed))


def _rounded(values: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.floor(values + 0.5), 0.0, 255.0)
