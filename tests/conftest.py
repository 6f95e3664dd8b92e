"""What every test starts from: parsed flags, two logical CPU devices, few graphs.

On a machine with a GPU, tests run on it as it computes in the first place to be right:
float32 with all its digits (without TF32), sums in an order that stays.
"""

import gc

import pytest
from absl import flags

from vae_prod.core import processor

processor.use_onednn()  # As programs do, before TensorFlow is imported.
import tensorflow as tf  # noqa: E402

flags.FLAGS.mark_as_parsed()

# So that replicas can be tested on any machine.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)
_GPUS = tf.config.list_physical_devices("GPU")
for _gpu in _GPUS:
    tf.config.experimental.set_memory_growth(_gpu, True)
if _GPUS:
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    if not _GPUS:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


def pytest_collection_finish():
    """Spare the garbage collector what is there for good: all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _forget_graphs():
    """Let go of what a module's tests have traced; the next begin without it."""
    yield
    from vae_prod.training import graphs

    graphs.forget()
