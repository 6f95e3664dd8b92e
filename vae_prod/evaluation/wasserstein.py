"""Distance between two sets of images: sliced Wasserstein over pyramid patches.

Karras et al. (2018), "Progressive growing of GANs for improved quality, stability, and
variation", section 5. Patches of each level of the images' Laplacian pyramids are
compared as distributions, so each distance says how alike two sets are at one scale:
the finest level sees edges, texture and noise, the coarsest sees layout.

What to know when reading the figures:

- Each set's patches are normalised by their own mean and deviation. A constant added to
  all images, or contrast that all have more of, is not seen.
- Two sets of different photographs of faces are not at distance 0 but at a floor that
  falls with their number: of 32x32x3, 23 for 150 images, 11 for 600, 8 for 1,200. Only
  distances between as many images compare.
"""

import attrs
import numpy as np
from numpy.lib import stride_tricks

_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_PATCH = 7
_SMALLEST = 16
_NUM_DIRECTIONS = 512  # The paper's 4 x 128; their mean is the mean over all.
# Directions projected on at a time: they bound the memory beside the patches.
_CHUNK = 32
# Of a deviation, on [0, 1]: a fortieth of a grey level, below which is only rounding.
_FLOOR = 1e-4


@attrs.frozen
class Distance:
    """Distances of two sets, in thousandths of a deviation of their patches' pixels.

    Lower is better; 0 is reached by equal sets.

    Attributes:
        levels: Height of a pyramid's level in pixels to the distance there, finest
            level first.
    """

    levels: dict[int, float]

    @property
    def mean(self) -> float:
        """Mean over the levels."""
        return sum(self.levels.values()) / len(self.levels)


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the pyramid's levels, finest first.

    The paper's images have powers of two as their sizes, and its pyramids end at 16x16.
    Other sizes are halved while both sides are even and their halves are at least 16:
    96 gives 96, 48, 24; 48 gives 48, 24; images below 32 have one level.
    """
    if min(height, width) < _PATCH:
        raise ValueError(
            f"Images must be at least {_PATCH}x{_PATCH}, the size of a patch, received "
            f"{height}x{width}."
        )
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


def laplacian_pyramid(images: np.ndarray, num_levels: int) -> list[np.ndarray]:
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


class Patches:
    """The patches of a set of images, which is added a batch at a time.

    Images are not kept, patches are: 128 x 49 x channels x 4 bytes an image and level,
    which is 0.23 GB for 1,000 images of 96x96x3 (three levels).

    Image i of any set gives its patches at the same places, whatever the batches. The
    paper draws places anew for each set; so, two sets with the same images are at
    distance 0, and sets that differ are compared with less noise.

    Args:
        image_shape: (height, width, channels).
        seed: Seed of the patches' places; sets compare if they have the same.
        per_image: Patches an image and level.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], seed: int = 1, per_image: int = 128
    ):
        height, width, self.channels = image_shape
        self.image_shape = tuple(image_shape)
        self.sizes = level_sizes(height, width)
        self.per_image = per_image
        self.num_images = 0
        # Per level the parts, each float32 [B x per_image, C x 49].
        self.levels = [[] for _ in self.sizes]
        self._places = [
            np.random.default_rng([seed, i]) for i in range(len(self.sizes))
        ]

    def add(self, images: np.ndarray) -> None:
        """Add a batch, uint8 or float in [0, 1], [B, H, W, C] with any B."""
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"Images must be {self.image_shape}, received {images.shape[1:]}."
            )
        scale = 255 if images.dtype == np.uint8 else 1
        bands = laplacian_pyramid(images.astype(np.float32) / scale, len(self.sizes))
        for band, parts, places in zip(bands, self.levels, self._places, strict=True):
            parts.append(self._cut(band, places))
        self.num_images += len(images)

    def _cut(self, band: np.ndarray, places: np.random.Generator) -> np.ndarray:
        windows = stride_tricks.sliding_window_view(band, (_PATCH, _PATCH), (1, 2))
        num, rows, columns = windows.shape[:3]
        corners = places.integers([rows, columns], size=(num, self.per_image, 2))
        image = np.arange(num)[:, None]
        patches = windows[image, corners[..., 0], corners[..., 1]]  # [B, P, C, 7, 7]
        return patches.reshape(num * self.per_image, -1)


def _per_channel(parts: list[np.ndarray], channels: int) -> tuple[np.ndarray, ...]:
    """Return mean and deviation of each channel: float64 [C] each."""
    parts = [part.reshape(len(part), channels, -1) for part in parts]
    count = sum(part.size for part in parts) / channels
    mean = sum(part.sum(axis=(0, 2), dtype=np.float64) for part in parts) / count
    squares = (np.square(part - mean[:, None]).sum(axis=(0, 2)) for part in parts)
    return mean, np.sqrt(sum(squares) / count)


def _sorted_projections(
    parts: list[np.ndarray],
    scale: np.ndarray,
    shift: np.ndarray,
    directions: np.ndarray,
) -> np.ndarray:
    """Project normalised patches on directions: sorted float32 [directions, N].

    The patches are left as they are; the directions are scaled and shifted instead.
    """
    scaled = directions / scale
    offset = (scaled @ shift).astype(np.float32)[:, None]
    scaled = scaled.astype(np.float32)
    projected = np.concatenate([scaled @ part.T for part in parts], axis=1) - offset
    projected.sort(axis=1)
    return projected


def _level_distance(first: Patches, second: Patches, level: int, seed: int) -> float:
    dim = _PATCH * _PATCH * first.channels
    directions = np.random.default_rng(seed).normal(size=(_NUM_DIRECTIONS, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sets = []
    for patches in (first, second):
        parts = patches.levels[level]
        mean, deviation = _per_channel(parts, patches.channels)
        scale = np.repeat(np.maximum(deviation, _FLOOR), _PATCH * _PATCH)
        sets.append((parts, scale, np.repeat(mean, _PATCH * _PATCH)))
    total = 0.0
    for start in range(0, _NUM_DIRECTIONS, _CHUNK):
        chunk = directions[start : start + _CHUNK]
        one, other = (_sorted_projections(*patches, chunk) for patches in sets)
        total += np.abs(one - other).sum(dtype=np.float64)
    return float(1e3 * total / (_NUM_DIRECTIONS * one.shape[1]))


def distance(first: Patches, second: Patches, seed: int = 1) -> Distance:
    """Compare two sets of as many images.

    At each level, the mean over 512 random directions of the Wasserstein-1 distance of
    the projected patches (the mean absolute difference once both are sorted), times
    1,000 as in the paper's tables. A unit of 1,000 is a shift by one deviation.

    Args:
        first: One set.
        second: The other; the distance is symmetric.
        seed: Seed of the directions.

    Returns:
        The distances.

    Raises:
        ValueError: The sets are empty, or differ in number, shape or patches per image.
    """
    form = (first.num_images, first.image_shape, first.per_image)
    other = (second.num_images, second.image_shape, second.per_image)
    if form != other or not first.num_images:
        raise ValueError(
            "Sets to compare must have as many images of one shape, at least 1, and as "
            f"many patches of each, received {form} and {other}."
        )
    heights = [height for height, _ in first.sizes]
    levels = [_level_distance(first, second, i, seed) for i in range(len(heights))]
    return Distance(dict(zip(heights, levels, strict=True)))
