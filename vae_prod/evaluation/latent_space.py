"""What each latent dimension does, with replicates of what is said of all together."""

from collections.abc import Callable

import attrs
import numpy as np

from vae_prod.evaluation import held_out, resampling
from vae_prod.latent import per_dimension


@attrs.frozen(eq=False)
class LatentSpace:
    """What each latent dimension does, of all images and of each replicate.

    Attributes:
        dimensions: Of all images, float64 [z_dim] each.
        replicates: The same of replicates, float64 [REPLICATES, z_dim] each.
    """

    dimensions: per_dimension.Dimensions
    replicates: per_dimension.Dimensions

    def estimate(
        self, figure: Callable[[per_dimension.Dimensions], np.ndarray]
    ) -> resampling.Estimate:
        """Return a figure of all dimensions, given what takes it of the last axis."""
        value = np.asarray(figure(self.dimensions)).item()
        return resampling.Estimate(value, figure(self.replicates))


class Moments:
    """`LatentSpace` of posteriors that arrive in batches of any size."""

    def __init__(self):
        self._moments = per_dimension.Moments()
        self._mean, self._square, self._noise, self._kl = (
            resampling.Mean() for _ in range(4)
        )

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch."""
        z_mean = np.asarray(batch.z_mean, np.float64)
        kl, noise = self._moments.add(batch.z_mean, batch.z_log_var)
        self._mean.add(z_mean, batch.counts)
        self._square.add(np.square(z_mean), batch.counts)
        self._noise.add(noise, batch.counts)
        self._kl.add(kl, batch.counts)

    def result(self) -> LatentSpace:
        """Return the figures of all images so far, at least one."""
        mean, square, noise, kl = (
            moment.result().replicates
            for moment in (self._mean, self._square, self._noise, self._kl)
        )
        spread = np.maximum(square - np.square(mean), 0.0)
        replicates = per_dimension.Dimensions(kl, mean, spread, noise)
        return LatentSpace(self._moments.result(), replicates)
