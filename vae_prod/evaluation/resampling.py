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
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import numpy as np

REPLICATES = 200
# Independent streams of draws under one seed: of real images, of generated ones, of
# trainings.
REAL, GENERATED, _TRAININGS = range(3)
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


_Value = float | int | np.ndarray


@attrs.frozen
class Estimate:
    """A figure with its replicates.

    Attributes:
        value: Of all images, each once: a number, or an array [...].
        replicates: [REPLICATES, ...].
    """

    value: _Value
    replicates: np.ndarray = attrs.field(
        eq=attrs.cmp_using(eq=np.array_equal), repr=False
    )

    @property
    def number(self) -> float:
        """`value` of a figure that is one number.

        Raises:
            TypeError: It is an array of them.
        """
        if isinstance(self.value, np.ndarray):
            raise TypeError(f"expected one number, received {self.value.shape}")
        return self.value

    @property
    def standard_error(self) -> float:
        """The replicates' deviation."""
        return float(self.replicates.std(ddof=1))

    @property
    def half_width(self) -> float:
        """Of the interval of 95 %."""
        return _DEVIATES * self.standard_error

    @property
    def interval(self) -> tuple[float, float]:
        """Where the figure of other images as many would be, with a chance of 95 %.

        Symmetric around the value: replicates of distances are biased, for some of
        their images come twice, but spread as they should.
        """
        return self.number - self.half_width, self.number + self.half_width

    def may_be(self, value: float) -> bool:
        """Say whether the interval contains a value."""
        low, high = self.interval
        return low <= value <= high


def derived(function: Callable[..., _Value], *estimates: Estimate) -> Estimate:
    """Return a figure that is computed of others, with its replicates.

    Args:
        function: Takes the others' values, and as well their replicates, an axis more
            in front.
        *estimates: The others, of the same images.
    """
    value = function(*(estimate.value for estimate in estimates))
    replicates = function(*(estimate.replicates for estimate in estimates))
    return Estimate(value if np.ndim(value) else float(value), np.asarray(replicates))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return by how much the first figure is above the second, on the same images."""
    return derived(operator.sub, first, second)


def check_replicates(_, attribute, value: Mapping[str, Sequence[float]]) -> None:
    """Refuse, as attrs' validators do, replicates of files that can't be compared.

    Raises:
        ValueError: They are others in number.
    """
    for name, replicates in value.items():
        if len(replicates) != REPLICATES:
            raise ValueError(
                f"'{attribute.name}' must hold {REPLICATES} numbers a figure, "
                f"received {len(replicates)} of {name[:80]!r}"
            )


def rounded(replicates: np.ndarray) -> list[float]:
    """Return replicates as files keep them, to six digits."""
    return [float(f"{value:.6g}") for value in replicates]


def over_trainings(trainings: Sequence[Estimate], seed: int) -> Estimate:
    """Return the mean of a figure over trainings from several seeds.

    The bootstrap of two stages (Davison & Hinkley 1997, section 3.8): replicate r has
    drawn the trainings anew too, with the same draws for all models that were trained
    as many times, so that training k of one is compared with training k of another.
    Drawing E trainings of E spreads too little by (E - 1) / E, which is put right.
    With two or three trainings the interval is a rough one all the same. Of one, it
    knows of images alone, and nothing of what another seed would change.

    Args:
        trainings: The figure of each, of the same images.
        seed: Of the evaluations.
    """
    count = len(trainings)
    mean = float(np.mean([training.value for training in trainings]))
    replicates = np.stack([training.replicates for training in trainings], axis=1)
    means = replicates.mean(axis=1)
    if count == 1:
        return Estimate(mean, means)
    random = np.random.default_rng([seed, _TRAININGS])
    drawn = random.multinomial(count, np.full(count, 1 / count), REPLICATES)
    moved = (drawn * (replicates - means[:, None])).mean(axis=1)
    return Estimate(mean, means + math.sqrt(count / (count - 1)) * moved)


class Mean:
    """The mean over images of what each has, with its replicates.

    Images arrive in batches and are not kept; the memory is that of `REPLICATES` means.
    """

    def __init__(self):
        self._sum, self._count = 0.0, 0
        self._sums, self._counts = (np.zeros(REPLICATES) for _ in range(2))

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Add a batch.

        Args:
            values: [B, ...]. Sums over a batch have the precision of floats, float64
                of others.
            counts: How often each is drawn, float32 [B, REPLICATES], see `counts`.
        """
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        if not self._count:
            self._sums = np.zeros((REPLICATES, *values.shape[1:]))
        rows = values.reshape(len(values), -1)
        sums = counts.T.astype(rows.dtype) @ rows
        self._sums += sums.reshape(self._sums.shape)
        self._counts += counts.sum(axis=0, dtype=np.float64)
        self._sum = self._sum + values.sum(axis=0, dtype=np.float64)
        self._count += len(values)

    def result(self) -> Estimate:
        """Return the mean of all so far, at least one: float64 [...].

        Replicates that drew no image, as there may be of few, have the mean of all.
        """
        mean = self._sum / self._count
        counts = self._counts.reshape(-1, *[1] * np.ndim(mean))
        means = np.where(counts > 0, self._sums / np.maximum(counts, 1.0), mean)
        return Estimate(mean if np.ndim(mean) else float(mean), means)


def linear(
    value: float, influences: Iterable[np.ndarray], counts: Iterable[np.ndarray]
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
        mean.add(np.asarray(influence, np.float64), drawn)
        result = mean.result()
        replicates += result.replicates - result.value
    return Estimate(float(value), replicates)
