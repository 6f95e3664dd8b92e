"""Requests with their answers: what an export carries to be checked and warmed by.

The requests are the model's own doing: images that it generates, and files of these.
No image of a data set leaves with an export.
"""

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines import crops
from pipelines import files as files_lib
from vae_prod.latent import samplers, sampling
from vae_prod.reporting import image_grids
from vae_prod.serving import functions as functions_lib
from vae_prod.serving import pictures, replay

GOLDEN = "golden.npz"
# The name and folder are TensorFlow Serving's.
WARMUP = "tf_serving_warmup_requests"
_ROWS = 2


def requests(functions: functions_lib.Functions) -> dict[str, np.ndarray]:
    """Make the inputs of all signatures, by name: two rows, or one of each sampler."""
    extras, z_dim = functions.extras, functions.config.z_dim
    seeds = np.arange(1, 1 + 2 * _ROWS, dtype=np.int64)
    z = sampling.prior(seeds, z_dim)
    images = functions.decode(z)["image"].numpy()
    names = np.array([samplers.PRIOR, *functions.samplers], "S")
    drawn = max(_ROWS, len(names))
    attributes = np.array([name.encode() for name in extras.vectors] or [b""])
    files = _files(images, extras.preparation)
    first, last = slice(0, _ROWS), slice(_ROWS, 2 * _ROWS)
    return {
        "image": images[first],
        "image_bytes": files[first],
        "start": images[first],
        "start_bytes": files[first],
        "end": images[last],
        "end_bytes": files[last],
        "z": z.numpy()[first],
        "seed": np.arange(1, 1 + drawn, dtype=np.int64),
        "sampler": np.resize(names, drawn),
        "temperature": np.resize(np.array([1.0, 0.7], np.float32), drawn),
        "weight": np.array([0.25, 0.75], np.float32),
        "attribute": np.resize(attributes, _ROWS),
        "strength": np.array([1.0, -1.0], np.float32),
    }


def golden(functions: functions_lib.Functions, traced: Mapping) -> dict:
    """Return requests to all signatures with the model's answers in this process.

    Args:
        functions: What the signatures were made of.
        traced: Name to concrete function, as `signatures.build` gives them.

    Returns:
        Signature to (inputs, outputs), each name to an array.
    """
    inputs = requests(functions)
    record = {}
    for name, function in traced.items():
        request = {i: inputs[i] for i in function.structured_input_signature[1]}
        answer = replay.ask(function, request)
        record[name] = (request, {k: _array(v) for k, v in answer.items()})
    return record


def save(path: str, record: Mapping) -> None:
    """Write a record where `replay.read` can read it."""
    arrays: dict[str, Any] = replay.flat(record)
    np.savez_compressed(path, **arrays)


def save_warmup(path: str, record: Mapping, model: str) -> None:
    """Write a request to each signature, which a model server plays when it loads.

    The form is TensorFlow Serving's
    (https://www.tensorflow.org/tfx/serving/saved_model_warmup).

    Args:
        path: The file.
        record: Signature to (inputs, outputs).
        model: The model's name.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    with tf.io.TFRecordWriter(path) as writer:
        for signature, (inputs, _) in record.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = signature
            for name, array in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array[:1]))
            log = prediction_log_pb2.PredictLog(request=request)
            wrapped = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(wrapped.SerializeToString())


def _array(values: np.ndarray) -> np.ndarray:
    # Files end in no zero byte, which NumPy's strings would lose.
    return values.astype("S") if values.dtype == object else values


def _files(images: np.ndarray, preparation: pictures.Preparation) -> np.ndarray:
    """Encode images as PNG and JPEG files by turns, of sizes that must be prepared."""
    files = []
    for number, image in enumerate(image_grids.to_uint8(images)):
        flat = image[..., 0] if image.shape[-1] == 1 else image
        buffer = io.BytesIO()
        kind = ("PNG", "JPEG")[number % 2]
        Image.fromarray(flat).resize(_size(preparation, number)).save(buffer, kind)
        files.append(buffer.getvalue())
    return np.array(files)


def _size(preparation: pictures.Preparation, number: int) -> tuple[int, int]:
    """Return the width and height of a file that preparation accepts."""
    height, width = preparation.stored
    if preparation.pad:
        return width, height
    crop = crops.parse(preparation.crop)
    if isinstance(crop, crops.Centre):
        width, height = crop.side, crop.side
    elif isinstance(crop, crops.Box):
        width, height = crop.right, crop.lower
    else:
        width, height = 2 * width, 2 * height
    return width + 3 * number, height + 10


def check_limits(extras: functions_lib.Extras) -> None:
    """Check that the export takes what it is recorded and tried with.

    Raises:
        UserError: The limits are below a full batch of the recorded files.
    """
    width, height = _size(extras.preparation, 2 * _ROWS - 1)
    image, limits = width * height, extras.limits
    request = image * extras.max_batch
    if limits.image < image or limits.request < request:
        raise files_lib.UserError(
            f"Expected --max_pixels of at least {image} and --max_request_pixels of at "
            f"least {request}, for the {extras.max_batch} pictures of {width}x{height} "
            f"that the export is tried with, received {limits.image} and "
            f"{limits.request}. Raise them, or lower --max_batch."
        )


def name_of(directory: str) -> str:
    """Return the model's name, as its folder has it."""
    return os.path.basename(os.path.abspath(directory))
