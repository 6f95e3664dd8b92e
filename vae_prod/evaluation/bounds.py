"""The importance-weighted bound of the log-likelihood (IWAE)."""

import math
from collections.abc import Callable

import numpy as np

from vae_prod.latent import sampling


def importance_weighted_bound(
    z_mean: np.ndarray,
    z_log_var: np.ndarray,
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    num_samples: int,
    seeds: np.ndarray,
) -> np.ndarray:
    """Bound log p(x) from below by K weighted samples of the posterior.

    Burda et al. (2016), eq. 8: log of the mean of p(x | z_k) p(z_k) / q(z_k | x). Its
    expectation rises with K, from the ELBO at K = 1 to log p(x). Samples are taken one
    an image at a time: memory doesn't depend on K.

    Args:
        z_mean: float32 [B, z_dim].
        z_log_var: float32 [B, z_dim].
        log_likelihood: Maps z float32 [B, z_dim] to log p(x | z), [B], in nats.
        num_samples: K.
        seeds: int64 [B]; image b draws by the seeds from seeds[b] to seeds[b] + K - 1.

    Returns:
        float64 [B], nats per image.
    """
    mean, log_var = np.asarray(z_mean, np.float64), np.asarray(z_log_var, np.float64)
    total = np.full(len(mean), -np.inf)
    for sample in range(num_samples):
        noise = sampling.prior(seeds + sample, mean.shape[1])
        epsilon = noise.numpy().astype(np.float64)
        z = mean + np.exp(0.5 * log_var) * epsilon
        # The densities' constants are the same, and cancel.
        ratio = 0.5 * (log_var + np.square(epsilon) - np.square(z)).sum(axis=1)
        likelihood = np.asarray(log_likelihood(z.astype(np.float32)), np.float64)
        total = np.logaddexp(total, likelihood + ratio)
    return total - math.log(num_samples)
