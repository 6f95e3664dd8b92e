"""A trained model as ONNX files, which many runtimes read, on many kinds of machines.

Conversion needs tf2onnx, using the files onnxruntime; both come with
`pip install 'vae_prod[onnx]'`.
"""

import importlib
import logging
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from pipelines import files as files_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import formats

VARIANTS = ("float32",)
# Whose versions decide what comes out.
PACKAGES = ("tensorflow", "tf2onnx", "onnx")
# The oldest that has all that is needed is 12; runtimes of 2023 read this one.
_OPSET = 18


def file_name(network: str, variant: str = "float32") -> str:
    """Return the name of a network's file."""
    del variant  # There is one.
    return f"{network}.onnx"


def convert(model: vae_lib.VAE, variants: Sequence[str] = VARIANTS) -> dict[str, bytes]:
    """Convert a model's encoder and decoder.

    Returns:
        Names of files to their content.

    Raises:
        UserError: tf2onnx isn't installed.
    """
    with formats.quiet():
        converter = _import("tf2onnx")
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        return {
            file_name(name, variant): _convert(converter, network)
            for variant in variants
            for name, network in formats.freeze(model).items()
        }


def _convert(converter: ModuleType, network) -> bytes:
    model, _ = converter.convert.from_function(
        network,
        network.input_signature,
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_one_minus_erf, [])},
    )
    # It gives the free dimension another name in each of them.
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model.SerializeToString()


def _one_minus_erf(context, node, name, arguments):
    """Write erfc(x), of which GELU is made, as 1 - erf(x): ONNX has no erfc."""
    del name, arguments
    shapes, dtypes = node.output_shapes, node.output_dtypes
    (values,), (result,) = node.input, node.output
    context.remove_node(node.name)
    one = context.make_const(f"{node.name}_one", np.ones([], np.float32))
    erf = context.make_node("Erf", [values], shapes=shapes, dtypes=dtypes)
    operands = [one.output[0], erf.output[0]]
    context.make_node("Sub", operands, outputs=[result], shapes=shapes, dtypes=dtypes)


def open_codec(
    folder: str, variant: str = "float32", threads: int = 0
) -> codec_lib.Codec:
    """Make a codec of a folder that holds what `convert` made.

    Args:
        folder: The folder.
        variant: One of `VARIANTS`.
        threads: Threads that compute; 0: as many as there are cores.

    Raises:
        UserError: A file is missing or damaged, or onnxruntime isn't installed.
    """
    files = [file_name(name, variant) for name in formats.NETWORKS]
    return formats.open_codec(folder, files, _open, threads)


def _open(path: str, threads: int) -> formats.Network:
    runtime = _import("onnxruntime")
    state = runtime.capi.onnxruntime_pybind11_state  # Its errors have no common base.
    damages = state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        with open(path, "rb") as file:
            session = runtime.InferenceSession(
                file.read(), options, providers=["CPUExecutionProvider"]
            )
    except (OSError, state.Fail, *damages) as error:
        raise files_lib.UserError(
            f"Expected an ONNX model of tools.export in {path}, it can't be read: "
            f"{str(error).splitlines()[0]}"
        ) from error
    (input_name,) = (value.name for value in session.get_inputs())
    wanted = [value.name for value in session.get_outputs()]

    def network(values: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(wanted, session.run(wanted, {input_name: values}), strict=True))

    return network


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise files_lib.UserError(
            f"ONNX needs {name}, which isn't installed: pip install 'vae_prod[onnx]'."
        ) from error
