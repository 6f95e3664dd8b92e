"""Pictures: opened safely, turned upright, fitted to a shape and encoded.

Built on Pillow alone, so that worker processes never load TensorFlow. Alpha is
composited on black, the colour that padding has too. Sixteen-bit greys are scaled
to eight bits. Colour profiles are not applied.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageOps

from pipelines import config as config_lib
from pipelines import files, trust
from pipelines.convert import jpeg_draft

# Only formats Pillow decodes by itself: a file named .jpg can't start Ghostscript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000")
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".pgm", ".ppm", ".pnm"),
    *(".tif", ".tiff", ".webp", ".jp2"),
)
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B")

_ORIENTATION_TAG = 0x0112
_FILTERS = {
    name: Image.Resampling[name.upper()] for name in config_lib.RESAMPLING_FILTERS
}

Picture = str | bytes | np.ndarray


class ImageError(files.UserError):
    """An image that is damaged or of a kind that can't be read."""


@contextlib.contextmanager
def _open(picture: Picture) -> Iterator[Image.Image]:
    """Open a picture without decoding it; raises whatever Pillow raises."""
    if isinstance(picture, np.ndarray):
        flat = picture.ndim == 3 and picture.shape[-1] == 1
        yield Image.fromarray(picture[..., 0] if flat else picture)
        return
    is_path = isinstance(picture, str)
    with trust.open_regular(picture) if is_path else io.BytesIO(picture) as file:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
        with image:
            yield image


