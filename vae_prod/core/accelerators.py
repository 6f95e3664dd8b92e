"""GPUs and TPUs: whether there are any, and whether TensorFlow uses them."""

import pathlib

import tensorflow as tf

# Either is there where an NVIDIA driver is loaded, the second in containers, too.
_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidia0")
# What the extra `cuda` installs.
WITH_CUDA = "tensorflow[and-cuda]>=2.21,<2.22"


def visible() -> list[tf.config.PhysicalDevice]:
    """Return the GPUs and TPUs that TensorFlow sees and may use."""
    devices = tf.config.get_visible_devices()
    return [device for device in devices if device.device_type != "CPU"]


def first() -> str:
    """Return the first GPU or TPU that TensorFlow may use, as `GPU:0`; empty: none."""
    return next((f"{device.device_type}:0" for device in visible()), "")


def has_nvidia() -> bool:
    """Say whether an NVIDIA driver is loaded, whatever TensorFlow sees."""
    return any(pathlib.Path(path).exists() for path in _NVIDIA)


def unused(has_driver: bool, seen: int) -> str:
    """Say, in a sentence, that there is an NVIDIA GPU which TensorFlow doesn't use.

    Args:
        has_driver: Whether an NVIDIA driver is loaded.
        seen: GPUs and TPUs that TensorFlow sees.

    Returns:
        The sentence with the remedy; empty where nothing is unused.
    """
    if seen or not has_driver:
        return ""
    return (
        "CPU alone, though an NVIDIA driver is loaded. Install TensorFlow with its "
        f"CUDA libraries: pip install '{WITH_CUDA}'."
    )
