"""Features of several kinds brought to one scale: that of the real images."""

from collections.abc import Sequence

import numpy as np


def weights(real: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Return what features are multiplied by before sets are compared.

    Each feature is divided by its deviation over the real images, or by the root mean
    square of its group's where that is larger, so that what hardly varies isn't blown
    up; and by the root of its group's size, so that each group counts the same.

    Args:
        real: Features of real images, float [N, D].
        groups: Numbers of features of each kind, in their order; D in all. Empty:
            features are compared as they are.

    Returns:
        float64 [D].
    """
    if not groups:
        return np.ones(real.shape[1])
    parts = np.split(real.var(axis=0, dtype=np.float64), np.cumsum(groups)[:-1])
    # No group is empty of variance but of images that are all equal.
    deviations = [
        np.sqrt(np.maximum(part, max(part.mean(), 1e-12)) * len(part)) for part in parts
    ]
    return 1.0 / np.concatenate(deviations)
