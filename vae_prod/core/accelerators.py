"""GPUs and TPUs that TensorFlow uses."""

import tensorflow as tf


def visible() -> list[tf.config.PhysicalDevice]:
    """Return the GPUs and TPUs that TensorFlow sees and may use."""
    devices = tf.config.get_visible_devices()
    return [device for device in devices if device.device_type != "CPU"]


def first() -> str:
    """Return the first GPU or TPU that TensorFlow may use, as `GPU:0`; empty: none."""
    return next((f"{device.device_type}:0" for device in visible()), "")
