"""What each latent dimension does over a data set, streamed."""

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.latent import moments as moments_lib
from vae_prod.model.kernels import ops

# Burda et al. (2016), section 5.1.
_ACTIVE_VARIANCE = 1e-2


@attrs.frozen(eq=False)
class Dimensions:
    """What each latent dimension does, averaged over images.

    The aggregate posterior is the mean of all images' posteriors: what the decoder was
    trained on, and what N(0, I) should resemble. Its moments are exact, not those of
    draws.

    Figures of all dimensions are taken over the last axis: there may be axes in front,
    of sets of images.

    Attributes:
        kl: float64 [..., z_dim], nats, of the posteriors from N(0, 1).
        mean: float64 [..., z_dim], of the aggregate posterior.
        spread: float64 [..., z_dim], variance of z_mean over the images.
        noise: float64 [..., z_dim], mean variance of the posteriors; 0 of an
            autoencoder.
    """

    kl: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    noise: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Deviation of the aggregate posterior: float64 [..., z_dim]."""
        return np.sqrt(self.spread + self.noise)

    @property
    def active_units(self) -> np.ndarray:
        """How many have a z_mean that varies over the images: int64 [...]."""
        return np.count_nonzero(self.spread > _ACTIVE_VARIANCE, axis=-1)

    @property
    def noise_share(self) -> np.ndarray:
        """The posteriors' part of the aggregate posterior's variance, in [0, 1].

        float64 [...], 0 where nothing varies.

        Over all dimensions together. Near 0, posteriors are points in the space that
        they share, and the decoder has learned nothing of what lies between them.
        """
        noise = self.noise.sum(axis=-1)
        total = self.spread.sum(axis=-1) + noise
        return np.where(total > 0, noise / np.where(total > 0, total, 1.0), 0.0)


class Moments:
    """`Dimensions` of posteriors that arrive in batches of any size."""

    def __init__(self):
        self._z_mean, self._kl, self._noise = (moments_lib.Moments() for _ in range(3))

    def add(
        self, z_mean: np.ndarray, z_log_var: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add a batch, each float32 [B, z_dim]; z_log_var None of an autoencoder.

        Returns:
            KL from N(0, 1) and variance of the posteriors, float64 [B, z_dim] each; 0
            of an autoencoder.
        """
        kl = noise = np.zeros(z_mean.shape)
        if z_log_var is not None:
            kl = ops.diagonal_gaussian_kl(tf.constant(z_mean), tf.constant(z_log_var))
            kl = kl.numpy().astype(np.float64)
            noise = np.exp(np.asarray(z_log_var, np.float64))
        self._z_mean.update(z_mean)
        self._kl.update(kl)
        self._noise.update(noise)
        return kl, noise

    def result(self) -> Dimensions:
        """Return the figures of all images so far, at least one."""
        points = self._z_mean
        return Dimensions(self._kl.mean, points.mean, points.variance, self._noise.mean)
