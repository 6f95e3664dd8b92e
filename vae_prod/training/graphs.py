"""Graphs that TensorFlow would keep for ever.

It registers each custom gradient that a graph is traced with by a name of its own, and
with it keeps the graph and all that belongs to it. A process that trains one model
after the other would grow with each.
"""

import gc

import keras
from tensorflow.python.framework import ops

_CUSTOM = "CustomGradient-"


def forget() -> None:
    """Let go of all graphs that were traced so far; what uses them must be done."""
    keras.backend.clear_session()
    registered = ops.gradient_registry._registry
    for name in [name for name in registered if name.startswith(_CUSTOM)]:
        del registered[name]
    gc.collect()
