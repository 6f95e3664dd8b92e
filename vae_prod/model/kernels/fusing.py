"""Elementwise work compiled by XLA, on CPUs, also in a step that is not."""

import functools
from collections.abc import Callable

import tensorflow as tf

from vae_prod.model.kernels import target


def fused(function: Callable) -> Callable:
    """Compile a function of tensors, mostly elementwise, into one loop.

    Operation by operation, TensorFlow writes every intermediate result to memory and
    reads it again, and converts low precision value by value; XLA's loop takes less
    than half the time. (Its sums over images and its convolutions are slower than
    TensorFlow's.) On other devices the step is compiled as a whole, unless someone
    chose that nothing should be.

    Args:
        function: Of tensors, and of constants that can be told apart by hash.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments):
        return (function if target.on_gpu() else compiled)(*arguments)

    return call
