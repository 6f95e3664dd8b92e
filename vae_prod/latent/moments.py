"""Mean and variance of rows that arrive in batches, of any shape."""

import numpy as np


class Moments:
    """Mean and variance of rows that arrive in batches of any size.

    Chan, Golub & LeVeque (1983), eq. 2.1: exact but for the rounding of float64,
    whatever the mean, and weighted by rows, not by batches.

    Attributes:
        count: Rows so far.
        mean: float64 [...], over the rows.
    """

    def __init__(self):
        self.count = 0
        self.mean = np.float64(0.0)
        self._squares = np.float64(0.0)  # Sum of squared deviations from the mean.

    def update(self, values: np.ndarray) -> None:
        """Add rows [B, ...]."""
        if not len(values):
            return
        values = np.asarray(values, np.float64)
        mean = values.mean(axis=0)
        total = self.count + len(values)
        difference = mean - self.mean
        self.mean = self.mean + difference * (len(values) / total)
        self._squares = (
            self._squares
            + np.square(values - mean).sum(axis=0)
            + np.square(difference) * (self.count * len(values) / total)
        )
        self.count = total

    @property
    def variance(self) -> np.ndarray:
        """Variance over the rows, float64 [...], divided by their count."""
        return self._squares / self.count
