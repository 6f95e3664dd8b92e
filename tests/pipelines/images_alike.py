"""Drawn faces and damaged copies of them, for tests of what finds copies."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from pipelines import faces


def drawn(first: int, count: int) -> np.ndarray:
    """Return faces at half their size, uint8 [count, 109, 89, 3]."""
    return np.stack([_drawn(number) for number in range(first, first + count)])


def _drawn(number: int) -> np.ndarray:
    return np.asarray(Image.fromarray(faces.draw(number, 1).image).reduce(2))


def _through_jpeg(images: np.ndarray) -> np.ndarray:
    copies = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=30)
        copies.append(np.asarray(Image.open(file)))
    return np.stack(copies)


def _in_grey_levels(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def _noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 10, images.shape)
    return _in_grey_levels(images + noise)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exact": np.copy,
    "mirrored": lambda images: images[:, :, ::-1],
    "jpeg": _through_jpeg,
    "noisy": _noisy,
    "brighter": lambda images: _in_grey_levels(images * 1.1 + 10.0),
    "darker": lambda images: _in_grey_levels(images * 0.7),
    "moved": lambda images: np.roll(images, (1, -1), axis=(1, 2)),
    "mirrored_jpeg": lambda images: _through_jpeg(images[:, :, ::-1]),
}
