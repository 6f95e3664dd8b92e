"""What training minimises: reconstruction likelihoods, KL, the schedule of fact.

Every term is given per example and reduced in one place (`vae.VAE`). The training
convention, after `reconstruction_weight`:

    0 (summed)  averaged over the channels, summed over the pixels of an image
    w > 0       w times the mean over all elements of an image

`nats_per_image` and `equivalent_beta` translate to the convention of beta-VAE
(negative log-likelihood summed over pixels and channels, in nats).
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
        config: Says which likelihood.
        logits: [B, H, W, C], before the sigmoid.
        targets: [B, H, W, C], uint8 in [0, 255] or float in [0, 1].
        variance: Of `gaussian_sigma` only: maps the squared error summed over each
            image, float32 [B], to sigma^2, float32 [].

    Returns:
        float32 [B], nats per image.
    """
    if config.reconstruction == "bce":
        return ops.bernoulli_nll(logits, targets)
    if config.reconstruction == "continuous_bernoulli":
        return ops.continuous_bernoulli_nll(logits, targets)
    if config.reconstruction == "mse":
        return ops.squared_error(logits, targets)
    if config.reconstruction == "gaussian_sigma":
        error = ops.squared_error(logits, targets)
        return gaussian_nll(error, variance(error), num_elements(config))
    raise ValueError(f"Unknown reconstruction {config.reconstruction!r}.")


def training_scale(config: config_lib.ModelConfig) -> float:
    """Return what nats per image are multiplied by in the training convention."""
    if config.reconstruction_weight:
        return config.reconstruction_weight / num_elements(config)
    return 1.0 / config.image_shape[-1]


def equivalent_beta(config: config_lib.ModelConfig) -> float:
    """Return beta of the beta-VAE convention: the KL's weight against nats."""
    return config.fact / training_scale(config)


def has_nats(config: config_lib.ModelConfig) -> bool:
    """Say whether the reconstruction is a log-likelihood, so that an ELBO exists."""
    return config.reconstruction != "mse"


def has_bits_per_dim(config: config_lib.ModelConfig) -> bool:
    """Say whether the likelihood is a density of the pixels, so bits/dim exist."""
    return config.reconstruction in ("gaussian_sigma", "continuous_bernoulli")


def bits_per_dim(config: config_lib.ModelConfig, nats_per_image: float) -> float:
    """Convert nats per image, of a density on [0, 1], to bits per dimension.

    The 8 is the change of variables to the 256 grey levels.
    """
    return nats_per_image / (num_elements(config) * math.log(2.0)) + 8.0


def fact_at(config: config_lib.ModelConfig, step: tf.Tensor) -> tf.Tensor:
    """Return the weight of the KL loss at a training step.

    Linear warm-up: Bowman et al. (2016); cyclical annealing with half of each cycle
    rising: Fu et al. (2019), eq. 7.

    Args:
        config: Says which schedule.
        step: int64 [], steps done so far.

    Returns:
        float32 [].
    """
    if config.fact_schedule == "constant":
        return tf.constant(config.fact, tf.float32)
    ramp = config.fact_warmup_steps
    if config.fact_schedule == "cyclical":
        step = step % (2 * ramp)
    elif config.fact_schedule != "linear":
        raise ValueError(f"Unknown fact_schedule {config.fact_schedule!r}.")
    # Steps are counted in integers: float32 would stop counting at 2^24.
    done = tf.cast(tf.minimum(step, ramp), tf.float32) / ramp
    return config.fact * done


def charged_kl(config: config_lib.ModelConfig, kl: tf.Tensor) -> tf.Tensor:
    """Return the KL that the loss charges for, in nats per image.

    With free bits, a dimension's batch mean below the allowance costs the allowance
    (Kingma et al. 2016, eq. 15, one group per dimension).

    Args:
        config: Holds `free_bits`.
        kl: float32 [B, z_dim], nats.

    Returns:
        float32 [], averaged over the batch and summed over the dimensions.
    """
    return tf.reduce_sum(tf.maximum(tf.reduce_mean(kl, axis=0), config.free_bits))
