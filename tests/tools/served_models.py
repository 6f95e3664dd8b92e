"""Which versions of which models the stand-in model server serves.

The rules are TensorFlow Serving's (https://www.tensorflow.org/tfx/serving/serving_config):
a version is a folder with an integer for a name, loaded beside the others before any
of them is dropped; a label belongs to a version that is there.
"""

import os
import sys
import threading

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    status_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

_WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")
_State = get_model_status_pb2.ModelVersionStatus


class Version:
    """A SavedModel in a session, as the model server has it: no Python behind it.

    Attributes:
        signatures: SignatureDef by name.
        num_warmups: How many warm-up requests it was given.
    """

    def __init__(self, path: str):
        graph, config = tf.Graph(), tf.compat.v1.ConfigProto()
        # Which the model server does, for seconds; without, the answers are the same.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.load(
                self._session, [tf.saved_model.SERVING], path
            )
        self.signatures = dict(loaded.signature_def)
        # Without a method: what initialises the model.
        self._runs = {
            name: self._run(signature)
            for name, signature in self.signatures.items()
            if signature.method_name
        }
        self.num_warmups = 0
        for log in _records(os.path.join(path, _WARMUP)):
            request = prediction_log_pb2.PredictionLog.FromString(log)
            self.predict(request.predict_log.request)
            self.num_warmups += 1

    def _run(self, signature):
        # Unlike `Session.run` this leaves it to the graph to judge what it is fed,
        # which is how the model server calls it.
        return self._session._make_callable_from_options(
            config_pb2.CallableOptions(
                feed=[info.name for info in signature.inputs.values()],
                fetch=[info.name for info in signature.outputs.values()],
            )
        )

    def run(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return a signature's outputs by name."""
        if name not in self._runs:
            raise tf.errors.FailedPreconditionError(
                None, None, f'Serving signature key "{name}" not found.'
            )
        signature = self.signatures[name]
        if set(inputs) != set(signature.inputs):
            raise tf.errors.InvalidArgumentError(
                None,
                None,
                f"input size does not match signature: {len(inputs)}!="
                f"{len(signature.inputs)} len({{{','.join(sorted(inputs))}}}) != "
                f"len({{{','.join(sorted(signature.inputs))}}}).",
            )
        values = self._runs[name](*(inputs[key] for key in signature.inputs))
        return dict(zip(signature.outputs, values, strict=True))

    def predict(self, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
        """Return the outputs for a request of gRPC's form."""
        name = request.model_spec.signature_name or "serving_default"
        given = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        return self.run(name, given)


def _records(path: str):
    if os.path.exists(path):
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()


class Models:
    """The models of a configuration, with their versions and labels.

    Args:
        new_labels: Whether a label that isn't in use may be given to a version that
            isn't loaded yet.
    """

    def __init__(self, new_labels: bool):
        self._new_labels = new_labels
        self._lock = threading.Lock()
        self._configs = {}
        self._labels = {}
        self._loaded = {}
        self._failed = {}

    def configure(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Serve what a configuration says, and nothing else.

        Raises:
            FailedPreconditionError: A label goes to a version that isn't loaded.
            InvalidArgumentError: A model has no platform.
        """
        configs = {model.name: model for model in config.model_config_list.config}
        for model in configs.values():
            if model.model_platform != "tensorflow":
                raise tf.errors.InvalidArgumentError(
                    None, None, f"Model {model.name} has no known model_platform."
                )
            for label, number in model.version_labels.items():
                self._check_label(model.name, label, number)
        with self._lock:
            self._configs = configs
            self._labels = {
                name: dict(model.version_labels) for name, model in configs.items()
            }
        self.refresh()

    def _check_label(self, model: str, label: str, number: int) -> None:
        there = number in self._loaded.get(model, {})
        old = self._labels.get(model, {}).get(label, number)
        if not there and not (self._new_labels and old == number):
            raise tf.errors.FailedPreconditionError(
                None,
                None,
                f"Request to assign label to version {number} of model {model}, which "
                "is not currently available for inference",
            )

    def refresh(self) -> None:
        """Load the versions that are wanted, then drop those that aren't any more."""
        for name, config in self._configs.items():
            if not os.path.isdir(config.base_path):
                print(f"Could not find base path {config.base_path}", file=sys.stderr)
                continue
            wanted = _wanted(config)
            before = self._loaded.get(name, {})
            kept = {n: v for n, v in before.items() if n in wanted}
            failed = {
                n: e for n, e in self._failed.get(name, {}).items() if n in wanted
            }
            for number in sorted(set(wanted) - set(kept) - set(failed)):
                try:
                    kept[number] = Version(wanted[number])
                    warmed = f"with {kept[number].num_warmups} warm-up requests"
                    print(f"Loaded {name} version {number} {warmed}", flush=True)
                except (tf.errors.OpError, OSError) as error:
                    failed[number] = str(error)
                    print(f"Failed {name} version {number}: {error}", file=sys.stderr)
            if wanted and not kept:
                kept = before  # What is wanted can't be loaded.
            with self._lock:
                self._loaded[name], self._failed[name] = kept, failed
        with self._lock:
            for name in set(self._loaded) - set(self._configs):
                del self._loaded[name], self._failed[name]

    def find(self, spec: model_pb2.ModelSpec) -> tuple[int, Version]:
        """Return the version that a request is for, and its number."""
        with self._lock:
            loaded = self._loaded.get(spec.name, {})
            choice = spec.WhichOneof("version_choice")
            if choice is None:
                number, text = max(loaded, default=None), f"Latest({spec.name})"
            else:
                number = self._number(spec)
                text = f"Specific({spec.name}, {number})"
            if number not in loaded:
                raise tf.errors.NotFoundError(
                    None, None, f"Servable not found for request: {text}"
                )
            return number, loaded[number]

    def _number(self, spec: model_pb2.ModelSpec) -> int:
        if spec.WhichOneof("version_choice") == "version":
            return spec.version.value
        try:
            return self._labels[spec.name][spec.version_label]
        except KeyError as error:
            raise tf.errors.InvalidArgumentError(
                None,
                None,
                f"Unrecognized servable version label: {spec.version_label}",
            ) from error

    def status(
        self, spec: model_pb2.ModelSpec
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Return the state of a model's versions, the newest first, or of one."""
        with self._lock:
            states = {
                number: _state(number, _State.AVAILABLE)
                for number in self._loaded.get(spec.name, {})
            }
            for number, message in self._failed.get(spec.name, {}).items():
                states[number] = _state(
                    number,
                    _State.END,
                    error_code=tf.errors.UNKNOWN,
                    error_message=message,
                )
            numbers = sorted(states, reverse=True)
            if spec.WhichOneof("version_choice"):
                numbers = [n for n in numbers if n == self._number(spec)]
        if not numbers:
            raise tf.errors.NotFoundError(
                None, None, f"Could not find any versions of model {spec.name}"
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.extend(states[number] for number in numbers)
        return response


def _state(number: int, state: int, **status) -> _State:
    return _State(version=number, state=state, status=status_pb2.StatusProto(**status))


def _wanted(config: model_server_config_pb2.ModelConfig) -> dict[int, str]:
    """Return the folders of the versions that a model's policy asks for."""
    policy = config.model_version_policy
    there = {
        int(entry.name): entry.path
        for entry in os.scandir(config.base_path)
        if entry.name.isdigit() and entry.is_dir()
    }
    if policy.HasField("all"):
        return there
    if policy.HasField("specific"):
        return {n: path for n, path in there.items() if n in policy.specific.versions}
    newest = sorted(there)[-(policy.latest.num_versions or 1) :]
    return {number: there[number] for number in newest}
