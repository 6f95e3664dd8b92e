"""JPEG and PNG bytes to the images a model was trained on, and back, in a graph.

What the conversion did to every training image is done here to every request's:
decoded, turned upright, cropped, resized or padded, and cut to training's window.
"""

import attrs
import tensorflow as tf

from pipelines import crops, settings
from vae_prod.serving import checks, resampling

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Bytes to the end of a PNG file's first chunk, which gives its size.
_PNG_HEADER = 33
# An EXIF segment begins within this many bytes, as each segment has at most 65,535.
_EXIF_WITHIN = 2**17
_EXIF = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112


# Pictures of a request that are decoded at the same time.
_AT_A_TIME = 4


@attrs.frozen
class Limits:
    """Pixels that are decoded at most; more are refused by what headers say.

    Attributes:
        image: Of a picture.
        request: Of all pictures of a request.
    """

    image: int = 4_000_000
    request: int = 64_000_000


DEFAULT_LIMITS = Limits()


@attrs.frozen
class Preparation:
    """How training images were made of pictures.

    Attributes:
        shape: (height, width, channels) of the model's images.
        stored: (height, width) of converted images; the model's are their central
            window.
        crop: A crop of `pipelines.crops` that needs no annotations.
        pad: Whether images were padded with black instead of resized.
        resample: Pillow's filter.
    """

    shape: tuple[int, int, int] = attrs.field(converter=settings.as_tuple)
    stored: tuple[int, int] = attrs.field(converter=settings.as_tuple)
    crop: str
    pad: bool
    resample: str

    def __call__(
        self,
        name: str,
        contents: tf.Tensor,
        limits: Limits = DEFAULT_LIMITS,
    ) -> tf.Tensor:
        """Make the model's images of JPEG and PNG files.

        Args:
            name: Of the input, for messages.
            contents: string [B].
            limits: On their pixels.

        Returns:
            float32 [B, height, width, channels] in [0, 1].

        Raises:
            InvalidArgumentError: When run, for a file that is no JPEG or PNG, is
                damaged, is beyond the limits, or is too small or large to crop or pad.
        """

        def one(content):
            # Errors of the decoders name the scope, and so the input.
            with tf.name_scope(name):
                return self._fit(name, decode(content, self.shape[-1]))

        spec = tf.TensorSpec(self.shape, tf.float32)
        images = tf.map_fn(
            one,
            limited(name, contents, limits),
            fn_output_signature=spec,
            parallel_iterations=_AT_A_TIME,
        )
        return images / 255.0

    def _fit(self, name: str, image: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(image)
        starts, sizes = self._region(name, shape[:2])
        matrices = [
            self._matrix(shape[axis], starts[axis], starts[axis] + sizes[axis], axis)
            for axis in (0, 1)
        ]
        fitted = resampling.apply(image, *matrices)
        return tf.ensure_shape(fitted, self.shape)

    def _region(self, name: str, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first pixels and the size of what is kept, each int32 [2]."""
        crop = crops.parse(self.crop)
        if isinstance(crop, crops.Box):
            start = tf.constant([crop.upper, crop.left])
            stop = _at_least(name, size, crop.lower, crop.right)
            return start, self._paddable(name, stop - start)
        if isinstance(crop, crops.Whole):
            region = size
        elif isinstance(crop, crops.Square):
            region = tf.fill([2], tf.reduce_min(size))
        elif isinstance(crop, crops.Centre):
            region = _at_least(name, size, crop.side, crop.side)
        else:
            raise ValueError(f"'crop' must need no annotations, received {self.crop}")
        region = self._paddable(name, region)
        return (size - region) // 2, region

    def _paddable(self, name: str, region: tf.Tensor) -> tf.Tensor:
        """Check that padding holds a region, int32 [2]."""
        if not self.pad:
            return region
        return checks.tied(
            region,
            tf.reduce_all(region <= tf.constant(self.stored)),
            f"{name}: expected at most {self.stored[0]} x {self.stored[1]} pixels "
            "(height, width), got",
            region,
        )

    def _matrix(self, length, start, stop, axis: int) -> tf.Tensor:
        stored, window = self.stored[axis], self.shape[axis]
        if self.pad:
            whole = resampling.shift(length, start, stop, stored)
        else:
            whole = resampling.matrix(self.resample, length, start, stop, stored)
        first = (stored - window) // 2
        return whole[first : first + window]


def _at_least(name: str, size: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Return (height, width), int32 [2], after checking that a picture has as many."""
    needed = tf.constant([height, width])
    return checks.tied(
        needed,
        tf.reduce_all(needed <= size),
        f"{name}: expected at least {height} x {width} pixels, got (height, width)",
        size,
    )


def limited(name: str, contents: tf.Tensor, limits: Limits) -> tf.Tensor:
    """Check what files are and how large, by their first bytes alone.

    Args:
        name: Of the input, for messages, which also tell the row.
        contents: string [B].
        limits: On their pixels.
    """
    is_jpeg, is_png = _kinds(contents)
    row = checks.first_row(~(is_jpeg | is_png))
    contents = checks.tied(
        contents,
        tf.reduce_all(is_jpeg | is_png),
        f"{name}: expected a JPEG or PNG file, got something else in row",
        row,
        "in bytes",
        tf.strings.length(tf.gather(contents, row)),
    )

    def size(content):
        with tf.name_scope(name):
            return tf.cond(
                _kinds(content)[0],
                lambda: tf.cast(tf.image.extract_jpeg_shape(content)[:2], tf.int64),
                lambda: _unsigned(
                    tf.io.decode_raw(tf.strings.substr(content, 16, 8), tf.uint8)
                )[::-1],
            )

    sizes = tf.map_fn(size, contents, fn_output_signature=tf.TensorSpec([2], tf.int64))
    # Sides have 32 bits: a product beyond 63 is negative, and refused as well.
    pixels = tf.reduce_prod(sizes, axis=1)
    fits = (pixels >= 1) & (pixels <= limits.image)
    row = checks.first_row(~fits)
    contents = checks.tied(
        contents,
        tf.reduce_all(fits),
        f"{name}: expected pictures of at most {limits.image} pixels, got in row",
        row,
        "(height, width)",
        tf.gather(sizes, row),
    )
    total = tf.reduce_sum(pixels)
    text = f"{name}: expected at most {limits.request} pixels in a request, got"
    return checks.tied(contents, total <= limits.request, text, total)


def _kinds(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Say which files begin as a JPEG and which as a PNG: bool of the same shape."""
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, len(_JPEG)), _JPEG)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(_PNG)), _PNG)
    return is_jpeg, is_png & (tf.strings.length(contents) >= _PNG_HEADER)


def decode(content: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode one file that is within `limited`, upright, with the channels asked for.

    Alpha is composited on black; grey is ITU-R 601 luma.

    Args:
        content: string [], a JPEG or PNG file.
        channels: 1 or 3.

    Returns:
        float32 [H, W, channels] of whole numbers in [0, 255].
    """

    def jpeg():
        image = tf.io.decode_jpeg(content, channels, dct_method="INTEGER_ACCURATE")
        return _upright(tf.cast(image, tf.float32), _orientation(content))

    def png():
        rgba = tf.io.decode_png(content, channels=4)
        return _without_alpha(tf.cast(rgba, tf.int32), channels)

    return tf.cond(_kinds(content)[0], jpeg, png)


def encode_png(images: tf.Tensor, sharpness: float = 1.0) -> tf.Tensor:
    """Encode images as PNG files, sharpened on the way.

    Args:
        images: float32 [B, H, W, C] in [0, 1].
        sharpness: Factor of Pillow's `ImageEnhance.Sharpness`; 1: none.

    Returns:
        string [B].
    """
    levels = tf.round(255.0 * images)
    if sharpness != 1.0:
        levels = _sharpened(levels, sharpness)
    return tf.map_fn(
        tf.io.encode_png,
        tf.saturate_cast(levels, tf.uint8),
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


def _sharpened(levels: tf.Tensor, factor: float) -> tf.Tensor:
    """Sharpen float32 [B, H, W, C] of whole numbers, to the same levels as Pillow."""
    channels = levels.shape[-1]
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]])
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, channels, 1])
    inner = tf.nn.depthwise_conv2d(levels, kernel, [1, 1, 1, 1], "VALID")
    inner = tf.floor(inner / 13.0 + 0.5)
    # Pillow's filter leaves the outermost pixels as they are.
    border = [[0, 0], [1, 1], [1, 1], [0, 0]]
    is_inner = tf.pad(tf.ones_like(inner, tf.bool), border)
    smooth = tf.where(is_inner, tf.pad(inner, border), levels)
    return tf.floor(tf.clip_by_value(smooth + factor * (levels - smooth), 0.0, 255.0))


