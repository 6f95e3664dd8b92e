"""Distances of generated images from held-out ones, for any points to decode."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from tools import progress
from tools.studies import lab as lab_lib
from vae_prod.evaluation import resampling, wasserstein
from vae_prod.reporting import image_grids, uncertainty

_BATCH = 250
_UNKNOWN = resampling.Estimate(math.nan, np.full(resampling.REPLICATES, math.nan))

Sets = Mapping[str, Callable[[], Iterable[np.ndarray]]]


class HeldOut:
    """Held-out images that sets of as many others are compared with.

    Holds patches, not images: of 500 images of 96x96x3 a ninth of a GB, and as much for
    the set that is compared.

    Args:
        lab: The study's data and settings.
        opened: A run; its reading of the held-out images is taken.

    Attributes:
        num_images: Images behind each distance.
    """

    def __init__(self, lab: lab_lib.Lab, opened: lab_lib.Opened):
        limit, split = lab.study.measured_images, lab.held_out
        self.num_images = min(limit, lab.num_images(split))
        self._seed = lab.train.seed
        self._shape = opened.codec.image_shape
        self._targets = self._patches(clean(lab, opened, split))

    def measure(self, sets: Sets) -> dict[str, resampling.Estimate]:
        """Compare sets of images with the held-out ones.

        Args:
            sets: Name to what gives batches of images, uint8 or float in [0, 1]
                [B, H, W, C], `num_images` or more in all.

        Returns:
            Name to distance, the mean over the levels; lower is better. All are on the
            same real images, so that their differences are paired. NaN where there are
            too few images.
        """
        distances = {}
        with progress.Progress("sets of images") as show:
            for name, batches in sets.items():
                show(len(distances), len(sets))
                patches = self._patches(batches(), resampling.GENERATED)
                distances[name] = _UNKNOWN
                if patches.num_images == self.num_images:
                    distance = wasserstein.distance(patches, self._targets, self._seed)
                    distances[name] = distance.mean
            show(len(distances), len(sets))
        return distances

    def decoded(
        self, opened: lab_lib.Opened, z: np.ndarray
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Return what gives decoded points, float32 [num_images or more, z_dim]."""
        return lambda: (
            opened.codec.decode(z[i : i + _BATCH]) for i in range(0, len(z), _BATCH)
        )

    def _patches(
        self, batches: Iterable[np.ndarray], stream: int = resampling.REAL
    ) -> wasserstein.Patches:
        patches = wasserstein.Patches(self._shape, self._seed, stream=stream)
        for images in batches:
            missing = self.num_images - patches.num_images
            patches.add(image_grids.to_uint8(images[:missing]))
            if len(images) >= missing:
                break
        return patches


def cell(distance: resampling.Estimate) -> uncertainty.Uncertain | float:
    """Return a distance with its interval, as a table shows it."""
    if math.isnan(distance.value):
        return distance.value
    return uncertainty.Uncertain(distance.value, distance.half_width)


def values(measured: Mapping[str, resampling.Estimate]) -> dict[str, float]:
    """Return distances without their intervals."""
    return {name: distance.value for name, distance in measured.items()}


def clean(lab: lab_lib.Lab, opened: lab_lib.Opened, split: str) -> Iterator[np.ndarray]:
    """Give a split's clean images in batches, uint8 [B, H, W, C], in file order."""
    for batch in lab.batches(opened, split):
        yield batch.get("target", batch["image"]).numpy()