def _describe(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not an image in one of the formats {', '.join(FORMATS)}"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    """Open a picture and say what is wrong with it in the words of an `ImageError`.

    Decoders fed with garbage raise nearly anything (SyntaxError, struct.error,
    IndexError, ...), and each of these means the same: this image is bad.
    """
    try:
        with _open(picture) as image:
            yield image
    except files.UserError:
        raise
    except Exception as error:
        raise ImageError(_describe(error)) from error


def _orientation(image: Image.Image) -> int:
    """Return how a picture is stored, in EXIF's numbers; 1: upright."""
    return image.getexif().get(_ORIENTATION_TAG, 1)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _decode(image: Image.Image, mode: str) -> Image.Image:
    """Decode an opened picture, upright and in the mode asked for."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image if image.mode == mode else _to_mode(image, mode)


def probe(picture: Picture) -> tuple[tuple[int, int], bool]:
    """Read a picture's header.

    Args:
        picture: A path, an encoded image, or uint8 [H, W] or [H, W, C].

    Returns:
        ((width, height) once upright, whether it is grey).

    Raises:
        ImageError: It is not an image.
    """
    with _opened(picture) as image:
        return _upright_size(image), image.mode in GREY_MODES


def load(picture: Picture, channels: int) -> Image.Image:
    """Decode a picture, upright and with the channels asked for.

    Args:
        picture: A path, an encoded image, or uint8 [H, W] or [H, W, C].
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).

    Returns:
        An image of mode `L` or `RGB`.

    Raises:
        ImageError: The file is missing, truncated, no image, larger than Pillow's
            limit for decompression bombs, or of a mode that can't be converted.
    """
    with _opened(picture) as image:
        return _decode(image, {1: "L", 3: "RGB"}[channels])


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    if image.mode not in ("L", "RGB", "1"):
        image = image.convert("RGB")
    return image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise ValueError("grey values outside of 0 to 65535")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _crop_box(size: tuple[int, int], crop: str) -> tuple[int, int, int, int]:
    """Return the region kept, as (left, upper, right, lower)."""
    width, height = size
    if crop == "none":
        return 0, 0, width, height
    side = min(size) if crop == "square" else int(crop)
    if side > min(size):
        raise files.UserError(
            f"Expected images of at least {side} x {side} pixels for --crop={crop}, "
            f"received {width} x {height}; choose a smaller --crop."
        )
    left, upper = (width - side) // 2, (height - side) // 2
    return left, upper, left + side, upper + side


def output_size(
    size: tuple[int, int], config: config_lib.ConvertConfig
) -> tuple[int, int]:
    """Return the (width, height) that an image of `size` is converted to.

    Raises:
        UserError: The crop or the padding can't hold an image of this size.
    """
    left, upper, right, lower = _crop_box(size, config.crop)
    width, height = right - left, lower - upper
    if not config.image_size:
        return width, height
    if config.pad and max(width, height) > config.image_size:
        raise files.UserError(
            f"Expected images of at most {config.image_size} x {config.image_size} "
            f"pixels for --pad, received {width} x {height}; raise --image_size, crop "
            "to a smaller square, or resize with --pad=false."
        )
    return config.image_size, config.image_size


def fit(image: Image.Image, config: config_lib.ConvertConfig) -> Image.Image:
    """Crop, then resize or pad an image as the settings say.

    Args:
        image: Mode `L` or `RGB`.
        config: Uses `crop`, `image_size`, `pad` and `resample`.

    Returns:
        An image of the same mode and of size `output_size(image.size, config)`.

    Raises:
        UserError: The crop or the padding can't hold the image.
    """
    box = _crop_box(image.size, config.crop)
    return _cut(image, box, output_size(image.size, config), config)


def _cut(
    image: Image.Image,
    box: Sequence[float],
    size: tuple[int, int],
    config: config_lib.ConvertConfig,
) -> Image.Image:
    """Return a region of an image, resized or padded to a size."""
    if config.pad:
        canvas = Image.new(image.mode, size)
        cropped = image.crop(box)
        left, upper = ((a - b) // 2 for a, b in zip(size, cropped.size, strict=True))
        canvas.paste(cropped, (left, upper))
        return canvas
    if size == (box[2] - box[0], box[3] - box[1]):
        return image.crop(box)
    return image.resize(size, _FILTERS[config.resample], box=box)


def encode(image: Image.Image, encoding: str, quality: int) -> bytes:
    """Encode an image; the bytes depend on its pixels only.

    Args:
        image: Mode `L` or `RGB`, for `jpeg` also `YCbCr`.
        encoding: `jpeg` (chroma at half resolution), `png`, or `raw` (uint8
            [H, W, C] in row-major order).
        quality: JPEG quality, 1 to 100.
    """
    if encoding == "raw":
        return image.tobytes()
    image.info = {}  # Pillow would copy comments and profiles of the source.
    buffer = io.BytesIO()
    if encoding == "jpeg":
        image.save(buffer, "JPEG", quality=quality)
    elif encoding == "png":
        image.save(buffer, "PNG")
    else:
        raise ValueError(f"Unknown encoding {encoding!r}.")
    return buffer.getvalue()


def convert(
    picture: Picture, config: config_lib.ConvertConfig, shape: tuple[int, int, int]
) -> bytes:
    """Turn a source picture into the bytes that are stored.

    Args:
        picture: A path, an encoded image, or uint8 [H, W] or [H, W, C].
        config: How images become shards.
        shape: (height, width, channels) that every stored image has.

    Raises:
        ImageError: The image is damaged.
        UserError: The image is sound but does not fit the settings.
    """
    with _opened(picture) as image:
        full = _upright_size(image)
        box, size = _crop_box(full, config.crop), output_size(full, config)
        shrinkage = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        if _orientation(image) != 1:
            shrinkage = 1  # Reduced, it might be off by a part of a pixel.
        mode, scale = jpeg_draft.begin(image, config, shape[-1], shrinkage)
        image = _decode(image, mode)
    if size != (shape[1], shape[0]):
        raise files.UserError(
            f"Expected images of one size with --image_size=0, {shape[1]} x {shape[0]} "
            f"pixels as the first, received {size[0]} x {size[1]}; set --image_size, "
            "or --crop to a number of pixels."
        )
    if scale > 1:
        box = [edge / scale for edge in box]
    return encode(_cut(image, box, size, config), config.encoding, config.quality)
