"""Which attributes cost quality: images that have one are reconstructed how much worse.

A mean over all images hides groups that a model serves worse; figures by group are what
Mitchell et al. (2019), "Model cards for model reporting", section 4.3, ask for.
"""

from collections.abc import Sequence

import attrs
import numpy as np

from vae_prod.evaluation import held_out, image_similarity, resampling

# Images with an attribute, and without it, below which their difference says nothing.
FEWEST = 10


@attrs.frozen
class Gap:
    """What an attribute goes with.

    Attributes:
        name: The attribute.
        num_images: Images that have it.
        gap: Decibels by which the mean PSNR of reconstructions of images that have it
            is above that of the others; negative where they are reconstructed worse.
        low: Where the interval of 95 % begins.
        high: Where it ends.
    """

    name: str
    num_images: int
    gap: float
    low: float
    high: float


class AttributeGaps:
    """The gap of each attribute, of images that arrive in batches.

    Memory is a few kilobytes an attribute.

    Args:
        names: The attributes, in the order in which batches have them.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names
        self._numbers = np.zeros([2, len(names)], np.int64)
        self._means = [[resampling.Mean() for _ in names] for _ in range(2)]

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch that has its attributes.

        Raises:
            ValueError: It hasn't.
        """
        if batch.attributes is None:
            raise ValueError("expected a batch with its attributes")
        error = np.square(batch.reconstructions - batch.clean).mean(axis=(1, 2, 3))
        psnr = image_similarity.psnr(error)
        for value, means in enumerate(self._means):
            have = batch.attributes == value
            self._numbers[value] += have.sum(axis=0)
            for mean, chosen in zip(means, have.T, strict=True):
                if chosen.any():
                    mean.add(psnr[chosen], batch.counts[chosen])

    def result(self) -> list[Gap]:
        """Return the gaps, largest first, of attributes that enough images have."""
        gaps = [
            self._gap(number)
            for number in range(len(self._names))
            if self._numbers[:, number].min() >= FEWEST
        ]
        return sorted(gaps, key=lambda gap: -abs(gap.gap))

    def _gap(self, number: int) -> Gap:
        without, having = (means[number].result() for means in self._means)
        difference = resampling.difference(having, without)
        low, high = difference.interval
        count = int(self._numbers[1, number])
        return Gap(self._names[number], count, difference.number, low, high)
