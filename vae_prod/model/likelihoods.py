"""The reconstruction term of the loss: likelihoods of an image given z, and units.

Every term is given per example and reduced in one place (`vae.VAE.losses`). The
training convention, after `reconstruction_weight`:

    0 (summed)  averaged over the channels, summed over the pixels of an image
    w > 0       w times the mean over all elements of an image

`training_scale` and `equivalent_beta` translate to the convention of beta-VAE
(negative log-likelihood summed over pixels and channels, in nats). What each likelihood
has, such as an ELBO, says the table `config.LIKELIHOODS`.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.model.kernels import ops

LOG_2PI = math.log(2 * math.pi)


def num_elements(config: config_lib.ModelConfig) -> int:
    """Return the number of elements (height x width x channels) of an image."""
    return math.prod(config.image_shape)


def gaussian_nll(error: tf.Tensor, variance: tf.Tensor, elements: int) -> tf.Tensor:
    """Gaussian negative log-likelihood with one variance for all elements.

    Rybkin et al. (2021), "Simple and effective VAE training with calibrated
    decoders", eq. 5.

    Args:
        error: float32 [B], squared error summed over each image.
        variance: float32 [].
        elements: Number of elements of an image.

    Returns:
        float32 [B], nats per image.
    """
    constant = 0.5 * elements * (LOG_2PI + tf.math.log(variance))
    return constant + 0.5 * error / variance


def reconstruction_nats(
    config: config_lib.ModelConfig,
    logits: tf.Tensor,
    targets: tf.Tensor,
    variance: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Negative log-likelihood of the targets, summed over pixels and channels.

    For `mse` it is the squared error itself, which is a likelihood only up to scale.

    Args:
        config: Says which of `LIKELIHOODS`.
        logits: [B, H, W, C], before the sigmoid.
        targets: [B, H, W, C], uint8 in [0, 255] or float in [0, 1].
        variance: Of likelihoods with a variance only: maps the squared error summed
            over each image, float32 [B], to sigma^2, float32 [].

    Returns:
        float32 [B], nats per image.
    """
    return LIKELIHOODS[config.reconstruction](config, logits, targets, variance)


def _bce(config, logits, targets, variance):
    del config, variance
    return ops.bernoulli_nll(logits, targets)


def _mse(config, logits, targets, variance):
    del config, variance
    return ops.squared_error(logits, targets)


def _gaussian(config, logits, targets, variance):
    error = ops.squared_error(logits, targets)
    return gaussian_nll(error, variance(error), num_elements(config))


def _continuous_bernoulli(config, logits, targets, variance):
    del config, variance
    return ops.continuous_bernoulli_nll(logits, targets)


# Of a name of `config.LIKELIHOODS`: what `reconstruction_nats` is given to nats per
# image.
LIKELIHOODS = {
    "bce": _bce,
    "mse": _mse,
    "gaussian_sigma": _gaussian,
    "gaussian_learned": _gaussian,
    "continuous_bernoulli": _continuous_bernoulli,
}


def training_scale(config: config_lib.ModelConfig) -> float:
    """Return what nats per image are multiplied by in the training convention."""
    if config.reconstruction_weight:
        return config.reconstruction_weight / num_elements(config)
    return 1.0 / config.image_shape[-1]


def equivalent_beta(config: config_lib.ModelConfig) -> float:
    """Return beta of the beta-VAE convention: the KL's weight against nats."""
    return config.fact / training_scale(config)


def bits_per_dim(config: config_lib.ModelConfig, nats_per_image: float) -> float:
    """Convert nats per image, of a density on [0, 1], to bits per dimension.

    The 8 is the change of variables to the 256 grey levels.
    """
    return nats_per_image / (num_elements(config) * math.log(2.0)) + 8.0
