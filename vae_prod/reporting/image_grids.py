"""Grids of images: laid out, sharpened, as uint8 arrays and PNG files."""

import io
import os

import numpy as np
from PIL import Image, ImageEnhance

from pipelines import files


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Map float images in [0, 1] to uint8, rounding; uint8 passes unchanged."""
    if images.dtype == np.uint8:
        return images
    return np.clip(np.rint(images * 255.0), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay images out in rows on white.

    Args:
        images: uint8 or float in [0, 1], [N, H, W, C] with C 1 or 3.
        columns: Images per row.
        gap: Pixels between images.

    Returns:
        uint8 [height, width, 3].
    """
    images = to_uint8(np.asarray(images))
    num, height, width, channels = images.shape
    rows = -(-num // columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(size, 255, np.uint8)
    for index, image in enumerate(images):
        top = index // columns * (height + gap)
        left = index % columns * (width + gap)
        colored = np.repeat(image, 3, axis=-1) if channels == 1 else image
        sheet[top : top + height, left : left + width] = colored
    return sheet


def stacked_rows(columns: int, *sets: np.ndarray) -> np.ndarray:
    """Interleave rows, so that a grid shows originals above reconstructions.

    Args:
        columns: Images per row of the grid that follows.
        *sets: Arrays [N, H, W, C] of one type, N a multiple of `columns`.

    Returns:
        [num_sets N, H, W, C]: a row of the first set, the same row of the next, ...
    """
    shape = sets[0].shape[1:]
    rows = np.stack([images.reshape(-1, columns, *shape) for images in sets], axis=1)
    return rows.reshape(-1, *shape)


def sharpen(images: np.ndarray, factor: float) -> np.ndarray:
    """Sharpen each image with Pillow's `ImageEnhance.Sharpness`.

    Args:
        images: uint8 or float in [0, 1], [N, H, W, C].
        factor: 1 leaves images unchanged, 0 smooths, more sharpens.

    Returns:
        uint8 [N, H, W, C].
    """
    sharpened = []
    for image in to_uint8(np.asarray(images)):
        mode = image[..., 0] if image.shape[-1] == 1 else image
        enhancer = ImageEnhance.Sharpness(Image.fromarray(mode))
        sharpened.append(np.asarray(enhancer.enhance(factor)).reshape(image.shape))
    return np.stack(sharpened)


def png_bytes(image: np.ndarray) -> bytes:
    """Encode uint8 [H, W, 3] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(path: str, image: np.ndarray) -> None:
    """Write uint8 [H, W, 3] as PNG, aside first, then under its name."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    files.write(path, png_bytes(image))
