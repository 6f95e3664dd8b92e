"""What each image adds to a Wasserstein-1 distance, by Kantorovich's potential.

W1 of two distributions is the largest difference of the means of a function that
nowhere changes faster than its argument (Villani 2003, theorem 1.14). In one dimension
its slope is the sign of the difference of both distribution functions. To first order
W1 changes with its samples as these two means do, the potential staying as it is
(Sommerfeld & Munk 2018), so the potential at a sample is the sample's influence.
"""

import numpy as np

# Of the range of the samples: the potential is known to a bin's width.
_BINS = 512


def influences(
    first: np.ndarray, second: np.ndarray, num_images: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each image adds to the mean W1 of projections.

    Args:
        first: float32 [K, N x P], K projections of P samples of each of N images.
        second: The other set, like it.
        num_images: N.

    Returns:
        For both sets float64 [N]. The mean of one and the mean of the other add up to
        the distance.
    """
    totals = np.zeros((2, num_images))
    for pair in zip(first, second, strict=True):
        for total, values in zip(totals, _potential(*pair), strict=True):
            total += values.reshape(num_images, -1).mean(axis=1, dtype=np.float64)
    totals[1] *= -1
    return tuple(totals / len(first))


def _potential(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """Return the potential at each sample of both sets, in bins: float64 [N] each."""
    low = min(first.min(), second.min())
    width = (max(first.max(), second.max()) - low) / _BINS or 1.0
    # The highest sample would be a bin of its own.
    bins = [
        np.minimum((values - low) * (1 / width), _BINS - 1).astype(np.int32)
        for values in (first, second)
    ]
    counts = [np.bincount(each, minlength=_BINS) for each in bins]
    slopes = np.sign(np.cumsum(counts[1] - counts[0]))
    potential = width * np.cumsum(slopes)
    return [potential[each] for each in bins]
