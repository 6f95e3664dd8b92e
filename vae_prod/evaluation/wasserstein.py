"""Distance between two sets of images: sliced Wasserstein over pyramid patches.

Karras et al. (2018), "Progressive growing of GANs for improved quality, stability, and
variation", section 5. Patches of each level of the images' Laplacian pyramids are
compared as distributions, so each distance says how alike two sets are at one scale:
the finest level sees edges, texture and noise, the coarsest sees layout.

What to know when reading the figures:

- Both sets' patches are normalised by the real images' mean and deviation, where the
  paper takes each set's own: so brightness, contrast and colours count that all images
  of a set have too much or too little of.
- Two sets of different photographs of faces are not at distance 0 but at a floor that
  falls with their number: of 32x32x3, about 38 for 150 images (with a deviation of 11
  between such sets, most of it brightness), 15 for 600. Only distances between as many
  images compare.
- Intervals are linearised: of what each image adds to the distance (`potentials`). Near
  the floor they are too wide, by about a third.
"""

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.lib import stride_tricks

from pipelines import files
from vae_prod.evaluation import laplacian_pyramid, potentials, resampling

# Whose mean and deviation normalise the patches, as the protocol has it.
NORMALISED_BY = "real images"
_PATCH = 7
_NUM_DIRECTIONS = 512  # The paper's 4 x 128; their mean is the mean over all.
# Directions projected on at a time: they bound the memory beside the patches.
_CHUNK = 32
# Those behind the intervals: an image's part is much the same in all directions.
_INTERVAL_DIRECTIONS = 64
# Of a deviation, on [0, 1]: a fortieth of a grey level, below which is only rounding.
_FLOOR = 1e-4


@attrs.frozen
class Distance:
    """Distances of two sets, in thousandths of a deviation of the real patches' pixels.

    Lower is better; 0 is reached by equal sets.

    Attributes:
        levels: Height of a pyramid's level in pixels to the distance there, finest
            level first.
    """

    levels: dict[int, resampling.Estimate]

    @property
    def mean(self) -> resampling.Estimate:
        """Mean over the levels."""
        return resampling.derived(
            lambda *levels: sum(levels) / len(levels), *self.levels.values()
        )


def check_size(image_shape: tuple[int, int, int]) -> None:
    """Refuse images, (height, width, channels), that no patch fits into.

    Raises:
        UserError: They are smaller than a patch.
    """
    height, width, _ = image_shape
    if min(height, width) < _PATCH:
        raise files.UserError(
            f"Expected images of at least {_PATCH}x{_PATCH} to compare their patches, "
            f"received {height}x{width}. Convert to another --image_size."
        )


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
        stream: Draws of the bootstrap that belong to the images: `resampling.REAL` of
            real ones and of what is made of each, `resampling.GENERATED` of others.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        seed: int = 1,
        per_image: int = 128,
        stream: int = resampling.REAL,
    ):
        check_size(image_shape)
        height, width, self.channels = image_shape
        self.image_shape = tuple(image_shape)
        self.sizes = laplacian_pyramid.level_sizes(height, width)
        self.per_image = per_image
        self.stream = stream
        self.num_images = 0
        # Per level the parts, each float32 [B x per_image, C x 49].
        self.levels: list[list[np.ndarray]] = [[] for _ in self.sizes]
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
        scaled = images.astype(np.float32) / scale
        bands = laplacian_pyramid.bands(scaled, len(self.sizes))
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


