"""Augmentation of batches: pure functions of (images, draws).

An image's fate depends on its own row of random numbers alone (see `draws`), never on
the batch around it. Only the operations that a `DataConfig` asks for are built.
"""

import attrs
import tensorflow as tf

from pipelines import config as config_lib
from pipelines.reading import counter_rng
from pipelines.reading import pixels as pixels_lib

_WIDTH = 9


@attrs.frozen(eq=False)
class Draws:
    """The random numbers of a batch, one row an image.

    Each transform has columns of its own, whether it is on or not: switching one on
    leaves the others as they were.

    Attributes:
        rows: float32 [B, 9] in [0, 1).
    """

    rows: tf.Tensor

    @classmethod
    def make(cls, seed: tf.Tensor, first: tf.Tensor, num: tf.Tensor) -> "Draws":
        """Draw for `num` positions from `first` on; see `draws.uniform`."""
        return cls(counter_rng.uniform(seed, first, num, _WIDTH))

    def mirrored(self) -> tf.Tensor:
        """Return which images are mirrored, bool [B]."""
        return self.rows[:, 0] < 0.5

    def corners(self, stored: tuple[int, ...], window: tuple[int, int]) -> tf.Tensor:
        """Return where windows begin in images of a stored shape, int32 [B, 2]."""
        places = [stored[0] - window[0] + 1, stored[1] - window[1] + 1]
        return tf.cast(self.rows[:, 1:3] * tf.constant(places, tf.float32), tf.int32)

    def signed(self, first: int, last: int) -> tf.Tensor:
        """Return columns as float32 [B, last - first] in [-1, 1)."""
        return 2 * self.rows[:, first:last] - 1


def augment(
    images: tf.Tensor, draws: Draws, config: config_lib.DataConfig
) -> tf.Tensor:
    """Shift, zoom and recolour images as `config` asks.

    Windows and mirroring come before, when images are cropped.

    Args:
        images: uint8 [B, H, W, C], C being 1 or 3.
        draws: The random numbers of these images.
        config: Which transforms, and how far each may go.

    Returns:
        uint8 [B, H, W, C].
    """
    if config.translate or config.zoom:
        shift = config.translate * draws.signed(3, 5)
        images = _place(images, shift, 1 + config.zoom * draws.signed(5, 6)[:, 0])
    if _recolours(config):
        images = _recolour(images, draws.signed(6, 9), config)
    return images


def _recolours(config: config_lib.DataConfig) -> bool:
    return bool(config.brightness or config.contrast or config.saturation)


def _place(images: tf.Tensor, shift: tf.Tensor, magnification: tf.Tensor) -> tf.Tensor:
    """Shift and zoom in one bilinear resampling, repeating the edge outside.

    Args:
        images: uint8 [B, H, W, C].
        shift: float32 [B, 2], down and to the right, as fractions of the size.
        magnification: float32 [B], about the centre; above 1 is closer.

    Returns:
        uint8 [B, H, W, C].
    """
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    centre = (size - 1) / 2
    # Output pixel p is read at centre + (p - centre - shift) / magnification.
    step = 1 / magnification
    start = centre - (centre + shift * size) * step[:, None]
    zero = tf.zeros_like(step)
    rows = [step, zero, start[:, 1], zero, step, start[:, 0], zero, zero]
    placed = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.stack(rows, axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return tf.ensure_shape(pixels_lib.to_uint8(placed), images.shape)


def _recolour(
    images: tf.Tensor, draws: tf.Tensor, config: config_lib.DataConfig
) -> tf.Tensor:
    """Change brightness, then contrast, then saturation; round and clip once.

    Contrast scales the distance to each channel's mean over the image, saturation
    the distance to each pixel's luma; one-channel images have no saturation.

    Args:
        images: uint8 [B, H, W, C].
        draws: float32 [B, 3] in [-1, 1), one for each change.
        config: How far each change may go.

    Returns:
        uint8 [B, H, W, C].
    """
    brightness, contrast, saturation = tf.unstack(draws[:, :, None, None, None], axis=1)
    pixels = tf.cast(images, tf.float32)
    if config.brightness:
        pixels += 255 * config.brightness * brightness
    if config.contrast:
        mean = tf.reduce_mean(pixels, axis=(1, 2), keepdims=True)
        pixels = mean + (1 + config.contrast * contrast) * (pixels - mean)
    if config.saturation:
        luma = pixels_lib.luma(pixels)
        pixels = luma + (1 + config.saturation * saturation) * (pixels - luma)
    return pixels_lib.to_uint8(pixels)
