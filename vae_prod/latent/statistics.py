"""Statistics of encoded images, streamed over arrays that may stay on disk.

Points are float [N, z_dim], as `latent.encode_to_disk` leaves them and `np.load` maps
them. Memory is that of a few thousand points, whatever N.
"""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from pipelines import files
from vae_prod.latent import moments as moments_lib

_CHUNK = 4096
# Of the radius' histogram. The last bin takes all that is beyond.
RADIUS_WIDTH = 0.5
_RADIUS_BINS = 2000
_COORDINATE_BINS = 101
# Half the width of the coordinates' histograms, in the largest root mean square.
_COORDINATE_RANGE = 6.0
# t-SNE of no more points takes one thread: more of them mostly wait for each other.
_FEW_POINTS = 5000


def _chunks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Go through arrays of equal length together, each as float64."""
    for first in range(0, len(arrays[0]), _CHUNK):
        parts = (array[first : first + _CHUNK] for array in arrays)
        yield tuple(np.asarray(part, np.float64) for part in parts)


@attrs.frozen(eq=False)
class Covariance:
    """Moments of points.

    Attributes:
        count: Points.
        mean: float64 [z_dim].
        matrix: float64 [z_dim, z_dim], divided by `count`.
    """

    count: int
    mean: np.ndarray
    matrix: np.ndarray

    def spectrum(self) -> np.ndarray:
        """Return the principal components' variances, largest first: float64 [z_dim].

        Their sum is that of the coordinates' variances.
        """
        return np.maximum(np.linalg.eigvalsh(self.matrix)[::-1], 0.0)


def covariance(z: np.ndarray) -> Covariance:
    """Return the points' mean and covariance, float [N, z_dim], in one pass.

    Chunks are combined as Chan, Golub & LeVeque (1983) do, eq. 2.1: exact but for the
    rounding of float64, whatever the mean.
    """
    count, mean = 0, np.zeros(z.shape[1])
    products = np.zeros((z.shape[1], z.shape[1]))
    for (part,) in _chunks(z):
        size, total = len(part), count + len(part)
        difference = part.mean(axis=0) - mean
        centred = part - part.mean(axis=0)
        products += centred.T @ centred
        products += np.outer(difference, difference) * (count * size / total)
        mean = mean + difference * (size / total)
        count = total
    return Covariance(count, mean, products / max(count, 1))


def mean_variance(z_log_var: np.ndarray) -> np.ndarray:
    """Return the posteriors' variance, averaged over images: float64 [z_dim]."""
    sums = (np.exp(part).sum(axis=0) for (part,) in _chunks(z_log_var))
    return sum(sums, np.zeros(z_log_var.shape[1])) / len(z_log_var)


@attrs.frozen(eq=False)
class Radii:
    """How far points are from the origin.

    Attributes:
        z_dim: Dimensions of the points.
        counts: int64 [bins], points of |z| in [0, 0.5), [0.5, 1), ...; as many bins as
            it takes, but what is above 1,000 is in the last of 2,000.
        mean: Of |z|.
        deviation: Of |z|.
        smallest: Of |z|.
        largest: Of |z|.
    """

    z_dim: int
    counts: np.ndarray
    mean: float
    deviation: float
    smallest: float
    largest: float

    @property
    def peak(self) -> float:
        """Middle of the fullest bin."""
        return (int(self.counts.argmax()) + 0.5) * RADIUS_WIDTH


def radii(z: np.ndarray) -> Radii:
    """Return the histogram of |z|, in bins of 0.5, of points float [N, z_dim].

    Raises:
        UserError: There are no points, or they aren't finite.
    """
    counts, moments = np.zeros(_RADIUS_BINS, np.int64), moments_lib.Moments()
    smallest, largest = np.inf, 0.0
    for (part,) in _chunks(z):
        radius = np.linalg.norm(part, axis=1)
        _check_finite(radius)
        bins = np.minimum(radius / RADIUS_WIDTH, _RADIUS_BINS - 1).astype(np.int64)
        counts += np.bincount(bins, minlength=_RADIUS_BINS)
        moments.update(radius)
        smallest = min(smallest, radius.min())
        largest = max(largest, radius.max())
    _check_any(moments.count)
    used = np.flatnonzero(counts)[-1] + 1
    return Radii(
        z.shape[1],
        counts[:used],
        float(moments.mean),
        float(np.sqrt(moments.variance)),
        float(smallest),
        float(largest),
    )


@attrs.frozen(eq=False)
class Coordinates:
    """Each coordinate's distribution.

    Attributes:
        mean: float64 [z_dim].
        deviation: float64 [z_dim].
        smallest: [z_dim].
        largest: [z_dim].
        edges: float64 [bins + 1] of the histograms, from below to above 0.
        counts: int64 [z_dim, bins]; the first and last bin take all that is beyond.
    """

    mean: np.ndarray
    deviation: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    edges: np.ndarray
    counts: np.ndarray


