"""What docs/serving.md says works as it stands there.

Its blocks are taken in order: configuration files are written under the
name in their first line, commands are run by bash, and Python is run as it is, all in a
folder with the exports in run/export and a photo in face.jpg. Three things are put in
the place of others: the address where the server answers for localhost:8500 and
localhost:8501, the absolute path of run/export for /models/vae, and a stand-in
(model_server.py), which takes any free ports, for the command tensorflow_model_server.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests import pages
from tests.tools import model_server, serving_fixtures
from vae_prod.serving import functions

# The fields of BatchingParameters in TensorFlow Serving's session_bundle_config.proto,
# which tensorflow-serving-api leaves out.
_NUMBERS = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches")
_SERVER = "tensorflow_model_server"
_PAGE = "docs/serving.md"


def _batching_parameters():
    """Return an empty BatchingParameters message."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
        syntax="proto3",
    )
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate((*_NUMBERS, "num_batch_threads"), start=1):
        message.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
            label=field.LABEL_OPTIONAL,
        )
    message.field.add(
        name="allowed_batch_sizes",
        number=6,
        type=field.TYPE_INT64,
        label=field.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName("BatchingParameters")
    return message_factory.GetMessageClass(found)()


def _server_flags(command: str, after: str) -> list[str]:
    """Return the flags that a command gives the model server."""
    words = shlex.split(command.replace("\\\n", " "))
    return words[words.index(after) + 1 :]


class ServingDocsTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.exports = cls.folder / "run" / "export"
        for version in (1, 2):
            serving_fixtures.add_version(str(cls.exports), version)
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        (cls.folder / "face.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
        cls._write_commands()
        cls.stable = tf.saved_model.load(str(cls.exports / "1"))
        cls.printed, cls.server = [], None
        for block in pages.blocks(_PAGE):
            cls._take(block.language, block.text)

    @classmethod
    def _write_commands(cls) -> None:
        """Write what the commands of the page start, into a folder of their own."""
        start = " ".join(serving_fixtures.command('"$@"'))
        commands = {
            _SERVER: start,
            "python": f'{sys.executable} "$@"',
            "python3": f'{sys.executable} "$@"',
        }
        for name, line in commands.items():
            path = cls.folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\nexec {line}\n")
            path.chmod(0o755)
        places = [str(cls.folder / "bin"), os.environ["PATH"]]
        cls.environment = {
            **os.environ,
            "PATH": os.pathsep.join(places),
            "PYTHONPATH": str(serving_fixtures.ROOT),
        }

    @classmethod
    def _take(cls, language: str, text: str) -> None:
        there = {"cwd": cls.folder, "env": cls.environment}
        if language == "proto":
            path = cls.folder / text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("/models/vae", str(cls.exports)))
        elif text.startswith(_SERVER):
            cls.bare = text
            bash = ["bash", "-euc", text]
            cls.server = cls.enterClassContext(
                serving_fixtures.ModelServer(str(cls.folder), bash, **there)
            )
        elif text.startswith("docker"):
            cls.docker = text
        else:
            text = text.replace("localhost:8500", cls.server.grpc)
            text = text.replace("localhost:8501", cls.server.rest)
            if language == "python":
                cls.names = {}
                exec(compile(text, _PAGE, "exec"), cls.names)
                return
            bash = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(bash, capture_output=True, check=False, **there)
            assert not done.returncode, (text, done.stdout, done.stderr)
            cls.printed.append(done.stdout.decode())

    def _read(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text())

    def _here(self, signature: str, **inputs) -> dict:
        """Return what the stable version gives without a server."""
        return self.stable.signatures[signature](**inputs)

    def test_model_configuration(self):
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse((self.folder / "serving/models.config").read_text(), config)
        (model,) = config.model_config_list.config
        self.assertEqual(model.name, "vae")
        listed = list(model.model_version_policy.specific.versions)
        self.assertEqual(dict(model.version_labels), {"stable": 1, "canary": 2})
        self.assertContainsSubset(model.version_labels.values(), listed)

    def test_batching_parameters(self):
        text = (self.folder / "serving/batching.config").read_text()
        parameters = text_format.Parse(text, _batching_parameters())
        largest = parameters.max_batch_size.value
        default = functions.attrs.fields(functions.Extras).max_batch.default
        self.assertBetween(largest, 1, default)
        sizes = list(parameters.allowed_batch_sizes)
        self.assertEqual(sizes, sorted(set(sizes)))
        self.assertEqual(sizes[-1], largest)

    def test_docker_gets_the_same_flags(self):
        parser = model_server.parser()
        bare = parser.parse_args(_server_flags(self.bare, _SERVER))
        words = _server_flags(self.docker, "tensorflow/serving")
        docker = parser.parse_args([*words, "--port=8500", "--rest_api_port=8501"])
        for name, file in vars(docker).items():
            if isinstance(file, str) and file.startswith("/serving/"):
                self.assertEndsWith(getattr(bare, name), file)
                setattr(docker, name, getattr(bare, name))
        self.assertEqual(docker, bare)
        for mount in ("$PWD/run/export:/models/vae", "$PWD/serving:/serving"):
            self.assertIn(f'-v "{mount}"', self.docker)

    def test_versions_are_warmed_up(self):
        for version in (1, 2):
            line = f"Loaded vae version {version} with 1 warm-up requests"
            self.assertIn(line, self.server.log())

    def test_status_and_metadata(self):
        status, rest = json.JSONDecoder().raw_decode(self.printed[0])
        states = [v["state"] for v in status["model_version_status"]]
        self.assertEqual(states, ["AVAILABLE"] * 2)
        metadata = json.loads(self.printed[0][rest:])
        self.assertEqual(metadata["model_spec"]["version"], "1")
        self.assertIn(
            "encode_jpeg", metadata["metadata"]["signature_def"]["signature_def"]
        )

    def test_encoded_and_decoded(self):
        (row,) = self._read("encoded.json")["predictions"]
        photo = (self.folder / "face.jpg").read_bytes()
        encoded = self._here("encode_jpeg", image_bytes=tf.constant([photo]))
        for name, value in encoded.items():
            self.assertAllClose([row[name]], value, atol=1e-5)
        rows = self._read("rows.json")["predictions"]
        self.assertEqual(rows, self._read("columns.json")["outputs"])
        decoded = self._here("decode", z=tf.constant([row["z_mean"]] * 2))
        self.assertAllClose(rows, decoded["image"], atol=1e-5)

    def test_generated(self):
        got = tf.io.decode_png((self.folder / "generated.png").read_bytes())
        expected = self._here(
            "generate_png",
            seed=tf.constant([1], tf.int64),
            temperature=tf.constant([0.8]),
            sampler=tf.constant(["prior"]),
        )
        self.assertAllClose(got, tf.io.decode_png(expected["image_bytes"][0]), atol=1)

    def test_grpc(self):
        expected = self._here(
            "generate",
            seed=tf.constant([1, 2], tf.int64),
            temperature=tf.constant([1.0, 0.8]),
            sampler=tf.constant(["prior", "prior"]),
        )
        self.assertAllClose(self.names["images"], expected["image"], atol=1e-5)
        self.assertEqual(self.names["response"].model_spec.version.value, 1)

    def test_grpc_tells_of_models_and_mistakes(self):
        spec = model_pb2.ModelSpec(name="vae", version_label="stable")
        with grpc.insecure_channel(self.server.grpc) as channel:
            models = model_service_pb2_grpc.ModelServiceStub(channel)
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            (status,) = models.GetModelStatus(request).model_version_status
            self.assertEqual((status.version, status.state), (1, status.AVAILABLE))
            service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            request = get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=spec, metadata_field=["signature_def"]
            )
            metadata = service.GetModelMetadata(request).metadata["signature_def"]
            found = get_model_metadata_pb2.SignatureDefMap()
            self.assertTrue(metadata.Unpack(found))
            self.assertIn("generate_png", found.signature_def)
            request = predict_pb2.PredictRequest(model_spec=spec)
            request.model_spec.signature_name = "decode"
            request.inputs["z"].CopyFrom(tf.make_tensor_proto([[0.0] * 5]))
            with self.assertRaises(grpc.RpcError) as refused:
                service.Predict(request)
            self.assertEqual(refused.exception.code().name, "INVALID_ARGUMENT")
            self.assertIn("z: expected", refused.exception.details())
            request.model_spec.name = "nope"
            request.model_spec.version.value = 1
            with self.assertRaises(grpc.RpcError) as refused:
                service.Predict(request)
            self.assertEqual(refused.exception.code().name, "NOT_FOUND")

    def test_client(self):
        served = sorted(os.listdir(self.folder / "served"))
        seeds = [f"generate_{seed:05d}.png" for seed in range(1, 21)]
        self.assertEqual(served, [*seeds, "reconstruct_face.png"])


if __name__ == "__main__":
    tf.test.main()
