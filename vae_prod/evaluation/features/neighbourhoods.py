"""Precision, recall, density and coverage: sets of features by their neighbours.

Each feature of a set has a sphere that reaches to its k-th neighbour within the set;
the spheres together are where the set's distribution is taken to lie.

Replicates are those of the jackknife: what an image contributes is what changes without
it, where the spheres that it bounded reach to the next neighbour. Drawing images anew
fails here, for an image that is drawn twice is its own neighbour.

The jackknife's spread is on average at least the true one (Efron & Stein 1981): it
counts what two images do together with each of them. Precision, recall and density are
means over points, so by the law of total variance the points' part of the spread is
whole by itself, and the spheres' part that of the mean over endless points: see
`_over_endless_points`. Coverage is no such mean.

Measured on normal distributions, 400 to 1,000 images, 8 to 256 dimensions: intervals of
95 % hold the expectation of precision and recall in 92 to 97 % of draws, of density in
94 to 100 %, of coverage in 97 to 100 %. Where a share is within a few images of 0 or 1,
its interval is too short.
"""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from vae_prod.evaluation import resampling

# k of Kynkäänniemi et al. (2019) and of Naeem et al. (2020).
SHARE_NEIGHBOURS, DENSITY_NEIGHBOURS = 3, 5
NEIGHBOURS = {
    "precision": SHARE_NEIGHBOURS,
    "recall": SHARE_NEIGHBOURS,
    "density": DENSITY_NEIGHBOURS,
    "coverage": DENSITY_NEIGHBOURS,
}
FEWEST = max(NEIGHBOURS.values()) + 2


@attrs.frozen(eq=False)
class Spheres:
    """The spheres around a set of features.

    Attributes:
        radii: Distance of each one's k-th neighbour, [N].
        wider: Of the one after.
        neighbours: Which the first k are, int [N, k].
    """

    radii: np.ndarray
    wider: np.ndarray
    neighbours: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray, k: int) -> "Spheres":
        """Find the k nearest of each, float [N, D], N at least k + 2."""
        radii, wider, neighbours = [], [], []
        for start, rows in _distances(points, points):
            np.fill_diagonal(rows[:, start:], -1.0)  # Itself comes first.
            nearest = np.argpartition(rows, range(k + 2), axis=1)[:, 1 : k + 2]
            found = np.take_along_axis(rows, nearest, axis=1)
            radii.append(found[:, -2])
            wider.append(found[:, -1])
            neighbours.append(nearest[:, :k])
        return cls(*map(np.concatenate, (radii, wider, neighbours)))

    def add_up(self, values: np.ndarray) -> np.ndarray:
        """Return for each point the sum of the values of those it is a neighbour of."""
        repeated = np.repeat(values, self.neighbours.shape[1])
        return np.bincount(self.neighbours.ravel(), repeated, minlength=len(values))


def _distances(
    points: np.ndarray, others: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Give distances of some points at a time, with the number of the first."""
    from sklearn import metrics

    start = 0
    for rows in metrics.pairwise_distances_chunked(points, others):
        yield start, rows
        start += len(rows)


def _over_endless_points(halves: np.ndarray) -> np.ndarray:
    """Shrink influences by the part of their spread that is the points' chance.

    Args:
        halves: Influences of spheres' own points, by one half of the points inside and
            by the other, which are independent: float [2, N].

    Returns:
        Influences by all points, float [N]. Their mean square is as expected of
        endless points, for that is the mean product of the halves, times 4.
    """
    centred = halves - halves.mean(axis=1, keepdims=True)
    whole = centred.sum(axis=0)
    product = max(4 * (centred[0] @ centred[1]), 0.0)
    return whole * np.sqrt(product / max(whole @ whole, product, 1e-300))


def share_among(
    points: np.ndarray, others: np.ndarray, counts: Sequence[np.ndarray]
) -> resampling.Estimate:
    """Return the share of points that lie in the sphere of at least one of others.

    Kynkäänniemi et al. (2019), eqs. 1 and 2, k = 3. Of samples among real images it is
    the precision, of real images among samples the recall.

    Args:
        points: float [N, D].
        others: float [M, D], M at least 5.
        counts: How often each replicate draws each point, [N, REPLICATES], and each of
            the others, see `resampling.counts`.
    """
    spheres = Spheres.around(others, SHARE_NEIGHBOURS)
    is_inside = np.zeros(len(points))
    # How many points, of even and of odd numbers, come inside where one of the others
    # is absent, less those lost.
    change = np.zeros((2, len(others)))
    for start, rows in _distances(points, others):
        inside = rows <= spheres.radii
        number = inside.sum(axis=1)
        is_inside[start : start + len(rows)] = number > 0
        few = number <= 1  # Any others are inside whoever is absent.
        kept = np.zeros((few.sum(), len(others)), bool)
        point, sphere = np.nonzero(rows[few] <= spheres.wider)
        kept[point[:, None], spheres.neighbours[sphere]] = True
        come, lost = kept & (number[few, None] == 0), inside[few] & ~kept
        odd = (start + np.flatnonzero(few)) % 2 == 1
        for half, chosen in enumerate((~odd, odd)):
            change[half] += come[chosen].sum(axis=0) - lost[chosen].sum(axis=0)
    change *= (len(others) - 1) / len(points)
    influences = [is_inside, -_over_endless_points(change)]
    return resampling.linear(is_inside.mean(), influences, counts)


def density_coverage(
    samples: np.ndarray, real: np.ndarray, counts: Sequence[np.ndarray]
) -> tuple[resampling.Estimate, resampling.Estimate]:
    """Return how densely samples lie among real images, and how many have one near.

    Naeem et al. (2020), eqs. 2 and 3, k = 5. Density is the mean number of real spheres
    that a sample lies in, divided by k: 1 on average where the distributions are
    equal, above where samples keep to where real images are dense. Coverage is the
    share of real spheres with a sample inside: 1 - 2^-k on average where the
    distributions are equal and the sets large.

    Args:
        samples: float [N, D].
        real: float [M, D], M at least 7.
        counts: How often each replicate draws each sample, [N, REPLICATES], and each
            real image, see `resampling.counts`.
    """
    spheres = Spheres.around(real, DENSITY_NEIGHBOURS)
    around = np.zeros(len(samples))  # Spheres that a sample is in.
    # Samples of even and of odd numbers.
    within, wider = (np.zeros((2, len(real))) for _ in range(2))
    last = np.zeros(len(real))
    for start, rows in _distances(samples, real):
        inside = rows <= spheres.radii
        numbers = np.arange(start, start + len(rows))
        around[numbers] = inside.sum(axis=1)
        for half in range(2):
            chosen = numbers % 2 == half
            within[half] += inside[chosen].sum(axis=0)
            wider[half] += (rows[chosen] <= spheres.wider).sum(axis=0)
        last = np.maximum(last, (inside * numbers[:, None]).max(axis=0))
    scale = DENSITY_NEIGHBOURS * len(samples)
    gained = np.stack([spheres.add_up(more) for more in wider - within])
    halves = (within - gained) * (len(real) - 1) / scale
    density = resampling.linear(
        within.sum() / scale,
        [around / DENSITY_NEIGHBOURS, _over_endless_points(halves)],
        counts,
    )
    number = within.sum(axis=0)
    covered = number > 0
    only = np.bincount(last[number == 1].astype(int), minlength=len(samples))
    gained = spheres.add_up(~covered & (wider.sum(axis=0) > 0))
    coverage = resampling.linear(
        covered.mean(),
        [only * (len(samples) - 1) / len(real), covered - gained],
        counts,
    )
    return density, coverage
