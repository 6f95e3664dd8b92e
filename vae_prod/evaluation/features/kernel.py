"""The kernel distance of two sets of features: KID."""

from collections.abc import Sequence

import numpy as np

from vae_prod.evaluation import resampling

# Rows of a kernel matrix at a time; they bound the memory.
_ROWS = 1024


def kernel_distance(
    first: np.ndarray,
    second: np.ndarray,
    counts: Sequence[np.ndarray],
    is_paired: bool = False,
) -> resampling.Estimate:
    """Return the kernel distance of two sets of features.

    Bińkowski et al. (2018), section 4: the unbiased estimate of the squared maximum
    mean discrepancy with the kernel (x . y / D + 1)^3. All pairs are taken, where other
    implementations average over random subsets: the expectation is the same.

    Of paired sets, such as images and their reconstructions, an image and its own
    partner are left out as an image and itself are (Gretton et al. 2012, eq. 4): they
    are alike whatever the distributions, and would make the estimate negative.

    Replicates are those of its Hoeffding projection: each image has the mean of the
    kernel over all pairs that it is in.

    Args:
        first: float [N, D], N at least 2.
        second: float [M, D], M at least 2.
        counts: How often each replicate draws each of the first, [N, REPLICATES], and
            of the second, see `resampling.counts`.
        is_paired: Feature i of the second set belongs to feature i of the first.
    """
    first, second = (np.asarray(features, np.float64) for features in (first, second))
    within = [_means(features, features, True)[0] for features in (first, second)]
    across = _means(first, second, is_paired)
    value = within[0].mean() + within[1].mean() - 2 * across[0].mean()
    influences = [2 * (within[i] - across[i]) for i in range(2)]
    return resampling.linear(value, influences, counts)


def _means(
    first: np.ndarray, second: np.ndarray, without_diagonal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel's means over the second set and over the first: [N], [M]."""
    size = first.shape[1]
    by_row, by_column = np.zeros(len(first)), np.zeros(len(second))
    for start in range(0, len(first), _ROWS):
        rows = first[start : start + _ROWS]
        kernel = (rows @ second.T / size + 1.0) ** 3
        if without_diagonal:
            np.fill_diagonal(kernel[:, start:], 0.0)
        by_row[start : start + _ROWS] = kernel.sum(axis=1)
        by_column += kernel.sum(axis=0)
    return by_row / (len(second) - without_diagonal), by_column / (
        len(first) - without_diagonal
    )
