"""Laplacian pyramids: images split into bands of octaves, finest first.

Burt & Adelson (1983), "The Laplacian pyramid as a compact image code".
"""

import numpy as np

_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_SMALLEST = 16


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the pyramid's levels, finest first.

    The paper's images have powers of two as their sizes, and its pyramids end at 16x16.
    Other sizes are halved while both sides are even and their halves are at least 16:
    96 gives 96, 48, 24; 48 gives 48, 24; images below 32 have one level.
    """
    sizes = [(height, width)]
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= _SMALLEST:
        height, width = height // 2, width // 2
        sizes.append((height, width))
    return sizes


def _blur(images: np.ndarray, axis: int, stride: int = 1) -> np.ndarray:
    """Filter along an axis, mirrored at its ends; keep every `stride`-th value."""
    size = images.shape[axis]
    pad = [(2, 2) if i == axis else (0, 0) for i in range(images.ndim)]
    images = np.moveaxis(np.pad(images, pad, mode="reflect"), axis, 0)
    taps = (images[i : i + size : stride] * weight for i, weight in enumerate(_KERNEL))
    return np.moveaxis(sum(taps), 0, axis)


def halve(images: np.ndarray) -> np.ndarray:
    """Return the next level of the Gaussian pyramid.

    Burt & Adelson (1983), with their binomial filter.

    Args:
        images: float32 [B, H, W, C], H and W even.

    Returns:
        float32 [B, H / 2, W / 2, C].
    """
    return _blur(_blur(images, 1, stride=2), 2, stride=2)


def enlarge(images: np.ndarray) -> np.ndarray:
    """Interpolate to twice the size with the same filter: float32 [B, 2H, 2W, C]."""
    num, height, width, channels = images.shape
    spread = np.zeros((num, 2 * height, 2 * width, channels), np.float32)
    # Three of four values are 0, so the filter's weights count four times.
    spread[:, ::2, ::2] = 4 * images
    return _blur(_blur(spread, 1), 2)


def bands(images: np.ndarray, num_levels: int) -> list[np.ndarray]:
    """Split images into bands: what each halving loses, and what is left at last.

    Args:
        images: float32 [B, H, W, C].
        num_levels: Number of bands.

    Returns:
        Bands float32 [B, H / 2^l, W / 2^l, C], finest first.
    """
    bands = []
    for _ in range(num_levels - 1):
        smaller = halve(images)
        bands.append(images - enlarge(smaller))
        images = smaller
    return [*bands, images]
