import contextlib
import http.server
import io
import json
import os
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.tools import serving_fixtures
from tools import program, progress, serve_client
from tools.exporting import rest_client

_CONFIG = """
model_config_list {{
  config {{
    name: "vae" base_path: "{folder}/vae" model_platform: "tensorflow"
  }}
  config {{
    name: "newest" base_path: "{folder}/newest" model_platform: "tensorflow"
  }}
  config {{
    name: "rolled" base_path: "{folder}/rolled" model_platform: "tensorflow"
    model_version_policy {{ specific {{ {versions} }} }}
    version_labels {{ key: "stable" value: {stable} }}
  }}
}}
"""
_RANDOM = {"temperature": 0.5, "sampler": "prior"}


def _run(*arguments: str) -> tuple[int, str]:
    """Run the client; return its exit code and all that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = program.run(serve_client, arguments)
    return code, printed.getvalue()


def _write_image(path: str, shape: tuple[int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    encode = tf.io.encode_jpeg if path.endswith(".jpg") else tf.io.encode_png
    with open(path, "wb") as file:
        file.write(encode(pixels).numpy())


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class ServeClientTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        serving_fixtures.add_version(os.path.join(cls.folder, "vae"), 2)
        for model in ("rolled", "newest"):
            serving_fixtures.add_version(os.path.join(cls.folder, model), 1)
        cls._configure([1], 1)
        for name, shape in (("a.jpg", (30, 20)), ("b.png", (9, 14))):
            _write_image(os.path.join(cls.folder, name), shape, len(name))
        command = serving_fixtures.command(
            f"--model_config_file={cls.folder}/models.config",
            "--model_config_file_poll_wait_seconds=0.1",
            "--file_system_poll_wait_seconds=0.1",
            "--allow_version_labels_for_unavailable_models",
        )
        cls.server = cls.enterClassContext(
            serving_fixtures.ModelServer(cls.folder, command, cwd=serving_fixtures.ROOT)
        )
        cls.here = tf.saved_model.load(os.path.join(cls.folder, "vae", "2"))

    @classmethod
    def _configure(cls, versions: list[int], stable: int) -> None:
        path = os.path.join(cls.folder, "models.config")
        listed = " ".join(f"versions: {version}" for version in versions)
        with open(f"{path}.tmp", "w") as file:
            text = _CONFIG.format(folder=cls.folder, versions=listed, stable=stable)
            file.write(text)
        os.replace(f"{path}.tmp", path)

    def setUp(self):
        super().setUp()
        self.out = self.create_tempdir().full_path

    def _client(self, *arguments: str) -> tuple[int, str]:
        return _run(
            f"--server=http://{self.server.rest}", f"--out={self.out}", *arguments
        )

    def _pictures(self, *arguments: str) -> dict[str, np.ndarray]:
        """Return the pictures that an action writes, by name."""
        code, printed = self._client(*arguments)
        self.assertEqual(code, 0, printed)
        return {
            name: tf.io.decode_png(_bytes(os.path.join(self.out, name))).numpy()
            for name in sorted(os.listdir(self.out))
        }

    def _image(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @property
    def _images(self) -> str:
        return f"--images={self._image('a.jpg')},{self._image('b.png')}"

    def _check_pictures(self, pictures, names, signature, **inputs):
        """Compare pictures with what the SavedModel gives without a server."""
        expected = self.here.signatures[signature](**inputs)["image_bytes"]
        self.assertEqual(list(pictures), names)
        for picture, png in zip(pictures.values(), expected.numpy(), strict=True):
            # Other threads add in another order: a pixel may round the other way.
            self.assertAllClose(picture, tf.io.decode_png(png), atol=1)

    def test_generate(self):
        pictures = self._pictures(
            "--action=generate",
            "--count=5",
            "--seed=3",
            "--temperature=0.5",
            "--batch_size=2",
        )
        self._check_pictures(
            pictures,
            [f"generate_{seed:05d}.png" for seed in range(3, 8)],
            "generate_png",
            seed=tf.range(3, 8, dtype=tf.int64),
            temperature=tf.fill([5], 0.5),
            sampler=tf.fill([5], "prior"),
        )
        self.assertNotAllClose(*list(pictures.values())[:2], atol=10)

    def test_reconstruct(self):
        self._check_pictures(
            self._pictures("--action=reconstruct", self._images),
            ["reconstruct_a.png", "reconstruct_b.png"],
            "reconstruct_jpeg_png",
            image_bytes=[_bytes(self._image("a.jpg")), _bytes(self._image("b.png"))],
        )

    def test_edit(self):
        self._check_pictures(
            self._pictures(
                "--action=edit",
                self._images,
                "--attribute=Smiling",
                "--strength=-1.5",
            ),
            ["edit_a.png", "edit_b.png"],
            "edit_jpeg_png",
            image_bytes=[_bytes(self._image("a.jpg")), _bytes(self._image("b.png"))],
            attribute=["Smiling"] * 2,
            strength=[-1.5] * 2,
        )

    def test_interpolate(self):
        self._check_pictures(
            self._pictures("--action=interpolate", self._images, "--steps=3"),
            [f"interpolate_{step:05d}.png" for step in range(3)],
            "interpolate_jpeg_png",
            start_bytes=[_bytes(self._image("a.jpg"))] * 3,
            end_bytes=[_bytes(self._image("b.png"))] * 3,
            weight=[0.0, 0.5, 1.0],
        )

    def test_encode(self):
        code, printed = self._client("--action=encode", self._images)
        self.assertEqual(code, 0, printed)
        self.assertEqual(os.listdir(self.out), ["encodings.jsonl"])
        with open(os.path.join(self.out, "encodings.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([line["image"] for line in lines], ["a", "b"])
        expected = self.here.signatures["encode_jpeg"](
            image_bytes=[_bytes(self._image("a.jpg")), _bytes(self._image("b.png"))]
        )
        for name in ("z_mean", "z_log_var"):
            got = [line[name] for line in lines]
            self.assertAllClose(got, expected[name], atol=1e-5)

    def test_status(self):
        code, printed = self._client()
        self.assertEqual(code, 0)
        self.assertStartsWith(printed, "vae: version 2 AVAILABLE\n")
        self.assertIn(
            "  generate_png: sampler, seed, temperature -> image_bytes", printed
        )
        self.assertNotIn("init_op", printed)

    @parameterized.parameters(
        (["--model=nope"], 1, "No such model at .*/nope: .* Mend --model"),
        (["--version=7"], 1, "No such model at .*/versions/7: "),
        (["--label=x"], 1, "label: x"),
        (["--action=generate", "--sampler=x"], 1, "refused the request: sampler: exp"),
        (["--action=encode", "--images=x.jpg"], 1, "Expected an image in x.jpg: No su"),
        (["--action=encode"], 2, "--images is required"),
        (["--action=edit", "--images=x.jpg"], 2, "--attribute is required"),
        (["--action=interpolate", "--images=x.jpg"], 2, "two --images .* received 1"),
        (["--action=encode", "--images=a.jpg,x/a.png"], 2, "with different names"),
        (["--version=1", "--label=x"], 2, "one of --version and --label"),
        (["--server=localhost:8501"], 2, "--server with http:// or https://"),
        (["--count=0"], 2, "--count=0: expected numbers from 1"),
        (["--version=-1"], 2, "--version=-1: expected numbers from 0"),
        (
            ["--action=generate", "--out=/dev/null/x"],
            1,
            "Expected to use /dev/null/x, ",
        ),
    )
    def test_mistakes_are_told_in_a_sentence(self, arguments, code, message):
        got, printed = self._client(*arguments)
        self.assertEqual(got, code, printed)
        self.assertRegex(printed, f"^error: .*{message}")
        self.assertLen(printed.splitlines(), 1)

    def test_no_server(self):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
            code, printed = _run(f"--server=http://localhost:{port}")
        self.assertEqual(code, 1)
        self.assertRegex(printed, "Expected an answer .* refused. Start the server")

    def test_the_port_of_grpc(self):
        code, printed = _run(f"--server=http://{self.server.grpc}", "--timeout=5")
        self.assertEqual(code, 1)
        self.assertRegex(printed, "error: Expected .* [Mm]end --server")

    def test_bad_requests_leave_the_server_unharmed(self):
        server = rest_client.Server(f"http://{self.server.rest}", "vae")
        good = [{"seed": 1, **_RANDOM}]
        before = server.predict("generate_png", good)
        for signature, rows, message in (
            ("encode_jpeg", [{"image_bytes": b"no image"}], "image_bytes"),
            ("encode_jpeg", [{"image_bytes": b""}], "image_bytes"),
            ("decode", [{"z": [0.0] * 2}], "request: z: expected rows of"),
            ("decode", [{"z": [0.0] * 3}, {"z": [0.0] * 4}], "z: "),
            ("decode", [], "instances"),
            ("generate_png", [{**good[0], "sampler": "x"}], "sampler: expected one of"),
            ("generate_png", [{"seed": 1}], "keys must be equal to"),
            ("generate_png", [{**good[0], "seed": 0.5}], "seed"),
            ("nothing", good, 'signature name: "nothing" not found'),
        ):
            with self.assertRaisesRegex(files.UserError, message):
                server.predict(signature, rows)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.url}:predict", b"no JSON")
        self.assertIn("JSON Parse error", json.load(refused.exception)["error"])
        self.assertTrue(self.server.is_running())
        self.assertEqual(server.predict("generate_png", good), before)

    def _wait_until(self, what) -> None:
        end = time.monotonic() + 60
        while not what():
            self.assertLess(time.monotonic(), end, self.server.log())
            time.sleep(0.02)

    def test_rolls_forward_and_back_without_losing_a_request(self):
        server = f"http://{self.server.rest}"
        stable = rest_client.Server(server, "rolled", label="stable")
        rolled = rest_client.Server(server, "rolled")
        rows = [{"seed": 1, **_RANDOM}]
        old = stable.predict("generate_png", rows)
        new = rest_client.Server(server, "vae", 2).predict("generate_png", rows)
        self.assertNotEqual(old, new)

        def answer():
            got = stable.predict("generate_png", rows)
            self.assertIn(got, (old, new))
            return got

        serving_fixtures.add_version(os.path.join(self.folder, "rolled"), 2)
        self._configure([1, 2], 2)
        # The label is in use, and version 2 isn't loaded yet.
        refused = "assign label to version 2 of model rolled"
        self._wait_until(lambda: answer() and refused in self.server.log())
        self.assertEqual(answer(), old)
        self.assertEqual(rolled.status(), {1: "AVAILABLE"})
        self._configure([1, 2], 1)
        self._wait_until(lambda: answer() and len(rolled.status()) == 2)
        self.assertEqual(answer(), old)
        self.assertEqual(rolled.predict("generate_png", rows), new)
        self._configure([1, 2], 2)
        self._wait_until(lambda: answer() == new)
        self._configure([2], 2)
        self._wait_until(lambda: answer() and rolled.status() == {2: "AVAILABLE"})
        self._configure([1, 2], 2)
        self._wait_until(lambda: answer() and len(rolled.status()) == 2)
        self._configure([1, 2], 1)
        self._wait_until(lambda: answer() == old)

    def test_the_newest_version_that_loads_is_served(self):
        folder = os.path.join(self.folder, "newest")
        served = rest_client.Server(f"http://{self.server.rest}", "newest")
        self.assertEqual(served.status(), {1: "AVAILABLE"})
        shutil.copytree(os.path.join(folder, "1"), os.path.join(folder, "9.aside"))
        serving_fixtures.add_version(folder, 2)
        self._wait_until(lambda: served.status() == {2: "AVAILABLE"})
        os.makedirs(os.path.join(folder, "3"))
        self._wait_until(lambda: served.status() == {3: "END", 2: "AVAILABLE"})
        self.assertLen(served.predict("generate_png", [{"seed": 1, **_RANDOM}]), 1)
        for version in ("3", "2"):
            os.rename(
                os.path.join(folder, version), os.path.join(folder, f"no_{version}")
            )
        self._wait_until(lambda: served.status() == {1: "AVAILABLE"})


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Gives the answers of a list, in order, and keeps the requests."""

    answers: list[tuple[int, bytes]]
    requests: list[dict]

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.requests.append(json.loads(self.rfile.read(length)))
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class AnswersTest(tf.test.TestCase, parameterized.TestCase):
    """What a client makes of answers that the stand-in doesn't give."""

    def setUp(self):
        super().setUp()
        self.out = self.create_tempdir().full_path

    def _client(self, answers, *arguments: str) -> tuple[int, str]:
        _Scripted.answers, _Scripted.requests = list(answers), []
        with http.server.HTTPServer(("localhost", 0), _Scripted) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                address = f"--server=http://localhost:{server.server_port}"
                return _run(address, f"--out={self.out}", *arguments)
            finally:
                server.shutdown()
                thread.join()

    @parameterized.parameters(
        (503, b"<html>", "is too busy: status 503, without a reason. Try again"),
        (429, b'{"error": "queue full"}', "is too busy: queue full. Try again"),
        (500, b'{"error": ""}', "refused the request: status 500, without a reason."),
        (
            400,
            b'{"error": "a: b.\\n\\t [[node]]"}',
            "the request: a: b. Asked for: 00001.",
        ),
        (
            400,
            b'{"error": "{{node x}} assertion failed: [z: got] [2]"}',
            "request: z: got .2.. Asked",
        ),
        (200, b"hello", "Expected predictions in JSON .* not of gRPC"),
        (200, b"{}", "Expected predictions in JSON .* not of gRPC"),
    )
    def test_other_errors(self, status, body, message):
        code, printed = self._client([(status, body)], "--action=generate", "--count=1")
        self.assertEqual(code, 1)
        self.assertRegex(printed, f"^error: .*{message}")

    def test_rows_go_in_batches_with_progress(self):
        png = {"b64": "iVBORw0KGgo="}
        answers = [
            (200, json.dumps({"predictions": [png] * n}).encode()) for n in (2, 2, 2, 1)
        ]
        with mock.patch.object(progress.Progress, "__call__") as show:
            code, printed = self._client(
                answers, "--action=generate", "--count=7", "--batch_size=2"
            )
        self.assertEqual(code, 0, printed)
        seeds = [[row["seed"] for row in r["instances"]] for r in _Scripted.requests]
        self.assertEqual(seeds, [[1, 2], [3, 4], [5, 6], [7]])
        self.assertEqual(show.call_args_list[-1], mock.call(7, 7))
        self.assertLen(os.listdir(self.out), 7)
        self.assertEqual(
            _bytes(os.path.join(self.out, "generate_00007.png"))[1:4], b"PNG"
        )

    def test_encodings_of_an_autoencoder(self):
        path = self.create_tempfile("a.png", "image").full_path
        code, printed = self._client(
            [(200, b'{"predictions": [[1.0, 2.0]]}')],
            "--action=encode",
            f"--images={path}",
        )
        self.assertEqual(code, 0, printed)
        with open(os.path.join(self.out, "encodings.jsonl")) as file:
            self.assertEqual(json.load(file), {"image": "a", "z_mean": [1.0, 2.0]})


if __name__ == "__main__":
    tf.test.main()
