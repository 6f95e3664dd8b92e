"""Devices of a run: threads, GPU memory, determinism, XLA (jit), strategy."""

import contextlib

import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.core import accelerators, nvidia

# Of a call, on an accelerator: 0.05 s of the reference model's steps, where a call
# costs 0.001 s.
_MOST_STEPS = 32


def set_up(config: config_lib.TrainConfig) -> None:
    """Apply threads, memory and determinism, before anything runs.

    Prints a line where an NVIDIA GPU is there and TensorFlow doesn't use it.

    Raises:
        UserError: TensorFlow has already been running in this process, or no GPU can
            be used and one is required.
    """
    _check_gpu(config)
    try:
        if config.cpu_only:
            tf.config.set_visible_devices([], "GPU")
        if config.cpu_threads:
            tf.config.threading.set_intra_op_parallelism_threads(config.cpu_threads)
            tf.config.threading.set_inter_op_parallelism_threads(config.cpu_threads)
        for device in tf.config.get_visible_devices("GPU"):
            if config.gpu_memory_limit_mb:
                limit = tf.config.LogicalDeviceConfiguration(config.gpu_memory_limit_mb)
                tf.config.set_logical_device_configuration(device, [limit])
            else:
                # Of a process that has used the GPU already, its memory is as it is.
                with contextlib.suppress(RuntimeError):
                    tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        raise files.UserError(
            f"Devices must be set up before TensorFlow is used: {error}"
        ) from error
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def _check_gpu(config: config_lib.TrainConfig) -> None:
    seen = [] if config.cpu_only else accelerators.visible()
    driver = nvidia.has_driver()
    unused = nvidia.unused(driver, len(seen))
    if config.require_gpu and not seen:
        why = unused or (
            "CPU alone, no NVIDIA driver is loaded. Load one, or leave the flag out."
        )
        if config.cpu_only:
            why = "--cpu_only, which leaves it alone. Give one of the two."
        raise files.UserError(f"Expected a GPU by --require_gpu, received {why}")
    if unused and not config.cpu_only:
        print(f"note: {unused}", flush=True)


def resolve_jit(config: config_lib.TrainConfig) -> bool:
    """Decide whether the train step is compiled with XLA.

    On the CPUs measured, XLA runs these convolutions at about 0.6 of the speed of the
    plain graph, so `auto` compiles for accelerators only.
    """
    if config.deterministic:
        return False
    return config.jit_compile == "true" or (
        config.jit_compile == "auto" and bool(accelerators.visible())
    )


def resolve_steps_per_execution(
    config: config_lib.TrainConfig, steps_per_epoch: int
) -> int:
    """Decide how many steps TensorFlow takes in one call.

    On an accelerator as many as divide an epoch, so that no call takes fewer, for
    which another program would be compiled; where there is no such number that is
    large enough, the largest that is waited for.
    """
    if config.steps_per_execution:
        return config.steps_per_execution
    alone = config.strategy == "none"
    if not (alone and resolve_jit(config) and accelerators.visible()):
        return 1
    most = min(_MOST_STEPS, steps_per_epoch)
    divisors = (n for n in range(most, most // 2, -1) if steps_per_epoch % n == 0)
    return next(divisors, most)


def make_strategy(config: config_lib.TrainConfig) -> tf.distribute.Strategy:
    """Return the strategy of this process: TensorFlow's default or all local GPUs."""
    if config.strategy in ("none", "multi_worker"):
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    raise ValueError(f"Unknown strategy {config.strategy!r}.")
