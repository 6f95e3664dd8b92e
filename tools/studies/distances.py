"""Distances of generated images from held-out ones, for any points to decode."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from tools import progress
from tools.studies import lab as lab_lib
from vae_prod.evaluation import resampling
from vae_prod.evaluation.features import frechet, scaling
from vae_prod.reporting import uncertainty

_BATCH = 250
_UNKNOWN = resampling.Estimate(math.nan, np.full(resampling.REPLICATES, math.nan))

Sets = Mapping[str, Callable[[], Iterable[np.ndarray]]]


class HeldOut:
    """Held-out images that sets of as many others are compared with.

    Holds features, not images.

    Args:
        lab: The study's data and settings.
        opened: A run; its reading of the held-out images is taken.

    Attributes:
        num_images: Images behind each distance.
        judge: The feature extractor.
    """

    def __init__(self, lab: lab_lib.Lab, opened: lab_lib.Opened):
        limit, split = lab.study.measured_images, lab.held_out
        self.num_images = min(limit, lab.num_images(split))
        self.judge = lab.judge(opened)
        self._counts = [
            resampling.counts(lab.train.seed, stream, 0, self.num_images)
            for stream in (resampling.GENERATED, resampling.REAL)
        ]
        real = self._features(clean(lab, opened, split))
        self._weights = scaling.weights(real, self.judge.groups)
        self._real = real * self._weights

    def measure(self, sets: Sets) -> dict[str, resampling.Estimate]:
        """Compare sets of images with the held-out ones.

        Args:
            sets: Name to what gives batches of images, uint8 or float in [0, 1]
                [B, H, W, C], `num_images` or more in all.

        Returns:
            Name to the Fréchet distance in the judge's features; lower is better. All
            are from the same real images, so that their differences are paired. NaN
            where there are too few images.
        """
        distances = {}
        with progress.Progress("sets of images") as show:
            for name, batches in sets.items():
                show(len(distances), len(sets))
                features = self._features(batches())
                distances[name] = _UNKNOWN
                if len(features) == self.num_images:
                    distances[name] = frechet.frechet_distance(
                        features * self._weights, self._real, self._counts
                    )
            show(len(distances), len(sets))
        return distances

    def decoded(
        self, opened: lab_lib.Opened, z: np.ndarray
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Return what gives decoded points, float32 [num_images or more, z_dim]."""
        return lambda: (
            opened.codec.decode(z[i : i + _BATCH]) for i in range(0, len(z), _BATCH)
        )

    def _features(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        parts, missing = [], self.num_images
        for images in batches:
            parts.append(self.judge.features(images[:missing]))
            missing -= len(parts[-1])
            if not missing:
                break
        return np.concatenate(parts)


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
