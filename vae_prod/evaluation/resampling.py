"""How sure a figure is: the bootstrap over images, with the same draws for all models.

Efron (1979): the images that a figure was taken of are one draw of many that there
could have been. Replicates are the same figure of images drawn anew, with replacement,
from those; their spread is the figure's own. How often replicate r draws image i of a
split depends on the seed, i and r alone, whatever the batches and whatever the model
(Poisson with mean 1, which is drawing with replacement where the number of images is
left to chance: Chamandy et al. 2012). So the difference of two models' replicates has
the spread of the difference of the models on the same images, in which what all models
find hard cancels.
"""

import math
from collections.abc import Sequence

import attrs
import numpy as np

REPLICATES = 200
# Independent streams of draws under one seed: of real images, of generated ones.
REAL, GENERATED = range(2)
# Of a normal distribution, what holds 95 % of it.
_DEVIATES = 1.959964
# One block of Philox gives four numbers of 64 bits.
_BLOCKS = REPLICATES // 4
# P(count <= k) of a Poisson distribution of mean 1; beyond is less than 1e-13.
_CUMULATED = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(16)])


def counts(seed: int, stream: int, first: int, count: int) -> np.ndarray:
    """Return how often each replicate draws each image.

    Args:
        seed: Of the evaluation.
        stream: `REAL` or `GENERATED`.
        first: Number of the first image.
        count: Number of images.

    Returns:
        float32 [count, REPLICATES], whole numbers with mean 1.
    """
    generator = np.random.Philox(key=[seed, stream], counter=first * _BLOCKS)
    bits = generator.random_raw(count * REPLICATES).reshape(count, REPLICATES)
    uniform = (bits >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(_CUMULATED, uniform, side="right").astype(np.float32)


@attrs.frozen(eq=False)
class Estimate:
    """A figure with its replicates.

    Attributes:
        value: Of all images, each once.
        replicates: float64 [REPLICATES].
    """

    value: float
    replicates: np.ndarray

    @property
    def standard_error(self) -> float:
        """The replicates' deviation."""
        return float(self.replicates.std(ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """Where the figure of other images as many would be, with a chance of 95 %.

        Symmetric around the value: replicates of distances are biased, for some of
        their images come twice, but spread as they should.
        """
        half = _DEVIATES * self.standard_error
        return self.value - half, self.value + half


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return by how much the first figure is above the second, on the same images."""
    return Estimate(first.value - second.value, first.replicates - second.replicates)


class Mean:
    """The mean over images of a number each, with its replicates.

    Images arrive in batches and are not kept.
    """

    def __init__(self):
        self._sum, self._count = 0.0, 0
        self._sums = np.zeros(REPLICATES)
        self._counts = np.zeros(REPLICATES)

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Add a batch.

        Args:
            values: [B].
            counts: How often each is drawn, [B, REPLICATES], see `counts`.
        """
        values = np.asarray(values, np.float64)
        self._sum += values.sum()
        self._count += len(values)
        self._sums += values @ counts
        self._counts += counts.sum(axis=0, dtype=np.float64)

    def result(self) -> Estimate:
        """Return the mean of all so far, at least one.

        Replicates that drew no image, as there may be of few, have the mean of all.
        """
        mean = self._sum / self._count
        drawn = np.maximum(self._counts, 1.0)
        means = np.where(self._counts > 0, self._sums / drawn, mean)
        return Estimate(mean, means)


def linear(
    value: float, influences: Sequence[np.ndarray], counts: Sequence[np.ndarray]
) -> Estimate:
    """Return a figure with replicates of its first-order expansion.

    Args:
        value: Of all images.
        influences: What each image of each set adds to the figure, where the figure is
            about its mean over them: [N] for each set. Their own means don't count.
        counts: How often each replicate draws them, [N, REPLICATES] for each set.
    """
    replicates = np.full(REPLICATES, float(value))
    for influence, drawn in zip(influences, counts, strict=True):
        mean = Mean()
        mean.add(influence, drawn)
        result = mean.result()
        replicates += result.replicates - result.value
    return Estimate(float(value), replicates)
