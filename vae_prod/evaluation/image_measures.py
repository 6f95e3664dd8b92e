"""Measures of arrays alone: PSNR, SSIM, the importance-weighted bound."""

import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vae_prod.latent import sampling

# Of a mean squared error on [0, 1]; it limits PSNR to 100 dB.
_SMALLEST_ERROR = 1e-10
_SSIM_WINDOW = 11


def psnr(mean_squared_error: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio in decibels, of errors on [0, 1]."""
    error = np.asarray(mean_squared_error, np.float64)
    return -10.0 * np.log10(np.maximum(error, _SMALLEST_ERROR))


def ssim(images: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Return the structural similarity of images with their targets; 1 is equal.

    Wang et al. (2004), eq. 13, with their 11x11 Gaussian window of deviation 1.5,
    K1 = 0.01, K2 = 0.03; the mean over the places of the window that lie inside the
    image, and over channels (the paper's images are grey).

    Args:
        images: float32 [B, H, W, C] in [0, 1].
        targets: Like them.

    Returns:
        float32 [B], at most 1; None of images smaller than the window.
    """
    if min(images.shape[1:3]) < _SSIM_WINDOW:
        return None
    return _ssim(tf.constant(images), tf.constant(targets)).numpy()


@functools.partial(tf.function, reduce_retracing=True, autograph=False)
def _ssim(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    return tf.image.ssim(images, targets, 1.0, _SSIM_WINDOW, 1.5, 0.01, 0.03)


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
    mean, log_var = (np.asarray(each, np.float64) for each in (z_mean, z_log_var))
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