def coordinates(z: np.ndarray) -> Coordinates:
    """Return moments and histograms of each coordinate of points, in two passes.

    All histograms have the same 101 bins, which reach as far as the points, or to six
    times the largest root mean square of a coordinate if that is less.

    Raises:
        UserError: There are no points, or they aren't finite.
    """
    moments = moments_lib.Moments()
    smallest, largest = np.full((2, z.shape[1]), [[np.inf], [-np.inf]])
    for (part,) in _chunks(z):
        _check_finite(part)
        moments.update(part)
        smallest = np.minimum(smallest, part.min(axis=0))
        largest = np.maximum(largest, part.max(axis=0))
    _check_any(moments.count)
    root = np.sqrt(moments.variance + np.square(moments.mean)).max()
    farthest = max(-smallest.min(), largest.max())
    reach = min(farthest, _COORDINATE_RANGE * root) or 1.0
    edges = np.linspace(-reach, reach, _COORDINATE_BINS + 1)
    counts = np.zeros((z.shape[1], _COORDINATE_BINS), np.int64)
    columns = np.arange(z.shape[1]) * _COORDINATE_BINS
    for (part,) in _chunks(z):
        bins = ((part + reach) * (_COORDINATE_BINS / (2 * reach))).astype(np.int64)
        places = columns + np.clip(bins, 0, _COORDINATE_BINS - 1)
        counts += np.bincount(places.ravel(), minlength=counts.size).reshape(
            counts.shape
        )
    deviation = np.sqrt(moments.variance)
    return Coordinates(moments.mean, deviation, smallest, largest, edges, counts)


def choose_rows(num_rows: int, num_chosen: int, seed: int, purpose: str) -> np.ndarray:
    """Pick rows at random, the same for the same seed: int64 [num_chosen], ascending.

    Raises:
        UserError: More are wanted than there are.
    """
    if num_chosen > num_rows:
        raise files.UserError(
            f"Expected at most {num_rows} points for {purpose}, as many as there are "
            f"encoded images, received {num_chosen}. Lower it, or encode more images."
        )
    order = np.random.default_rng(seed).permutation(num_rows)
    return np.sort(order[:num_chosen])


def inertia_curve(
    points: np.ndarray,
    clusters: Sequence[int] = tuple(range(2, 81, 2)),
    seed: int = 1,
    on_progress=lambda done, total: None,
) -> np.ndarray:
    """Cluster points by mini-batch k-means, for several numbers of clusters.

    Args:
        points: float [N, z_dim], in memory; choose some of many (`choose_rows`).
        clusters: Numbers of clusters to try.
        seed: Of the first centres and of the mini-batches.
        on_progress: Called with (numbers tried, numbers in all).

    Returns:
        float64 [len(clusters)]: squared distance of a point from its cluster's centre,
        averaged over the points (the inertia divided by N).

    Raises:
        UserError: There are more clusters than points.
    """
    import threadpoolctl
    from sklearn import cluster

    if max(clusters) > len(points):
        raise files.UserError(
            f"Expected at most {len(points)} clusters, as many as points to cluster, "
            f"received {max(clusters)}. Lower the number of clusters, or cluster more "
            "points."
        )
    inertia = []
    for number in clusters:
        # A mini-batch is too little to share between threads.
        with threadpoolctl.threadpool_limits(1):
            fitted = cluster.MiniBatchKMeans(number, random_state=seed).fit(points)
        inertia.append(fitted.inertia_ / len(points))
        on_progress(len(inertia), len(clusters))
    return np.array(inertia)


def tsne(
    points: np.ndarray,
    early_exaggeration: float = 12.0,
    perplexity: float = 30.0,
    iterations: int = 1000,
    seed: int = 1,
) -> np.ndarray:
    """Place points on a plane by t-SNE (van der Maaten & Hinton, 2008).

    By the Barnes-Hut approximation, beginning from the first two principal components.
    Only ratios of distances matter to it; points that are all the same are placed at
    one place.

    Args:
        points: float [N, z_dim], in memory; choose some of many (`choose_rows`).
        early_exaggeration: Factor of the attraction in the first 250 iterations.
        perplexity: How many neighbours a point has, about.
        iterations: At most.
        seed: Of what is random in it.

    Returns:
        float32 [N, 2].

    Raises:
        UserError: There are no more points than `perplexity`, or some aren't finite.
    """
    import threadpoolctl
    from sklearn import manifold

    if perplexity >= len(points):
        raise files.UserError(
            f"Expected a perplexity below {len(points)}, the number of points to "
            f"place, received {perplexity:g}. Lower it, or place more points."
        )
    _check_finite(points)
    centred = np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64)
    size = np.abs(centred).max()
    if not size:
        # Their first principal component divides by 0, which ends the process.
        return np.zeros([len(points), 2], np.float32)
    placing = manifold.TSNE(
        early_exaggeration=early_exaggeration,
        perplexity=perplexity,
        init="pca" if points.shape[1] > 1 else "random",
        max_iter=iterations,
        random_state=seed,
    )
    threads = 1 if len(points) <= _FEW_POINTS else None
    with threadpoolctl.threadpool_limits(threads):
        return placing.fit_transform((centred / size).astype(np.float32))


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise files.UserError(
            "Expected finite latent points, received some that are not: training "
            "diverged. Take earlier weights, or train at a lower learning rate."
        )


def _check_any(count: int) -> None:
    if not count:
        raise files.UserError("Expected encoded images, received none.")
