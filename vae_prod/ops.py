"""Ops of the train step with analytic gradients; all compile under XLA.

Everything is computed and reduced in float32, whatever the precision of the inputs,
and gradients are returned in the inputs' precision.
"""

import math

import tensorflow as tf


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


@tf.custom_gradient
def bernoulli_nll(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy from logits, summed over each image.

    max(l, 0) - l x + log(1 + exp(-|l|)); the gradient is sigmoid(l) - x, so nothing
    but the inputs is stored. No gradient flows into the targets.

    Args:
        logits: [B, ...], before the sigmoid.
        targets: [B, ...] in [0, 1].

    Returns:
        float32 [B], nats per image.
    """
    wide = tf.cast(logits, tf.float32)
    wide_targets = tf.cast(targets, tf.float32)
    nll = tf.nn.relu(wide) - wide * wide_targets + tf.math.softplus(-tf.abs(wide))

    def gradient(upstream):
        scale = tf.reshape(upstream, [-1] + [1] * (len(logits.shape) - 1))
        d_logits = scale * (tf.sigmoid(wide) - wide_targets)
        return tf.cast(d_logits, logits.dtype), None

    return tf.reduce_sum(nll, axis=list(range(1, len(logits.shape)))), gradient
