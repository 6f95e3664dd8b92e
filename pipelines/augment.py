"""Stateless augmentation and corruption: pure functions of (image, seed).

Each transform draws from a sub-seed of its own, so switching one on leaves the
others' draws as they were, and the numbers are the same eagerly and in a
`Dataset.map`. Only the operations that a `DataConfig` asks for are built.
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
    flip_seed, place_seed, colour_seed = tf.unstack(tf.random.split(seed, 3))
    if config.flip:
        image = _flip(image, flip_seed)
    if config.translate or config.zoom:
        image = _place(image, place_seed, config.translate, config.zoom)
    if config.brightness or config.contrast or config.saturation:
        image = _recolour(image, colour_seed, config)
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
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _symmetric(seed: tf.Tensor, limit: float, shape: tuple[int, ...] = ()) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, minval=-limit, maxval=limit)


def _flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    mirrored = tf.random.stateless_uniform([], seed) < 0.5
    return tf.where(mirrored, image[:, ::-1], image)


def _place(
    image: tf.Tensor, seed: tf.Tensor, translate: float, zoom: float
) -> tf.Tensor:
    """Shift and zoom in one bilinear resampling, repeating the edge outside.

    The shift is uniform in [-translate, translate] times the size, per axis; the
    magnification about the centre uniform in [1 - zoom, 1 + zoom].
    """
    shift_seed, zoom_seed = tf.unstack(tf.random.split(seed))
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    shift = _symmetric(shift_seed, translate, (2,)) * size
    step = 1 / (1 + _symmetric(zoom_seed, zoom))
    # Output pixel p is read at centre + (p - centre - shift) / magnification.
    centre = (size - 1) / 2
    offset = centre - (centre + shift) * step
    transform = tf.stack([step, 0, offset[1], 0, step, offset[0], 0, 0])
    placed = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=transform[None],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
    return tf.ensure_shape(_to_uint8(placed), image.shape)


def _recolour(
    image: tf.Tensor, seed: tf.Tensor, config: config_lib.DataConfig
) -> tf.Tensor:
    """Change brightness, then contrast, then saturation; round and clip once.

    Contrast scales the distance to each channel's mean over the image, saturation
    the distance to each pixel's luma; one-channel images have no saturation.
    """
    brightness_seed, contrast_seed, saturation_seed = tf.unstack(
        tf.random.split(seed, 3)
    )
    pixels = tf.cast(image, tf.float32)
    if config.brightness:
        pixels += 255 * _symmetric(brightness_seed, config.brightness)
    if config.contrast:
        mean = tf.reduce_mean(pixels, axis=(0, 1))
        pixels = mean + (pixels - mean) * (
            1 + _symmetric(contrast_seed, config.contrast)
        )
    if config.saturation:
        luma = _luma(pixels)
        pixels = luma + (pixels - luma) * (
            1 + _symmetric(saturation_seed, config.saturation)
        )
    return _to_uint8(pixels)


def _occlude(image: tf.Tensor, seed: tf.Tensor, level: float) -> tf.Tensor:
    size = tf.shape(image)[:2]
    shorter = tf.cast(tf.reduce_min(size), tf.float32)
    side = tf.cast(tf.round(level * shorter), tf.int32)
    first = tf.random.stateless_uniform([2], seed, 0, size - side + 1, tf.int32)
    rows = tf.range(size[0])[:, None, None] - first[0]
    columns = tf.range(size[1])[None, :, None] - first[1]
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return tf.where(inside, tf.zeros([], tf.uint8), image)
