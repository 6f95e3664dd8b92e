"""Devices of a run: threads, GPU memory, determinism, XLA (jit), strategy."""

import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib


def set_up(config: config_lib.TrainConfig) -> None:
    """Apply threads, memory and determinism, before anything runs.

    Raises:
        UserError: TensorFlow has already been running in this process.
    """
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
                tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        raise files.UserError(
            f"Devices must be set up before TensorFlow is used: {error}"
        ) from error
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def has_accelerator() -> bool:
    """Say whether TensorFlow sees a GPU or TPU that it may use."""
    return any(d.device_type != "CPU" for d in tf.config.get_visible_devices())


def resolve_jit(config: config_lib.TrainConfig) -> bool:
    """Decide whether the train step is compiled with XLA.

    On the CPUs measured, XLA runs these convolutions at about 0.6 of the speed of the
    plain graph, so `auto` compiles for accelerators only.
    """
    if config.deterministic:
        return False
    return config.jit_compile == "true" or (
        config.jit_compile == "auto" and has_accelerator()
    )


def make_strategy(config: config_lib.TrainConfig) -> tf.distribute.Strategy:
    """Return the strategy of this process: TensorFlow's default or all local GPUs."""
    if config.strategy in ("none", "multi_worker"):
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    raise ValueError(f"Unknown strategy {config.strategy!r}.")
