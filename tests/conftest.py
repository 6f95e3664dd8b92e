"""What every test starts from: parsed flags, two logical CPU devices, few graphs."""

import gc

import pytest
import tensorflow as tf
from absl import flags

flags.FLAGS.mark_as_parsed()

# So that replicas can be tested on any machine.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)


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
