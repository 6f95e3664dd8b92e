"""A model built and compiled for training: precision, guard, optimizer, jit."""

from vae_prod import config as config_lib
from vae_prod.core import accelerators
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam as adam_lib
from vae_prod.optim import schedules
from vae_prod.training import devices, precision


def build(
    model_config: config_lib.ModelConfig,
    config: config_lib.TrainConfig,
    steps_per_epoch: int = 1,
) -> vae_lib.VAE:
    """Build and compile the model, under the strategy in force.

    Args:
        model_config: The model.
        config: How it is trained.
        steps_per_epoch: Batches in an epoch, for what counts in epochs: a cosine's
            length, and the epoch of a step that is told.

    Raises:
        UserError: The settings can't be computed together on this device.
    """
    config = precision.resolve(config)
    jit = devices.resolve_jit(config)
    on_cpu = not accelerators.visible()
    config_lib.check_precision(model_config, config, jit, cpu=on_cpu)
    policy = config_lib.PRECISIONS[config.mixed_precision].policy
    model = vae_lib.VAE(model_config, config.seed, policy)
    model.guard.limit = config.max_bad_steps
    model.guard.steps_per_epoch = steps_per_epoch
    optimizer = adam_lib.Adam(
        schedules.learning_rate(config, steps_per_epoch),
        config.gradient_accumulation,
        config.ema,
        config.gradient_clip_norm,
    )
    at_once = devices.resolve_steps_per_execution(config, steps_per_epoch)
    model.compile(optimizer, jit_compile=jit, steps_per_execution=at_once)
    return model
