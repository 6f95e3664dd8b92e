"""Distances of two sets of features: Fréchet, kernel, precision and recall.

Features are what a network trained on other images makes of images, and are near for
images that look alike. All distances depend on the extractor and, all but the kernel
distance, on the number of images: only figures of one extractor over as many images
compare.
"""

import attrs
import numpy as np

# Neighbours whose distance is the radius of a feature's sphere; the paper's choice.
_NEIGHBOURS = 3
FEWEST = _NEIGHBOURS + 1
# Rows of a kernel matrix at a time; they bound the memory.
_ROWS = 1024


@attrs.frozen
class FeatureDistances:
    """How samples compare with real images, in features.

    Attributes:
        num_images: Images of each kind.
        fid: Fréchet distance; lower is better.
        kid: Kernel distance; lower is better, 0 on average for equal distributions,
            and below by chance.
        precision: Share of samples that lie among the real images: fidelity.
        recall: Share of real images that lie among the samples: variety.
    """

    num_images: int
    fid: float
    kid: float
    precision: float
    recall: float


def compare(samples: np.ndarray, real: np.ndarray) -> FeatureDistances:
    """Compare the features of samples with those of as many real images.

    Args:
        samples: float32 [N, D].
        real: float32 [N, D].

    Raises:
        ValueError: The sets differ in shape, or have fewer than 4 features.
    """
    if samples.shape != real.shape or len(real) < FEWEST:
        raise ValueError(
            f"Sets to compare must have as many features, at least {FEWEST}, of one "
            f"size, received {samples.shape} and {real.shape}."
        )
    fid, kid = frechet_distance(samples, real), kernel_distance(samples, real)
    return FeatureDistances(len(real), fid, kid, *precision_recall(samples, real))


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features.

    Heusel et al. (2017), eq. 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is
    biased: with fewer features it is larger.

    Args:
        first: float [N, D], N at least 2.
        second: float [M, D].
    """
    means = [vectors.mean(axis=0, dtype=np.float64) for vectors in (first, second)]
    covariances = [
        np.atleast_2d(np.cov(vectors, rowvar=False, dtype=np.float64))
        for vectors in (first, second)
    ]
    return gaussian_frechet_distance(means[0], covariances[0], means[1], covariances[1])


def gaussian_frechet_distance(
    mean1: np.ndarray,
    covariance1: np.ndarray,
    mean2: np.ndarray,
    covariance2: np.ndarray,
) -> float:
    """Return the Fréchet distance of N(mean1, covariance1) and N(mean2, covariance2).

    The trace of (C1 C2)^(1/2) is that of (C1^(1/2) C2 C1^(1/2))^(1/2), whose argument
    is symmetric: no imaginary parts, also where covariances are singular.

    Args:
        mean1: float64 [D].
        covariance1: float64 [D, D].
        mean2: float64 [D].
        covariance2: float64 [D, D].
    """
    values, vectors = np.linalg.eigh(covariance1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance2 @ root)
    overlap = np.sqrt(np.maximum(product, 0.0)).sum()
    traces = np.trace(covariance1) + np.trace(covariance2)
    distance = np.square(mean1 - mean2).sum() + traces - 2.0 * overlap
    return float(max(distance, 0.0))


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the kernel distance of two sets of features.

    Bińkowski et al. (2018), section 4: the unbiased estimate of the squared maximum
    mean discrepancy with the kernel (x . y / D + 1)^3. All pairs are taken, where other
    implementations average over random subsets: the expectation is the same.

    Args:
        first: float [N, D], N at least 2.
        second: float [M, D], M at least 2.
    """
    within = [_mean_kernel(vectors, vectors, True) for vectors in (first, second)]
    return sum(within) - 2.0 * _mean_kernel(first, second)


def _mean_kernel(first: np.ndarray, second: np.ndarray, is_same: bool = False) -> float:
    """Return the kernel's mean over all pairs, of one set over pairs of others."""
    second = np.asarray(second, np.float64)
    total = 0.0
    for start in range(0, len(first), _ROWS):
        rows = np.asarray(first[start : start + _ROWS], np.float64)
        total += _kernel(rows @ second.T, rows.shape[1]).sum()
    if not is_same:
        return total / (len(first) * len(second))
    total -= _kernel(np.square(second).sum(axis=1), second.shape[1]).sum()
    return total / (len(first) * (len(first) - 1))


def _kernel(products: np.ndarray, size: int) -> np.ndarray:
    return (products / size + 1.0) ** 3


def precision_recall(samples: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """Return how many samples lie among the real images, and how many of those.

    Kynkäänniemi et al. (2019), eqs. 1 and 2: a point lies among others if it is in the
    sphere around one of them that reaches to that one's third neighbour.

    Args:
        samples: float [N, D], N at least 4.
        real: float [M, D], M at least 4.

    Returns:
        Precision, the share of samples among the real ones, and recall, the share of
        real ones among the samples; each in [0, 1].
    """
    return _share_among(samples, real), _share_among(real, samples)


def _share_among(points: np.ndarray, others: np.ndarray) -> float:
    from sklearn import metrics

    # The nearest one is the point itself.
    radii = np.concatenate(
        [
            np.partition(rows, _NEIGHBOURS, axis=1)[:, _NEIGHBOURS]
            for rows in metrics.pairwise_distances_chunked(others)
        ]
    )
    inside = [
        (rows <= radii).any(axis=1)
        for rows in metrics.pairwise_distances_chunked(points, others)
    ]
    return float(np.concatenate(inside).mean())
