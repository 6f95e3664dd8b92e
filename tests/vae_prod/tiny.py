"""Tiny models and batches that the tests share."""

import functools

import keras
import numpy as np
import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def config(**changes) -> config_lib.ModelConfig:
    """Return a model that trains in milliseconds."""
    settings = {"image_shape": (8, 8, 3), "filters": (4, 6), "z_dim": 3}
    return config_lib.ModelConfig(**{**settings, **changes})


@functools.cache
def mirrored() -> tf.distribute.Strategy:
    """Return the strategy over two logical CPU devices, which conftest.py makes.

    There is one for all tests: the collectives of a second one on the same devices
    would be numbered alike, and fail where their shapes differ.
    """
    devices = tf.config.list_logical_devices("CPU")[:2]
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def images(num: int = 4, shape=(8, 8, 3), seed: int = 0) -> np.ndarray:
    """Return random images, uint8 [num, *shape]."""
    return np.random.default_rng(seed).integers(0, 256, (num, *shape), np.uint8)


def batches(num_batches: int = 2, batch_size: int = 4, shape=(8, 8, 3)):
    """Return a dataset of different batches."""
    data = images(num_batches * batch_size, shape)
    dataset = tf.data.Dataset.from_tensor_slices({"image": data})
    return dataset.batch(batch_size, drop_remainder=True)


def model(
    dtype: str = "float32", jit: bool = False, learning_rate: float = 1e-2, **changes
) -> vae_lib.VAE:
    """Return a compiled model with always the same weights."""
    keras.utils.set_random_seed(3)
    built = vae_lib.VAE(config(**changes), seed=5, dtype=dtype)
    built.compile(keras.optimizers.Adam(learning_rate), jit_compile=jit)
    # As a run does. Built within the train step, it would be traced twice.
    built.optimizer.build(built.trainable_variables)
    return built
