"""Hostile answers of a model server: the client ends in a sentence, within `limits`.

`VAE_PROD_ATTACK` answers as many mutations of a good one for each action.
"""

import base64
import contextlib
import http.server
import io
import json
import os
import threading
import time

import tensorflow as tf
from absl.testing import parameterized

from tests.attack import limits, mutations
from tools import program, serve_client

_PNG = b"\x89PNG\r\n\x1a\n rest of a file"
_B64 = {"b64": base64.b64encode(_PNG).decode()}
_STATUS = {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
_DEFINED = {
    "signature_def": {"decode": {"inputs": {"z": {}}, "outputs": {"image": {}}}}
}
_METADATA = {"metadata": {"signature_def": _DEFINED}}
_ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\n"


def _status(**changes):
    return {"model_version_status": [_STATUS["model_version_status"][0] | changes]}


def _metadata(definitions):
    return {"metadata": {"signature_def": {"signature_def": definitions}}}


def _predictions(*rows):
    return {"predictions": list(rows)}


# Action to answers that must be refused.
_REFUSED = {
    "generate": (
        *(b"", b"[", b"[1]", b"null", b"3", b"\xff\xfe", b"[" * 100_000, b"{}"),
        *(b'{"predictions": NaN}', b'{"predictions": [1e999, 1e999]}'),
        *(
            b'{"predictions": ' + b"9" * 10_000 + b"}",
            "predictions",
            {"predictions": 3},
        ),
        *(
            {"predictions": {}},
            {"predictions": None},
            {"predictions": {"0": 1, "1": 2}},
        ),
        *(_predictions(), _predictions(_B64), _predictions(*[_B64] * 3)),
        *(_predictions(_B64, None), _predictions(_B64, 1), _predictions(_B64, "text")),
        *(
            _predictions(_B64, [1]),
            _predictions(_B64, {"b64": 3}),
            _predictions({}, {}),
        ),
        *(_predictions(_B64, {"b64": "*"}), _predictions(_B64, {"b64": "A"})),
        *(_predictions(_B64, {"b64": ""}), _predictions(_B64, {"b64": [1]})),
        *(_predictions(_B64, {"b64": "AAAA"}), _predictions(_B64, {"b64": None})),
        *(_predictions(_B64, {"png": _B64}), _predictions([_B64], [_B64])),
    ),
    "encode": (
        *(_predictions(None), _predictions("x"), _predictions(1.0), _predictions(True)),
        *(_predictions(["x"]), _predictions([None]), _predictions([[1.0]])),
        *(_predictions({"z_mean": None}), _predictions({"z_mean": {"b64": "AAAA"}})),
        *(_predictions({"z_mean": "x"}), _predictions({"image": [1.0]})),
        *(
            b'{"predictions": [[NaN]]}',
            b'{"predictions": [[1e999]]}',
            _predictions(_B64),
        ),
    ),
    "status": (
        *(
            {"model_version_status": None},
            {"model_version_status": {}},
            _status(version=[]),
        ),
        *({"model_version_status": [3]}, _status(version="x"), _status(version=None)),
        *({"model_version_status": [{}]}, {"model_version_status": ["x"]}, b"[]"),
    ),
    "metadata": (
        *({"metadata": None}, {"metadata": {"signature_def": []}}, _metadata([])),
        *(
            _metadata({"a": None}),
            _metadata({"a": {"inputs": 3, "outputs": {}}}),
            b"[]",
        ),
        *(_metadata({"a": {}}), _metadata({"a": {"inputs": {}, "outputs": "xy"}})),
    ),
}


def _good(path):
    if path.endswith(":predict"):
        return _predictions(_B64, _B64)
    return _METADATA if path.endswith("/metadata") else _STATUS


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers what `script` of the server says."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with contextlib.suppress(OSError):
            self.server.script(self)

    do_POST = do_GET  # noqa: N815, http.server's name.

    def log_message(self, *_):
        pass

    def answer(self, content, status=200, **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)


class AnswersTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def _ask(self, script, action, *more):
        self.server.script = script
        folder = self.create_tempdir().full_path
        image = os.path.join(folder, "a.png")
        with open(image, "wb") as file:
            file.write(_PNG)
        action = "status" if action == "metadata" else action
        host, port = self.server.server_address
        printed = io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            limits.kept(),
        ):
            code = program.run(
                serve_client,
                (
                    *(f"--server=http://{host}:{port}", f"--action={action}"),
                    *(f"--images={image}", f"--out={folder}/out", "--count=2", *more),
                ),
            )
        text = printed.getvalue()
        self.assertTrue(all(c.isprintable() or c == "\n" for c in text), repr(text))
        self.assertLess(len(text), 2_000)
        return code, text

    def _assert_refused(self, script, action, *more):
        code, text = self._ask(script, action, *more)
        self.assertEqual(code, 1, text)
        self.assertRegex(text, r"\Aerror: [^\n]+\n\Z")
        return text

    def _scripted(self, action, answer):
        """Return a script that gives the answer where the action asks for it."""

        def script(handler):
            is_metadata = handler.path.endswith("/metadata")
            replaced = is_metadata if action == "metadata" else not is_metadata
            handler.answer(answer if replaced else _good(handler.path))

        return script

    @parameterized.parameters(*_REFUSED)
    def test_of_another_form(self, action):
        for answer in _REFUSED[action]:
            with self.subTest(repr(answer)[:80]):
                self._assert_refused(self._scripted(action, answer), action)

    @parameterized.parameters("generate", "status", "metadata")
    def test_mutated(self, action):
        path = {"generate": ":predict", "metadata": "/metadata"}.get(action, "")
        good = json.dumps(_good(path)).encode()
        for number in range(20 * limits.SCALE):
            answer = mutations.mutated(good, number)
            code, text = self._ask(self._scripted(action, answer), action)
            self.assertIn(code, (0, 1), text)
            self.assertTrue(code == 0 or text.startswith("error: Expected"), text)

    def test_good_ones_are_taken(self):
        code, text = self._ask(lambda h: h.answer(_good(h.path)), "generate")
        self.assertEqual(code, 0, text)
        code, text = self._ask(lambda h: h.answer(_good(h.path)), "status")
        self.assertEqual((code, text.count("decode: z -> image")), (0, 1), text)

    @parameterized.parameters("status", "generate")
    def test_escapes_of_terminals(self, action):
        for status in (200, 400, 404, 500, 503):
            self._assert_refused(
                lambda h, s=status: h.answer({"error": _ESCAPES}, s), action
            )
        names = {_ESCAPES: {"inputs": {_ESCAPES: 1}, "outputs": {}}}
        for part, answer in (
            ("metadata", _metadata(names)),
            ("status", _status(state=_ESCAPES * 50)),
        ):
            code, _ = self._ask(self._scripted(part, answer), "status")
            self.assertEqual(code, 0)

    @parameterized.parameters(
        "http://127.0.0.1:{port}/x", "file:///etc/passwd", "ftp://h"
    )
    def test_redirections_lead_nowhere(self, where):
        asked = []

        def script(handler):
            asked.append(handler.path)
            port = self.server.server_address[1]
            handler.answer(_STATUS, 302, Location=where.format(port=port))

        text = self._assert_refused(script, "status")
        self.assertIn("leads to another address (status 302", text)
        self.assertLen(asked, 1)

    def test_endless_answers(self):
        def script(handler):
            handler.send_response(200)
            handler.end_headers()
            while True:
                handler.wfile.write(bytes(1 << 20))

        text = self._assert_refused(script, "status")
        self.assertIn("more than 67,108,864 bytes", text)

    @parameterized.parameters("head", "body", "nothing")
    def test_answers_that_drip(self, what):
        def script(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            if what == "body":
                handler.wfile.write(b"Content-Length: 999\r\n\r\n")
            for _ in range(40):
                time.sleep(0.1)
                handler.wfile.write(b"" if what == "nothing" else b"x")

        begun = time.monotonic()
        text = self._assert_refused(script, "status", "--timeout=0.5")
        self.assertIn("timed out", text)
        self.assertLess(time.monotonic() - begun, 3.0)

    @parameterized.parameters(
        *(b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 999999999 \r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
    )
    def test_what_is_no_http(self, content):
        self._assert_refused(lambda h: h.wfile.write(content), "status")


if __name__ == "__main__":
    tf.test.main()