class _Scale:
    """Mean and deviation of each channel of real patches, which normalise all.

    Args:
        parts: A level's patches, float32 [B x per_image, C x 49] each.
        channels: C.
        num_images: N.

    Attributes:
        shift: Means, float64 [C x 49].
        scale: Deviations, float64 [C x 49].
        influences: What each image adds to the logarithm of the deviation, the mean of
            the channels, times N: float64 [N], 0 on average.
    """

    def __init__(self, parts: list[np.ndarray], channels: int, num_images: int):
        rows = [part.reshape(len(part), channels, -1) for part in parts]
        # Of one part after the other: a copy of all patches would double the memory.
        means = np.concatenate([part.mean(axis=2, dtype=np.float64) for part in rows])
        mean = means.mean(axis=0)
        squares = np.concatenate(
            [np.square(part - mean[:, None]).mean(axis=2) for part in rows]
        )
        squares = squares.reshape(num_images, -1, channels).mean(axis=1)  # [N, C]
        variance = squares.mean(axis=0)
        scale = np.maximum(np.sqrt(variance), _FLOOR)
        self.shift, self.scale = (np.repeat(x, _PATCH**2) for x in (mean, scale))
        self.influences = ((squares - variance) / (2 * np.square(scale))).mean(axis=1)

    def project(self, parts: list[np.ndarray], directions: np.ndarray) -> np.ndarray:
        """Project normalised patches on directions: float32 [directions, patches].

        The patches are left as they are; the directions are scaled and shifted instead.
        """
        scaled = directions / self.scale
        offset = (scaled @ self.shift).astype(np.float32)[:, None]
        scaled = scaled.astype(np.float32)
        return np.concatenate([scaled @ part.T for part in parts], axis=1) - offset


def _level_distances(
    sets: Sequence[Patches], real: Patches, level: int, seed: int
) -> list[resampling.Estimate]:
    parts = [patches.levels[level] for patches in (real, *sets)]
    scale = _Scale(parts[0], real.channels, real.num_images)
    dim = _PATCH * _PATCH * real.channels
    directions = np.random.default_rng(seed).normal(size=(_NUM_DIRECTIONS, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    totals = np.zeros(len(sets))
    influences = np.zeros((len(sets), 2, real.num_images))
    for start in range(0, _NUM_DIRECTIONS, _CHUNK):
        chunk = directions[start : start + _CHUNK]
        projected = [scale.project(each, chunk) for each in parts]
        if start < _INTERVAL_DIRECTIONS:
            influences += [
                potentials.influences(projected[0], other, real.num_images)
                for other in projected[1:]
            ]
        for values in projected:
            values.sort(axis=1)
        totals += [
            np.abs(projected[0] - other).sum(dtype=np.float64)
            for other in projected[1:]
        ]
    totals *= 1e3 / (_NUM_DIRECTIONS * projected[0].shape[1])
    influences *= 1e3 * _CHUNK / _INTERVAL_DIRECTIONS
    # All distances are in units of the real deviation.
    influences[:, 0] -= totals[:, None] * scale.influences
    counts = [
        resampling.counts(seed, patches.stream, 0, real.num_images)
        for patches in (real, *sets)
    ]
    return [
        resampling.linear(total, pair, (counts[0], other))
        for total, pair, other in zip(totals, influences, counts[1:], strict=True)
    ]


def distances(sets: Sequence[Patches], real: Patches, seed: int = 1) -> list[Distance]:
    """Compare sets with real images, of which there are as many.

    At each level, the mean over 512 random directions of the Wasserstein-1 distance of
    the projected patches (the mean absolute difference once both are sorted), times
    1,000 as in the paper's tables. A unit of 1,000 is a shift by one deviation.

    Args:
        sets: The sets.
        real: Real images.
        seed: Seed of the directions, and of the draws behind the intervals.

    Returns:
        A distance for each set.

    Raises:
        ValueError: The sets are empty, or differ in number, shape or patches per image.
    """
    expected = (real.num_images, real.image_shape, real.per_image)
    for each in sets:
        form = (each.num_images, each.image_shape, each.per_image)
        if form != expected or not real.num_images:
            raise ValueError(
                "Sets to compare must have as many images of one shape, at least 1, "
                f"and as many patches of each, received {form} and {expected}."
            )
    heights = [height for height, _ in real.sizes]
    levels = [_level_distances(sets, real, i, seed) for i in range(len(heights))]
    return [
        Distance(dict(zip(heights, of_set, strict=True)))
        for of_set in zip(*levels, strict=True)
    ]


def distance(images: Patches, real: Patches, seed: int = 1) -> Distance:
    """Compare one set with real images, see `distances`."""
    return distances([images], real, seed)[0]
