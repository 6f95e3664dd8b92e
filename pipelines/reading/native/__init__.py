"""Images out of TFRecords, a batch at a time: a C++ op and its TensorFlow twin.

Both have the same two functions, `read_images` and `decode_images`, and give the same
images in the same order; the op is several times as fast.

    kernels.cc ops.h             the kernels; their registration
    record.h example.h image.h   what they are made of
    build.py                     compiles them once, into a per-user cache
    loader.py                    loads the op, or says why it can't
    op.py                        the op as Python functions
    twin.py                      the same functions in pure TensorFlow
"""

from types import ModuleType

from pipelines.reading.native import loader, op, twin


def choose(native: str) -> ModuleType:
    """Return the module that reads images.

    Args:
        native: `true` for the op, `false` for the twin, `auto` for the op where it can
            be built and loaded.

    Returns:
        `op` or `twin`.

    Raises:
        UserError: `native` is `true` and the op can't be had.
    """
    if native == "false" or not loader.available(required=native == "true"):
        return twin
    return op
