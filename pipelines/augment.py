"""Stateless augmentation and corruption: pure functions of (image, seed).

The numbers are the same eagerly and in a `Dataset.map`. Only the operations that a
`DataConfig` asks for are built: in a pipeline of small images, each one counts.
"""

import tensorflow as tf

from pipelines import config as config_lib

# Rec. 601 luma, the weights of JPEG's Y and of Pillow's "L".
_LUMA = (0.299, 0.587, 0.114)


def augment(
    image: tf.Tensor, seed: tf.Tensor, config: config_lib.DataConfig
) -> tf.Tensor:
    """Vary an image as `config` asks; with its defaults, return it unchanged.

    Args:
        image: uint8 [H, W, C], C being 1 or 3.
        seed: int32 or int64 [2], all the randomness there is.
        config: Which transforms, and how far each may go.

    Returns:
        uint8 [H, W, C].
    """
    # Each transform has a draw of its own, whether it is on or not: switching one on
    # leaves the others as they were.
    draws = tf.random.stateless_uniform([7], seed, minval=-1, maxval=1)
    if config.flip:
        image = _flip(image, draws[0] < 0)
    if config.translate or config.zoom:
        image = _place(image, config.translate * draws[1:3], 1 + config.zoom * draws[3])
    if config.brightness or config.contrast or config.saturation:
        image = _recolour(image, draws[4:], config)
    return image


def corrupt(
    image: tf.Tensor, seed: tf.Tensor, config: config_lib.DataConfig
) -> tf.Tensor:
    """Damage an image as `config.corruption` and `config.corruption_level` say.

    - `noise` adds Gaussian noise of standard deviation 255 x level;
    - `pixel_dropout` blackens each pixel, all its channels, with probability level;
    - `occlusion` blackens one square inside the image, its side being level times
      the image's shorter side, at a uniformly drawn place;
    - `grayscale` replaces every channel by the luma.

    Args:
        image: uint8 [H, W, C], C being 1 or 3.
        seed: int32 or int64 [2], all the randomness there is.
        config: Kind and level of the damage.

    Returns:
        uint8 [H, W, C].
    """
    level = config.corruption_level
    if config.corruption == "none":
        return image
    if config.corruption == "noise":
        noise = tf.random.stateless_normal(tf.shape(image), seed, stddev=255 * level)
        return _to_uint8(tf.cast(image, tf.float32) + noise)
    if config.corruption == "pixel_dropout":
        draws = tf.random.stateless_uniform(tf.shape(image[..., :1]), seed)
        return tf.where(draws < level, tf.zeros([], tf.uint8), image)
    if config.corruption == "occlusion":
        return _occlude(image, seed, level)
    if config.corruption == "grayscale":
        luma = _luma(tf.cast(image, tf.float32))
        return tf.broadcast_to(_to_uint8(luma), tf.shape(image))
    raise ValueError(
        f"Expected a corruption out of {config_lib.CORRUPTIONS}, received "
        f"{config.corruption!r}."
    )


def _to_uint8(image: tf.Tensor) -> tf.Tensor:
    return tf.saturate_cast(tf.round(image), tf.uint8)


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Return the luma of a float32 image, [H, W, 1]."""
    if image.shape[-1] == 1:
        return image
    return tf.tensordot(image, tf.constant(_LUMA)[:, None], 1)


def _flip(image: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    # This form of Reverse takes its axes as a tensor, which saves both a copy of the
    # image and a branch; a slice with a negative stride is five times slower.
    dims = tf.stack([False, mirrored, False])
    return tf.raw_ops.Reverse(tensor=image, dims=dims)


def _place(image: tf.Tensor, shift: tf.Tensor, magnification: tf.Tensor) -> tf.Tensor:
    """Shift and zoom in one bilinear resampling, repeating the edge outside.

    Args:
        image: uint8 [H, W, C].
        shift: float32 [2], down and to the right, as fractions of the size.
        magnification: float32 [], about the centre; above 1 is closer.

    Returns:
        uint8 [H, W, C].
    """
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    centre = (size - 1) / 2
    # Output pixel p is read at centre + (p - centre - shift) / magnification.
    step = 1 / magnification
    start = centre - (centre + shift * size) * step
    placed = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=tf.stack([step, 0, start[1], 0, step, start[0], 0, 0])[None],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
    return tf.ensure_shape(_to_uint8(placed), image.shape)


def _recolour(
    image: tf.Tensor, draws: tf.Tensor, config: config_lib.DataConfig
) -> tf.Tensor:
    """Change brightness, then contrast, then saturation; round and clip once.

    Contrast scales the distance to each channel's mean over the image, saturation
    the distance to each pixel's luma; one-channel images have no saturation.

    Args:
        image: uint8 [H, W, C].
        draws: float32 [3] in [-1, 1], one for each change.
        config: How far each change may go.

    Returns:
        uint8 [H, W, C].
    """
    pixels = tf.cast(image, tf.float32)
    if config.brightness:
        pixels += 255 * config.brightness * draws[0]
    if config.contrast:
        mean = tf.reduce_mean(pixels, axis=(0, 1))
        pixels = mean + (1 + config.contrast * draws[1]) * (pixels - mean)
    if config.saturation:
        luma = _luma(pixels)
        pixels = luma + (1 + config.saturation * draws[2]) * (pixels - luma)
    return _to_uint8(pixels)


def _occlude(image: tf.Tensor, seed: tf.Tensor, level: float) -> tf.Tensor:
    size = tf.shape(image)[:2]
    shorter = tf.cast(tf.reduce_min(size), tf.float32)
    side = tf.cast(tf.round(level * shorter), tf.int32)
    places = tf.cast(size - side + 1, tf.float32)
    first = tf.cast(tf.random.stateless_uniform([2], seed) * places, tf.int32)
    rows = tf.range(size[0])[:, None, None] - first[0]
    columns = tf.range(size[1])[None, :, None] - first[1]
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return tf.where(inside, tf.zeros([], tf.uint8), image)
