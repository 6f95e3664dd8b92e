"""A trained model as TensorFlow Lite files, for phones and small computers.

Three variants of each network: `float32`; `dynamic`, whose weights are 8-bit integers
and whose values are made so as they come (dynamic-range quantisation); `float16`, whose
weights are 16-bit floats. Inputs and outputs are float32 in all of them. The names of
inputs and outputs are those of the file's only signature.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pipelines import files as files_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import formats, subpixel

VARIANTS = ("float32", "dynamic", "float16")
# Whose versions decide what comes out.
PACKAGES = ("tensorflow",)


def file_name(network: str, variant: str = "float32") -> str:
    """Return the name of a network's file in one variant."""
    return f"{network}{'' if variant == 'float32' else f'_{variant}'}.tflite"


def convert(model: vae_lib.VAE, variants: Sequence[str] = VARIANTS) -> dict[str, bytes]:
    """Convert a model's encoder and decoder.

    Returns:
        Names of files to their content, two for each variant.
    """
    with formats.quiet():
        networks = formats.freeze(model, subpixel.decoder)
        return {
            file_name(name, variant): _convert(network, variant)
            for variant in variants
            for name, network in networks.items()
        }


def _convert(network, variant: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], tf.Module()
    )
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def open_codec(
    folder: str, variant: str = "float32", threads: int = 0
) -> codec_lib.Codec:
    """Make a codec of a folder that holds what `convert` made.

    Args:
        folder: The folder.
        variant: One of `VARIANTS`.
        threads: Threads that compute; 0: as many as there are cores.

    Raises:
        UserError: A file is missing or damaged.
    """
    files = [file_name(name, variant) for name in formats.NETWORKS]
    return formats.open_codec(folder, files, _open, threads)


def _open(path: str, threads: int) -> formats.Network:
    try:
        with formats.quiet():
            interpreter = tf.lite.Interpreter(path, num_threads=threads)
            signature = interpreter.get_signature_runner()
    except (OSError, ValueError) as error:
        raise files_lib.UserError(
            f"Expected a TensorFlow Lite model of tools.export in {path}, it can't be "
            f"read: {str(error).splitlines()[0]}"
        ) from error
    return _network(interpreter, signature)


def _network(interpreter, signature) -> Callable:
    (input_index,) = (
        tensor["index"] for tensor in signature.get_input_details().values()
    )
    wanted = {
        name: tensor["index"] for name, tensor in signature.get_output_details().items()
    }
    shape = None

    def network(values: np.ndarray) -> dict[str, np.ndarray]:
        nonlocal shape
        if values.shape != shape:  # Another number of rows is planned for anew.
            with formats.quiet():
                interpreter.resize_tensor_input(input_index, values.shape)
                interpreter.allocate_tensors()
            shape = values.shape
        interpreter.set_tensor(input_index, values)
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in wanted.items()}

    return network
