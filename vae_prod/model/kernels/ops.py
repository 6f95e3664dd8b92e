"""Ops of the train step with analytic gradients; all compile under XLA.

Everything is computed and reduced in float32, whatever the precision of the inputs,
and gradients are returned in the inputs' precision.

Of the likelihoods nothing is kept for the backward pass but their inputs, which may be
bfloat16 logits and uint8 targets: 3 bytes an element. Their gradients begin again from
these. Computing is cheaper than memory there: each likelihood is two loops over the
elements, one forward and one backward, which XLA makes (`fusing`).
"""

import math
from collections.abc import Callable

import tensorflow as tf

from vae_prod.model.kernels import fusing


def scale_images(images: tf.Tensor) -> tf.Tensor:
    """Map uint8 [0, 255] to float32 [0, 1], on the device; floats pass unchanged."""
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    return tf.cast(images, tf.float32)


def limited_normal(shape, seed: tf.Tensor, limit: float) -> tf.Tensor:
    """Draw stateless standard normal noise with |epsilon| <= limit.

    Integers are mapped through the inverse of the normal distribution: integer draws
    are the same with and without XLA, which TensorFlow's own normal draws are not.
    Their 23 bits end the distribution at about 5.3.

    Args:
        shape: Shape of the result.
        seed: int32 or int64 [2]; the same seed gives the same noise.
        limit: Draws beyond are clipped to it; 0 leaves them unlimited.

    Returns:
        float32 [*shape].
    """
    bits = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    odd = tf.cast(bits, tf.float32) * 2.0 + 1.0  # exact, in [1, 2^24)
    noise = math.sqrt(2.0) * tf.math.erfinv(odd * 2.0**-23 - 1.0)
    return tf.clip_by_value(noise, -limit, limit) if limit else noise


@tf.custom_gradient
def reparameterize(
    z_mean: tf.Tensor, z_log_var: tf.Tensor, epsilon: tf.Tensor
) -> tf.Tensor:
    """Sample z = z_mean + exp(z_log_var / 2) * epsilon.

    Kingma & Welling (2014), eq. 10. No gradient flows into epsilon.

    Args:
        z_mean: [B, z_dim].
        z_log_var: [B, z_dim].
        epsilon: [B, z_dim].

    Returns:
        z [B, z_dim], float32.
    """
    deviation = tf.exp(0.5 * tf.cast(z_log_var, tf.float32))
    shift = deviation * tf.cast(epsilon, tf.float32)

    def gradient(upstream):
        d_log_var = 0.5 * shift * upstream
        return (
            tf.cast(upstream, z_mean.dtype),
            tf.cast(d_log_var, z_log_var.dtype),
            None,
        )

    return tf.cast(z_mean, tf.float32) + shift, gradient


