"""The KL term of the loss: free bits, and its weight fact over the steps.

The divergence itself is `kernels.ops.diagonal_gaussian_kl`.
"""

from collections.abc import Callable

import tensorflow as tf

from vae_prod import config as config_lib


def charged_kl(config: config_lib.ModelConfig, kl: tf.Tensor) -> tf.Tensor:
    """Return the KL that the loss charges for, in nats per image.

    With free bits, a dimension's batch mean below the allowance costs the allowance
    (Kingma et al. 2016, eq. 15, one group per dimension).

    Args:
        config: Holds `free_bits`.
        kl: float32 [B, ..., z_dim], nats.

    Returns:
        float32 [...], averaged over the batch and summed over the dimensions.
    """
    charged = tf.maximum(tf.reduce_mean(kl, axis=0), config.free_bits)
    return tf.reduce_sum(charged, axis=-1)


def fact_at(config: config_lib.ModelConfig, step: tf.Tensor) -> tf.Tensor:
    """Return the weight of the KL loss at a training step.

    Args:
        config: Says which of `SCHEDULES`.
        step: int64 [], steps done so far.

    Returns:
        float32 [].
    """
    share = SCHEDULES[config.fact_schedule](step, config.fact_warmup_steps)
    return config.fact * share


def _constant(step: tf.Tensor, ramp: int) -> tf.Tensor:
    del step, ramp
    return tf.ones([])


def _linear(step: tf.Tensor, ramp: int) -> tf.Tensor:
    """Warm up, Bowman et al. (2016)."""
    # Steps are counted in integers: float32 would stop counting at 2^24.
    return tf.cast(tf.minimum(step, ramp), tf.float32) / ramp


def _cyclical(step: tf.Tensor, ramp: int) -> tf.Tensor:
    """Warm up again and again, half of each cycle; Fu et al. (2019), eq. 7."""
    return _linear(step % (2 * ramp), ramp)


# Of a name of `config.FACT_SCHEDULES`: (steps done, steps of a ramp) to the share of
# fact, float32 [] in [0, 1].
SCHEDULES: dict[str, Callable[[tf.Tensor, int], tf.Tensor]] = {
    "constant": _constant,
    "linear": _linear,
    "cyclical": _cyclical,
}