def _unsigned(octets: tf.Tensor) -> tf.Tensor:
    """Return big-endian 32-bit integers, of uint8 [4 N]: int64 [N]."""
    octets = tf.reshape(tf.cast(octets, tf.int64), [-1, 4])
    return tf.linalg.matvec(octets, tf.constant([2**24, 2**16, 2**8, 1], tf.int64))


def _without_alpha(rgba: tf.Tensor, channels: int) -> tf.Tensor:
    colors = (rgba[..., :3] * rgba[..., 3:] + 127) // 255
    if channels == 1:
        weights = tf.constant([19595, 38470, 7471])
        luma = tf.reduce_sum(colors * weights, axis=-1, keepdims=True)
        colors = tf.bitwise.right_shift(luma + 2**15, 16)
    return tf.cast(colors, tf.float32)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn an image that is stored in one of EXIF's eight orientations."""

    def among(*numbers):
        return tf.reduce_any(tf.equal(orientation, tf.constant(numbers)))

    image = tf.cond(
        among(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image
    )
    image = tf.cond(among(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(among(3, 4, 7, 8), lambda: image[::-1], lambda: image)


def _orientation(content: tf.Tensor) -> tf.Tensor:
    """Read the orientation of a JPEG's EXIF (version 2.32, section 4.6), int32 []."""
    start = tf.strings.substr(content, 0, _EXIF_WITHIN)
    octets = tf.cast(tf.io.decode_raw(start, tf.uint8), tf.int32)
    octets = tf.pad(octets, [[0, len(_EXIF)]])
    last = tf.size(octets) - 1
    ahead = [octets[i : last - len(_EXIF) + i] for i in range(len(_EXIF))]
    is_mark = tf.stack(ahead, axis=1) == tf.constant(list(_EXIF))
    marks = tf.where(tf.reduce_all(is_mark, axis=1))

    def at(places):  # What lies beyond the end reads as zero.
        return tf.gather(octets, tf.clip_by_value(places, 0, last))

    def read():
        base = tf.cast(marks[0, 0], tf.int32) + len(_EXIF)
        little = tf.equal(at(base), ord("I"))

        def number(places):
            low, high = at(places), at(places + 1)
            return tf.where(little, low + 256 * high, 256 * low + high)

        # An offset's two low bytes suffice: a segment is no longer.
        offset = number(base + 4 + tf.where(little, 0, 2))
        table = base + offset
        entries = table + 2 + 12 * tf.range(tf.minimum(number(table), 1024))
        rows = tf.where(tf.equal(number(entries), _ORIENTATION_TAG))
        values = number(tf.gather(entries, rows[:1, 0]) + 8)
        value = tf.concat([values, [1]], axis=0)[0]
        return tf.where((value >= 1) & (value <= 8), value, 1)

    return tf.cond(tf.size(marks) > 0, read, lambda: tf.constant(1))
