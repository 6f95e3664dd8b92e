"""What the graph that is being traced will run on: kernels choose their form by it."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def on_gpu() -> bool:
    """Say whether this process computes on a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def compiled() -> bool:
    """Say whether what is traced now will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)