@tf.custom_gradient
def diagonal_gaussian_kl(z_mean: tf.Tensor, z_log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence of N(z_mean, exp(z_log_var)) from N(0, 1), per dimension.

    Kingma & Welling (2014), appendix B, unreduced:
    -1/2 (1 + z_log_var - z_mean^2 - exp(z_log_var)).

    Args:
        z_mean: [B, z_dim].
        z_log_var: [B, z_dim].

    Returns:
        float32 [B, z_dim], nats.
    """
    mean = tf.cast(z_mean, tf.float32)
    log_var = tf.cast(z_log_var, tf.float32)
    # expm1 keeps the digits where the posterior is close to the prior.
    excess = tf.math.expm1(log_var)

    def gradient(upstream):
        d_mean = tf.cast(upstream * mean, z_mean.dtype)
        return d_mean, tf.cast(0.5 * upstream * excess, z_log_var.dtype)

    return 0.5 * (tf.square(mean) + excess - log_var), gradient


def _fold(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return size = |l| and residual = |x - [l > 0]|, float32, and where l > 0.

    The likelihoods give x at logits l what they give 1 - x at -l. Written for l <= 0
    alone, in size and residual, they have no difference of large numbers and no
    overflow.
    """
    logits = tf.cast(logits, tf.float32)
    positive = logits > 0.0
    # Of integers, 1 - x is exact.
    whole = 255 if targets.dtype == tf.uint8 else 1.0
    if targets.dtype != tf.uint8:
        targets = tf.cast(targets, tf.float32)
    residual = scale_images(tf.where(positive, whole - targets, targets))
    return tf.abs(logits), residual, positive


@fusing.fused
def _partial_sums(value: Callable, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Sum value(size, residual) over all axes from the third on: float32 [B, ...].

    XLA adds one term after the other; of a whole image, they would lose digits.
    """
    size, residual, _ = _fold(logits, targets)
    return tf.reduce_sum(value(size, residual), axis=list(range(2, len(logits.shape))))


@fusing.fused
def _gradient(
    slope: Callable, logits: tf.Tensor, targets: tf.Tensor, upstream: tf.Tensor
) -> tf.Tensor:
    """Return upstream [B] times the slope of value(size, residual) by the logits."""
    size, residual, positive = _fold(logits, targets)
    by_size = slope(size, residual)
    upstream = tf.reshape(upstream, [-1] + [1] * (len(logits.shape) - 1))
    gradient = upstream * tf.where(positive, by_size, -by_size)
    return tf.cast(gradient, logits.dtype)


def _sum_per_image(
    value: Callable, slope: Callable, logits: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """Sum a likelihood over each image.

    Args:
        value: Maps size and residual to nats, elementwise.
        slope: Maps them to the derivative of `value` by size.
        logits: [B, ...].
        targets: [B, ...], uint8 or float.

    Returns:
        float32 [B].
    """

    @tf.custom_gradient
    def likelihood(logits, targets):
        def gradient(upstream):
            return _gradient(slope, logits, targets, upstream), None

        sums = _partial_sums(value, logits, targets)
        return tf.reduce_sum(sums, axis=list(range(1, len(sums.shape)))), gradient

    return likelihood(logits, targets)


def _bernoulli(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    """Return log(1 + exp(-size)) + size * residual.

    The logarithm is 2 artanh(t), t = exp(-size) / (2 + exp(-size)) <= 1/3. Seven terms
    of its series keep every digit of float32, and take half as long as a log1p.
    """
    exp = tf.exp(-size)
    t = exp / (2.0 + exp)
    square = t * t
    series = tf.zeros_like(t)
    for power in (13, 11, 9, 7, 5, 3, 1):
        series = series * square + 2.0 / power
    return series * t + size * residual


def _bernoulli_slope(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    return residual - tf.sigmoid(-size)


def _truncated_exponential(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    """Return -log(size exp(-size residual) / (1 - exp(-size))).

    This is what the continuous Bernoulli is on [0, 1].
    """
    size = tf.maximum(size, 1e-30)
    return size * residual - tf.math.log(size / -tf.math.expm1(-size))


def _truncated_exponential_slope(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    """Return residual - mean, mean = 1 / size - 1 / (exp(size) - 1).

    Below 1, where the difference loses digits, the mean is its Taylor series.
    """
    near = size < 1.0
    square = size * size
    series = 1.0 / 720.0 + square * (-1.0 / 30240.0 + square / 1209600.0)
    series = 0.5 + size * (-1.0 / 12.0 + square * series)
    size = tf.where(near, 1.0, size)
    return residual - tf.where(near, series, 1.0 / size - 1.0 / tf.math.expm1(size))


def _square(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    return tf.square(residual - tf.sigmoid(-size))


def _square_slope(size: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
    mean = tf.sigmoid(-size)
    return 2.0 * (residual - mean) * (mean * (1.0 - mean))


def bernoulli_nll(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy from logits, summed over each image.

    log(1 + exp(l)) - l x, with gradient sigmoid(l) - x; Kingma & Welling (2014),
    eq. 11. No gradient flows into the targets.

    Args:
        logits: [B, ...], before the sigmoid.
        targets: [B, ...], uint8 in [0, 255] or float in [0, 1].

    Returns:
        float32 [B], nats per image.
    """
    return _sum_per_image(_bernoulli, _bernoulli_slope, logits, targets)


def continuous_bernoulli_nll(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of the continuous Bernoulli, summed over each image.

    The binary cross-entropy minus log C, with C = l / tanh(l / 2) and its limit 2 at
    l = 0; the gradient is sigmoid(l) - x - (1 / l - 1 / sinh(l)). Loaiza-Ganem &
    Cunningham (2019), eq. 3, in logits. No gradient flows into the targets.

    Args:
        logits: [B, ...], before the sigmoid.
        targets: [B, ...], uint8 in [0, 255] or float in [0, 1].

    Returns:
        float32 [B], nats per image.
    """
    return _sum_per_image(
        _truncated_exponential, _truncated_exponential_slope, logits, targets
    )


def squared_error(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Squared error of s = sigmoid(logits), summed over each image.

    (s - x)^2, with gradient 2 (s - x) s (1 - s). No gradient flows into the targets.

    Args:
        logits: [B, ...], before the sigmoid.
        targets: [B, ...], uint8 in [0, 255] or float in [0, 1].

    Returns:
        float32 [B].
    """
    return _sum_per_image(_square, _square_slope, logits, targets)
