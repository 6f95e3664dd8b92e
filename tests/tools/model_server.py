"""A stand-in for TensorFlow Serving's model server, which tests can't install.

    python -m tests.tools.model_server --port=8500 --rest_api_port=8501 \\
        --model_config_file=models.config

It loads real exports in a process where neither Keras nor this package can be
imported, runs their signatures in a session as the model server does, and speaks the
same two languages: REST (https://www.tensorflow.org/tfx/serving/api_rest: status,
metadata, predict) and gRPC (`tensorflow_serving.apis`: Predict, GetModelMetadata,
GetModelStatus), with the model server's flags, configuration files, version policies,
labels, warm-up requests and error codes.

What it is not: it is no faster than Python's HTTP server, has a thread for each
request, batches nothing (batching flags are taken and ignored), has no Classify,
Regress, compression, TLS or monitoring, loads each version on the thread that polls,
and never tries a version again that failed to load. Wordings of errors are like the
model server's only where clients may lean on them.

A port of 0 is any free one; both are printed when they answer.
"""

import argparse
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
from concurrent import futures

import grpc
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests.tools import rest_json, served_models

_MISSING = ("keras", "vae_prod", "pipelines", "tools")
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_GET, _POST = re.compile(_MODEL + "(/metadata)?"), re.compile(_MODEL + ":predict")
_HTTP = {
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.NOT_FOUND: 404,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.UNIMPLEMENTED: 501,
}
_GRPC = {code.value[0]: code for code in grpc.StatusCode}


class Rest(http.server.BaseHTTPRequestHandler):
    """REST: GET for status and metadata, POST for predictions."""

    protocol_version = "HTTP/1.1"
    models: served_models.Models

    def do_GET(self):
        """Answer a status or metadata request."""
        self._answer(self._get)

    def do_POST(self):
        """Answer a predict request."""
        self._answer(self._post)

    def _get(self, _):
        spec, metadata = self._spec(_GET)
        if not metadata:
            return rest_json.from_proto(self.models.status(spec))
        spec.version.value, version = self.models.find(spec)
        definitions = get_model_metadata_pb2.SignatureDefMap(
            signature_def=version.signatures
        )
        metadata = {"signature_def": rest_json.from_proto(definitions)}
        return {"model_spec": rest_json.from_proto(spec), "metadata": metadata}

    def _post(self, body):
        (spec,) = self._spec(_POST)
        return rest_json.predict(self.models.find(spec)[1], body)

    def _spec(self, form: re.Pattern):
        match = form.fullmatch(self.path)
        if not match:
            raise rest_json.refused(f"Malformed request: {self.command} {self.path}")
        name, version, label, *rest = match.groups()
        spec = model_pb2.ModelSpec(name=urllib.parse.unquote(name))
        if version:
            spec.version.value = int(version)
        if label:
            spec.version_label = label
        return spec, *rest

    def _answer(self, work):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            code, answer = 200, work(body)
        except tf.errors.OpError as error:
            code, answer = _HTTP.get(error.error_code, 500), {"error": error.message}
        data = json.dumps(answer, indent=1).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing of requests that were answered."""


class Grpc(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """gRPC: Predict, GetModelMetadata, GetModelStatus."""

    def __init__(self, models: served_models.Models):
        self._models = models

    def Predict(self, request, context):
        """Answer a predict request."""
        return self._answer(self._predict, request, context)

    def GetModelMetadata(self, request, context):
        """Answer a metadata request."""
        return self._answer(self._metadata, request, context)

    def GetModelStatus(self, request, context):
        """Answer a status request."""
        return self._answer(
            lambda _: self._models.status(request.model_spec), request, context
        )

    def _predict(self, request):
        number, version = self._models.find(request.model_spec)
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        response.model_spec.version.value = number
        for name, value in version.predict(request).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def _metadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise rest_json.refused("Expected the metadata_field signature_def")
        number, version = self._models.find(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.metadata["signature_def"].Pack(
            get_model_metadata_pb2.SignatureDefMap(signature_def=version.signatures)
        )
        return response

    def _answer(self, work, request, context):
        try:
            return work(request)
        except tf.errors.OpError as error:
            return context.abort(_GRPC[error.error_code], error.message)


def _read_config(options) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    if options.model_config_file:
        with open(options.model_config_file) as file:
            return text_format.Parse(file.read(), config)
    config.model_config_list.config.add(
        name=options.model_name,
        base_path=options.model_base_path,
        model_platform="tensorflow",
    )
    return config


def _poll(options, models: served_models.Models) -> None:
    """Look for new versions, and at the configuration, for ever."""
    read = time.monotonic()
    every = options.model_config_file_poll_wait_seconds
    while True:
        time.sleep(options.file_system_poll_wait_seconds)
        try:
            if every and time.monotonic() - read >= every:
                read = time.monotonic()
                models.configure(_read_config(options))
            else:
                models.refresh()
        except (tf.errors.OpError, text_format.ParseError, OSError) as error:
            print(f"configuration refused: {error}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """Return the flags that are taken: some of the model server's."""
    flags = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_argument("--port", type=int, default=8500)
    flags.add_argument("--rest_api_port", type=int, default=0)
    flags.add_argument("--model_config_file", default="")
    flags.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0)
    flags.add_argument("--model_name", default="default")
    flags.add_argument("--model_base_path", default="")
    flags.add_argument("--file_system_poll_wait_seconds", type=float, default=1)
    flags.add_argument("--batching_parameters_file", default="")
    for name in ("enable_batching", "allow_version_labels_for_unavailable_models"):
        flags.add_argument(
            f"--{name}",
            nargs="?",
            const=True,
            default=False,
            type=lambda text: text == "true",
        )
    return flags


def main() -> None:
    """Serve until killed."""
    sys.modules.update(dict.fromkeys(_MISSING))  # As if they weren't installed.
    options = parser().parse_args()
    models = served_models.Models(options.allow_version_labels_for_unavailable_models)
    models.configure(_read_config(options))
    unlimited = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    server = grpc.server(futures.ThreadPoolExecutor(), options=unlimited)
    servicer = Grpc(models)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        servicer, server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"0.0.0.0:{options.port}")
    server.start()
    print(f"Running ModelServer at 0.0.0.0:{port} ...", flush=True)
    Rest.models = models
    rest = http.server.ThreadingHTTPServer(("", options.rest_api_port), Rest)
    print(f"Exporting HTTP/REST API at:localhost:{rest.server_port} ...", flush=True)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    _poll(options, models)


if __name__ == "__main__":
    main()
