"""A model on a server, asked in TensorFlow Serving's REST form: to use, or to copy."""

import base64
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request

from pipelines import files

_NODES = re.compile(r"\{\{.*?\}\} ?")
# How TensorFlow words an assertion: its text, then what was received.
_ASSERTION = re.compile(r"^assertion failed: \[(.*?)\](?= \[)")


class Server:
    """A model on a server that speaks TensorFlow Serving's REST form.

    Every method raises a `UserError` where there is no such server or model, and where
    it refuses what it is asked.

    Args:
        url: The server's, such as http://localhost:8501.
        model: The model's name there.
        version: One of its versions; 0: the newest.
        label: The label of a version, in place of its number.
        timeout: Seconds to wait for an answer.
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
        versions = self._call("", "model_version_status")
        return {int(version["version"]): version["state"] for version in versions}

    def signatures(self) -> dict[str, dict]:
        """Return TensorFlow's SignatureDefs by name, as dictionaries."""
        return self._call("/metadata", "metadata")["signature_def"]["signature_def"]

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
        answers = self._call(":predict", "predictions", request)
        return [_from_json(answer) for answer in answers]

    def _call(self, what: str, key: str, request: dict | None = None):
        """GET an address, or POST a request to it; return what is under the key."""
        data = None if request is None else json.dumps(request).encode()
        headers = {"Content-Type": "application/json"}
        call = urllib.request.Request(self.url + what, data, headers)
        try:
            with urllib.request.urlopen(call, timeout=self._timeout) as answer:
                return json.load(answer)[key]
        except urllib.error.HTTPError as error:
            raise files.UserError(_refusal(self.url, error)) from error
        except OSError as error:
            raise files.UserError(
                f"Expected an answer from the model server at {self.url}, received: "
                f"{getattr(error, 'reason', error)}. Start the server, mend --server, "
                "or wait longer with --timeout."
            ) from error
        except (ValueError, LookupError, http.client.HTTPException) as error:
            raise files.UserError(
                f"Expected {key} in JSON from {self.url}, received something else. "
                "Mend --server: it takes the address of the REST API, not of gRPC."
            ) from error


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    """Say what an answer with an error status means."""
    try:
        # TensorFlow names nodes of its graph before it, and in further lines.
        said = json.load(error)["error"].splitlines()[0].rstrip(".")
        said = _ASSERTION.sub(r"\1", _NODES.sub("", said))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        said = f"status {error.code}, without a reason"
    if error.code == 404:
        return f"No such model at {url}: {said}. Mend --model, --version or --label."
    if error.code in (429, 503, 504):
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
        return base64.b64decode(value["b64"])
    return {name: _from_json(item) for name, item in value.items()}
