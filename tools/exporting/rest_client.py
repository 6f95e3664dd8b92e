"""A model on a server, asked in TensorFlow Serving's REST form: to use, or to copy.

Of what a server answers nothing is believed: its size, time, types and characters are
checked, and it can't send the client elsewhere.
"""

import base64
import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from pipelines import files, trust

_NODES = re.compile(r"\{\{.*?\}\} ?")
# How TensorFlow words an assertion: its text, then what was received.
_ASSERTION = re.compile(r"^assertion failed: \[(.*?)\](?= \[)")
# An answer, in bytes: as numbers its values take some ten times as much memory.
_MOST_BYTES = 1 << 26
_BLOCK_BYTES = 1 << 16
_MOST_CHARACTERS = 500
# What using an answer of another form than expected raises.
_OTHER_FORM = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    http.client.HTTPException,
)


class Server:
    """A model on a server that speaks TensorFlow Serving's REST form.

    Every method raises a `UserError` where there is no such server or model, where it
    refuses what it is asked, and where its answer is of another form.

    Args:
        url: The server's, such as http://localhost:8501.
        model: The model's name there.
        version: One of its versions; 0: the newest.
        label: The label of a version, in place of its number.
        timeout: Seconds to wait for an answer, until its last byte.
    """

    def __init__(
        self,
        url: str,
        model: str,
        version: int = 0,
        label: str = "",
        timeout: float = 60.0,
    ):
        self.url = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version:
            self.url += f"/versions/{version}"
        if label:
            self.url += f"/labels/{urllib.parse.quote(label, safe='')}"
        self._timeout = timeout

    def status(self) -> dict[int, str]:
        """Return the state of each version; `AVAILABLE` is served."""
        return self._call("", "model_version_status", _states)

    def signatures(self) -> dict[str, dict[str, list[str]]]:
        """Return the names of `inputs` and `outputs` of each signature."""
        return self._call("/metadata", "metadata", _signatures)

    def predict(self, signature: str, rows: list[dict]) -> list:
        """Run a signature on rows.

        Args:
            signature: Its name.
            rows: A dictionary for each row, from inputs to values: numbers, strings,
                bytes, or nested lists of them.

        Returns:
            What came out for each row: the value of the one output, or a dictionary
            from outputs to values. Bytes are bytes again.
        """
        rows = [{name: _to_json(value) for name, value in row.items()} for row in rows]
        request = {"signature_name": signature, "instances": rows}

        def rows_of(answers):
            if not isinstance(answers, list) or len(answers) != len(rows):
                raise ValueError(f"not {len(rows)} rows")
            return [_from_json(answer) for answer in answers]

        return self._call(":predict", "predictions", rows_of, request)

    def _call(self, what: str, key: str, convert, request: dict | None = None):
        """GET an address, or POST a request to it; return what is under the key."""
        data = None if request is None else json.dumps(request).encode()
        headers = {"Content-Type": "application/json"}
        call = urllib.request.Request(self.url + what, data, headers)
        try:
            status, text = _within(self._timeout, lambda: self._ask(call))
            if status != http.client.OK:
                raise files.UserError(_refusal(self.url, status, text))
            return convert(json.loads(text)[key])
        except OSError as error:
            raise files.UserError(
                f"Expected an answer from the model server at {self.url}, received: "
                f"{printable(getattr(error, 'reason', error))}. Start the server, mend "
                "--server, or wait longer with --timeout."
            ) from error
        except _OTHER_FORM as error:
            raise files.UserError(
                f"Expected {key} in JSON from {self.url}, received something else "
                f"({printable(error)}). Mend --server: it takes the address of the "
                "REST API, not of gRPC."
            ) from error

    def _ask(self, call: urllib.request.Request) -> tuple[int, bytes]:
        """Return the status and the text of an answer."""
        deadline = time.monotonic() + self._timeout
        try:
            answer = _OPENER.open(call, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            answer = error
        text = bytearray()
        with answer:
            while block := answer.read1(_BLOCK_BYTES):
                text += block
                if len(text) > _MOST_BYTES:
                    raise ValueError(f"more than {_MOST_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError("timed out")
        return answer.status, bytes(text)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for the refusal it is, for it may lead anywhere."""

    def redirect_request(self, *args, **kwargs):
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _within(seconds: float, ask):
    """Return what a function does within some time, even if it hangs in between."""
    results = []

    def run():
        try:
            results.append((ask(), None))
        except Exception as error:
            results.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise TimeoutError("timed out")
    value, error = results[0]
    if error:
        raise error
    return value


def _states(versions: list) -> dict[int, str]:
    if not isinstance(versions, list):
        raise ValueError("no list of versions")
    return {int(v["version"]): printable(v["state"]) for v in versions}


def _signatures(metadata: dict) -> dict[str, dict[str, list[str]]]:
    definitions = metadata["signature_def"]["signature_def"]
    return {
        printable(name): {
            end: sorted(map(printable, dict(definition[end])))
            for end in ("inputs", "outputs")
        }
        for name, definition in definitions.items()
    }


def printable(text: object) -> str:
    """Return a text of a server's as a short line that steers no terminal."""
    return " ".join(trust.printable(text, _MOST_CHARACTERS).split())


def _refusal(url: str, status: int, text: bytes) -> str:
    """Say what an answer with an error status means."""
    try:
        # TensorFlow names nodes of its graph before it, and in further lines.
        said = json.loads(text)["error"].splitlines()[0].rstrip(".")
        said = printable(_ASSERTION.sub(r"\1", _NODES.sub("", said)))
    except _OTHER_FORM:
        said = f"status {status}, without a reason"
    if 300 <= status < 400:
        return f"{url} leads to another address ({said}). Mend --server."
    if status == 404:
        return f"No such model at {url}: {said}. Mend --model, --version or --label."
    if status in (429, 503, 504):
        return f"The model server at {url} is too busy: {said}. Try again later."
    return f"The model server at {url} refused the request: {said}."


def _to_json(value):
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return [_to_json(item) for item in value] if isinstance(value, list) else value


def _from_json(value):
    if not isinstance(value, dict):
        return value
    if set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return {name: _from_json(item) for name, item in value.items()}
