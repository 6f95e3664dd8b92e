"""NVIDIA's driver: whether one is loaded, and what to do where that is for nothing.

Free of TensorFlow, some of whose settings must be made before it is imported.
"""

import os

# What the extra `cuda` installs.
WITH_CUDA = "tensorflow[and-cuda]>=2.21,<2.22"
# Any of them is there where it is, in containers, too.
_SIGNS = ("/dev/nvidia0", "/dev/nvidiactl", "/proc/driver/nvidia/version")


def has_driver() -> bool:
    """Say whether a driver is loaded."""
    return any(map(os.path.exists, _SIGNS))


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
