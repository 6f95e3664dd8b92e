"""Pictures: opened safely, turned upright, fitted to a shape and encoded.

Built on Pillow alone, so that worker processes never load TensorFlow. Alpha is
composited on black, the colour that padding has too. Sixteen-bit greys are scaled
to eight bits. Colour profiles are not applied.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from pipelines import config as config_lib
from pipelines import crops, files, trust
from pipelines.converting import jpeg_draft

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

_NO_FACE = crops.Face()

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
    opened: BinaryIO
    if isinstance(picture, str):
        opened = trust.open_regular(picture)
    else:
        opened = io.BytesIO(picture)
    with opened as file:
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


def output_size(
    size: tuple[float, float], config: config_lib.ConvertConfig
) -> tuple[int, int]:
    """Return the (width, height) of the image that a region becomes.

    Args:
        size: (width, height) of the region; whole numbers where it isn't resized.
        config: Uses `image_size` and `pad`.

    Raises:
        UserError: The padding can't hold the region.
    """
    if not config.image_size:
        return int(size[0]), int(size[1])
    if config.pad and max(size) > config.image_size:
        raise files.UserError(
            f"Expected images of at most {config.image_size} x {config.image_size} "
            f"pixels for --pad, received {size[0]} x {size[1]}; raise --image_size, "
            "crop to a smaller square, or resize with --pad=false."
        )
    return config.image_size, config.image_size


def fit(
    image: Image.Image, config: config_lib.ConvertConfig, face: crops.Face = _NO_FACE
) -> Image.Image:
    """Crop, then resize or pad an image as the settings say.

    Args:
        image: Mode `L` or `RGB`.
        config: Uses `crop`, `image_size`, `pad` and `resample`.
        face: Where its face is.

    Returns:
        An image of the same mode and of size `output_size`.

    Raises:
        UserError: The crop or the padding can't hold the image.
    """
    region = crops.parse(config.crop).region(image.size, face)
    return _cut(image, region, output_size(region.size, config), config)


def _cut(
    image: Image.Image,
    region: crops.Region,
    size: tuple[int, int],
    config: config_lib.ConvertConfig,
) -> Image.Image:
    """Return a region of an image, resized or padded to a size."""
    if not region.is_within(image.size):
        image, region = _alone(image, region)
    if config.pad:
        canvas = Image.new(image.mode, size)
        cropped = image.crop(region.box)
        left, upper = ((a - b) // 2 for a, b in zip(size, cropped.size, strict=True))
        canvas.paste(cropped, (left, upper))
        return canvas
    if size == region.size:
        return image.crop(region.box)
    return image.resize(size, _FILTERS[config.resample], box=region.box)


def _alone(
    image: Image.Image, region: crops.Region
) -> tuple[Image.Image, crops.Region]:
    """Return the surroundings of a region, edges repeated, and where it is in them.

    A turned region is turned back, by Keys' cubic convolution at the image's own scale,
    so that it becomes smaller only once, with the filter that is asked for.
    """
    left, upper, right, lower = region.bounds()
    box = max(left, 0), max(upper, 0), min(right, image.width), min(lower, image.height)
    pixels = np.asarray(image.crop(box))
    beyond = (box[1] - upper, lower - box[3]), (box[0] - left, right - box[2])
    pixels = np.pad(pixels, (*beyond, (0, 0))[: pixels.ndim], "edge")
    image = Image.fromarray(pixels, image.mode)
    region = region.shifted(-left, -upper)
    if not region.angle:
        return image, region
    width, height = (math.ceil(edge) for edge in region.size)
    upright = image.transform(
        (width, height),
        Image.Transform.AFFINE,
        region.to_picture(),
        Image.Resampling.BICUBIC,
    )
    return upright, crops.Region(0, 0, *region.size)


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
    picture: Picture,
    config: config_lib.ConvertConfig,
    shape: tuple[int, int, int],
    face: crops.Face = _NO_FACE,
) -> bytes:
    """Turn a source picture into the bytes that are stored.

    Args:
        picture: A path, an encoded image, or uint8 [H, W] or [H, W, C].
        config: How images become shards.
        shape: (height, width, channels) that every stored image has.
        face: Where its face is.

    Raises:
        ImageError: The image is damaged, or its face isn't where it should be.
        UserError: The image is sound but does not fit the settings.
    """
    with _opened(picture) as image:
        region = crops.parse(config.crop).region(_upright_size(image), face)
        size = output_size(region.size, config)
        shrinkage = min(a / b for a, b in zip(region.size, size, strict=True))
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
        region = region.scaled(1 / scale)
    return encode(_cut(image, region, size, config), config.encoding, config.quality)
