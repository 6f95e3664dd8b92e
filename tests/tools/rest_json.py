"""Predict requests and answers in TensorFlow Serving's REST form.

Rows (`instances` -> `predictions`) and columns (`inputs` -> `outputs`), bare values
where there is one input or output, bytes as `{"b64": ...}`; see
https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
import json

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from tests.tools import served_models


def refused(message: str) -> tf.errors.OpError:
    """Return the error for a request that isn't in the form."""
    return tf.errors.InvalidArgumentError(None, None, message)


def _is_bytes(value) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _strings(value):
    """Replace the strings of nested lists by bytes, as they are or out of base64."""
    if isinstance(value, list):
        return [_strings(item) for item in value]
    if _is_bytes(value):
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"expected a string, got {value!r}")


def _tensor(name: str, value, info) -> np.ndarray:
    try:
        value = _strings(value) if info.dtype == tf.string else value
        return tf.constant(value, info.dtype).numpy()
    except (TypeError, ValueError) as error:
        raise refused(f"Failed to convert JSON value of {name}: {error}") from error


def _columns(document: dict, inputs) -> dict:
    """Return nested lists by input, of a request in row or column form."""
    if ("instances" in document) == ("inputs" in document):
        raise refused("Expected one of 'inputs' and 'instances'")
    if "inputs" in document:
        columns = document["inputs"]
        if len(inputs) == 1 and (not isinstance(columns, dict) or _is_bytes(columns)):
            columns = dict.fromkeys(inputs, columns)
        if not isinstance(columns, dict):
            raise refused("inputs is a plain value/list, but expecting an object")
        if missing := sorted(set(inputs) - set(columns)):
            raise refused(f"Missing named input: {missing[0]} in 'inputs' object.")
        return {name: columns[name] for name in inputs}
    rows = document["instances"]
    if not isinstance(rows, list) or not rows:
        raise refused("No values in 'instances' array")
    if len(inputs) == 1 and (not isinstance(rows[0], dict) or _is_bytes(rows[0])):
        rows = [dict.fromkeys(inputs, row) for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(inputs):
            keys = ",".join(sorted(inputs))
            raise refused(
                f"Failed to process element: {number} of 'instances' list. "
                f"JSON object: keys must be equal to: {keys}"
            )
    return {name: [row[name] for row in rows] for name in inputs}


def _plain(name: str, values: np.ndarray):
    """Return an output as nested lists; bytes of `*_bytes` in base64."""
    if values.dtype != object:
        return values.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(value).decode()} for value in values]
    return [value.decode() for value in values]


def predict(version: served_models.Version, body: bytes) -> dict:
    """Answer a predict request of REST's form."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise refused(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise refused("JSON Value: Is not object")
    name = document.get("signature_name", "serving_default")
    if name not in version.signatures:
        raise refused(f'Serving signature name: "{name}" not found in signature def')
    signature = version.signatures[name]
    columns = _columns(document, signature.inputs)
    tensors = {
        key: _tensor(key, columns[key], info) for key, info in signature.inputs.items()
    }
    outputs = {
        key: _plain(key, value) for key, value in version.run(name, tensors).items()
    }
    alone = next(iter(outputs.values())) if len(outputs) == 1 else None
    if "inputs" in document:
        return {"outputs": outputs if alone is None else alone}
    if alone is None:
        rows = zip(*outputs.values(), strict=True)
        alone = [dict(zip(outputs, row, strict=True)) for row in rows]
    return {"predictions": alone}


def from_proto(message) -> dict:
    """Return a protocol buffer as the model server prints it, with its defaults."""
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
