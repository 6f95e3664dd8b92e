"""What every test starts from: parsed absl flags and two logical CPU devices."""

import tensorflow as tf
from absl import flags

flags.FLAGS.mark_as_parsed()

# So that replicas can be tested on any machine.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)
