"""The learning rate as a function of the updates made, so that resuming is exact."""

import math

import keras
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib


@keras.saving.register_keras_serializable("vae_prod")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that one of `SHAPES` brings down to its floor, after a linear warm-up.

    Warm-up: Goyal et al. (2017), section 2.2; the n-th of `warmup_steps` updates has
    the n-th part of the rate.

    Args:
        rate: The rate after the warm-up.
        shape: How it goes on, one of `SHAPES`.
        warmup_steps: Updates of the warm-up; 0: none.
        decay_steps: Updates, with those of the warm-up, after which the rate has come
            down to its floor, where it stays.
        floor: Fraction of the rate that it comes down to.
    """

    def __init__(
        self,
        rate: float,
        shape: str = "constant",
        warmup_steps: int = 0,
        decay_steps: int = 0,
        floor: float = 0.0,
    ):
        self.rate = rate
        self.shape = shape
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.floor = floor

    def __call__(self, step) -> tf.Tensor:
        """Return the rate, float32 [], of the update after `step` others."""
        # Counted in integers: float32 would stop counting at 2^24.
        step = tf.cast(step, tf.int64)
        rate = tf.constant(self.rate, tf.float32)
        if self.warmup_steps:
            warm = tf.minimum(step + 1, self.warmup_steps)
            rate *= tf.cast(warm, tf.float32) / self.warmup_steps
        if self.decay_steps:
            length = max(self.decay_steps - self.warmup_steps, 1)
            done = tf.clip_by_value(step - self.warmup_steps, 0, length)
            above = SHAPES[self.shape](tf.cast(done, tf.float32) / length)
            rate *= self.floor + (1.0 - self.floor) * above
        return rate

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        names = ("rate", "shape", "warmup_steps", "decay_steps", "floor")
        return {name: getattr(self, name) for name in names}


def _constant(done: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(done)


def _cosine(done: tf.Tensor) -> tf.Tensor:
    """Loshchilov & Hutter (2017), eq. 5, without restarts."""
    return 0.5 * (1.0 + tf.cos(done * math.pi))


# Of a name of `config.LEARNING_RATE_SCHEDULES`: the share of the decay that is done,
# float32 [] in [0, 1], to where the rate is between its floor, 0, and its height, 1.
SHAPES = {"constant": _constant, "cosine": _cosine}


def learning_rate(
    config: config_lib.TrainConfig, steps_per_epoch: int
) -> float | LearningRate:
    """Return the learning rate that the settings say, or its schedule.

    Args:
        config: The settings.
        steps_per_epoch: Batches in an epoch; for the length of a decay that lasts for
            all `epochs`.

    Raises:
        UserError: The warm-up leaves the decay no updates.
    """
    decay_steps, shape = 0, config.learning_rate_schedule
    if config_lib.LEARNING_RATE_SCHEDULES[shape].decays:
        batches = config.epochs * steps_per_epoch
        decay_steps = config.learning_rate_decay_steps or max(
            batches // config.gradient_accumulation, 1
        )
        if config.learning_rate_warmup_steps >= decay_steps:
            raise files.UserError(
                "Expected --learning_rate_warmup_steps below the updates of the whole "
                f"{shape}, {decay_steps:,}, received "
                f"{config.learning_rate_warmup_steps:,}. Shorten the warm-up, or train "
                "for more --epochs."
            )
    if not decay_steps and not config.learning_rate_warmup_steps:
        return config.learning_rate
    return LearningRate(
        config.learning_rate,
        shape,
        config.learning_rate_warmup_steps,
        decay_steps,
        config.learning_rate_floor,
    )
