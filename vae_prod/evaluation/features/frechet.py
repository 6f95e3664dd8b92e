"""The Fréchet distance of two sets of features: FID."""

from collections.abc import Sequence

import numpy as np

from vae_prod.evaluation import resampling


def frechet_distance(
    first: np.ndarray, second: np.ndarray, counts: Sequence[np.ndarray]
) -> resampling.Estimate:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features.

    Heusel et al. (2017), eq. 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), with
    covariances divided by N - 1. It is biased: with fewer features it is larger.

    The trace of the root is the sum of the singular values of X Y', where C1 = X'X and
    C2 = Y'Y. It is taken of their triangular factors: no inverse, no imaginary parts,
    whether the features or their dimensions are more.

    Replicates are those of the distance's first-order expansion in the weights of the
    images: image x of the first set adds 2 (m1 - m2)'x + x'(I - T) x, where x is
    centred and T is the optimal transport from the first Gaussian to the second. Their
    intervals are about the distance's expectation for as many images, bias included.
    Where there are few images for the dimensions, or the distributions are equal, so
    that the expansion vanishes, they are too long: of 95 %, 97 to 99 % hold it.

    Args:
        first: float [N, D], N at least 2.
        second: float [M, D].
        counts: How often each replicate draws each of the first, [N, REPLICATES], and
            of the second, see `resampling.counts`.
    """
    sets = [np.asarray(features, np.float64) for features in (first, second)]
    means = [features.mean(axis=0) for features in sets]
    scales = [np.sqrt(len(features) - 1) for features in sets]
    # Outer products of the rows add up to the covariance.
    rows = [(sets[i] - means[i]) / scales[i] for i in range(2)]
    orthogonal, triangular = zip(*map(np.linalg.qr, rows), strict=True)
    left, overlaps, right = np.linalg.svd(
        triangular[0] @ triangular[1].T, full_matrices=False
    )
    offset = means[0] - means[1]
    squares = [np.square(row).sum(axis=1) for row in rows]
    value = offset @ offset + squares[0].sum() + squares[1].sum() - 2 * overlaps.sum()
    influences = []
    for i, (sign, basis) in enumerate(((1, left), (-1, right.T))):
        transported = np.square(orthogonal[i] @ basis) @ overlaps
        shift = 2 * sign * scales[i] * (rows[i] @ offset)
        influences.append(shift + scales[i] ** 2 * (squares[i] - transported))
    return resampling.linear(max(value, 0.0), influences, counts)
