"""Corruption of the input, for denoising: the clean image stays the target.

A corruption is a function here and its row in `CORRUPTIONS`; `config.CORRUPTIONS` names
it for the flags and says what its level means.
"""

from collections.abc import Callable

import tensorflow as tf

from pipelines import config as config_lib
from pipelines.reading import counter_rng
from pipelines.reading import pixels as pixels_lib


def add_noise(
    images: tf.Tensor, seed: tf.Tensor, first: tf.Tensor, level: float
) -> tf.Tensor:
    """Add Gaussian noise of standard deviation 255 x level; see `corrupt`."""
    num, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    noise = counter_rng.normal(seed, first, num, height * width * channels)
    noise = 255 * level * tf.reshape(noise, tf.shape(images))
    return pixels_lib.to_uint8(tf.cast(images, tf.float32) + noise)


def drop_pixels(
    images: tf.Tensor, seed: tf.Tensor, first: tf.Tensor, level: float
) -> tf.Tensor:
    """Blacken each pixel, all its channels, with probability level; see `corrupt`."""
    height, width = images.shape[1:3]
    drawn = counter_rng.uniform(seed, first, tf.shape(images)[0], height * width)
    dropped = tf.reshape(drawn < level, [-1, height, width, 1])
    return tf.where(dropped, tf.zeros([], tf.uint8), images)


def occlude(
    images: tf.Tensor, seed: tf.Tensor, first: tf.Tensor, level: float
) -> tf.Tensor:
    """Blacken one square inside each image, at a uniformly drawn place.

    Its side is level times the image's shorter side; see `corrupt`.
    """
    draws = counter_rng.uniform(seed, first, tf.shape(images)[0], 2)
    height, width = images.shape[1:3]
    side = round(level * min(height, width))
    places = tf.constant([height - side + 1, width - side + 1], tf.float32)
    corners = tf.cast(draws * places, tf.int32)[:, :, None]
    rows = tf.range(height) - corners[:, 0]
    columns = tf.range(width) - corners[:, 1]
    in_rows = (rows >= 0) & (rows < side)
    in_columns = (columns >= 0) & (columns < side)
    inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return tf.where(inside, tf.zeros([], tf.uint8), images)


def to_grayscale(
    images: tf.Tensor, seed: tf.Tensor, first: tf.Tensor, level: float
) -> tf.Tensor:
    """Replace every channel by the luma; see `corrupt`."""
    del seed, first, level
    luma = pixels_lib.to_uint8(pixels_lib.luma(tf.cast(images, tf.float32)))
    return tf.broadcast_to(luma, tf.shape(images))


def leave(
    images: tf.Tensor, seed: tf.Tensor, first: tf.Tensor, level: float
) -> tf.Tensor:
    """Return the images as they are."""
    del seed, first, level
    return images


CORRUPTIONS: dict[str, Callable[..., tf.Tensor]] = {
    "none": leave,
    "noise": add_noise,
    "pixel_dropout": drop_pixels,
    "occlusion": occlude,
    "grayscale": to_grayscale,
}


def corrupt(
    images: tf.Tensor,
    seed: tf.Tensor,
    first: tf.Tensor,
    config: config_lib.DataConfig,
) -> tf.Tensor:
    """Corrupt images as `config.corruption` and `config.corruption_level` say.

    Args:
        images: uint8 [B, H, W, C] of successive positions, C being 1 or 3.
        seed: int64 [2], the table of random numbers.
        first: int64 [], position of the first image.
        config: Kind and level of the corruption.

    Returns:
        uint8 [B, H, W, C].
    """
    function = CORRUPTIONS[config.corruption]
    return function(images, seed, first, config.corruption_level)
