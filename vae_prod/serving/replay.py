"""An export tried out: recorded requests played to its signatures.

    python replay.py JOB.json

This file needs TensorFlow and NumPy alone, neither Keras nor this package, and so runs
where a stranger's process would. It plays recorded requests to an export's
signatures, one by one, many at once and with what must be refused, compares the answers
with the recorded ones, and times them. Prints a line of JSON for each signature that it
is through with in each way, [how many, of how many], and at last one with the findings.

A record is an `.npz` file with the arrays `SIGNATURE/in/NAME` and `SIGNATURE/out/NAME`,
of as many rows each.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_BATCHES = (1, 7, 64)
_MANY = 64
# Of each kind of input, what must be refused.
_NOT_A_PICTURE = (
    b"",
    b"not a picture",
    b"\xff\xd8\xff\xe0cut off",
    b"\x89PNG\r\n\x1a\n",
)
_TOO_MANY = 100_000
# Bytes of a row, above which it isn't sent so often.
_SMALL = 4096

_Rows = dict[str, np.ndarray]
_Record = dict[str, tuple[_Rows, _Rows]]


def read(path: str) -> _Record:
    """Read a record: signature to its inputs and outputs."""
    record: _Record = {}
    with np.load(path) as arrays:
        for key, array in arrays.items():
            signature, side, name = key.split("/")
            record.setdefault(signature, ({}, {}))[side == "out"][name] = array
    return record


def flat(record: Mapping[str, tuple[_Rows, _Rows]]) -> _Rows:
    """Return the arrays of a record under the names that `read` takes."""
    return {
        f"{signature}/{side}/{name}": array
        for signature, both in record.items()
        for side, arrays in zip(("in", "out"), both, strict=True)
        for name, array in arrays.items()
    }


def ask(signature, inputs: Mapping[str, np.ndarray]) -> _Rows:
    """Send a request, and return the answer as arrays."""
    answer = signature(**{k: tf.constant(v) for k, v in inputs.items()})
    return {name: tensor.numpy() for name, tensor in answer.items()}


def difference(name: str, answer: np.ndarray, expected: np.ndarray) -> float:
    """Return how far an answer is from the expected one, at most.

    Of files, in levels of 255 of their pixels; of numbers, absolutely, and in parts of
    the expected ones where these are larger than 1.
    """
    if answer.shape != expected.shape:
        return float("inf")
    if name.endswith("_bytes"):
        pairs = zip(answer, expected, strict=True)
        both = [[tf.io.decode_png(file).numpy() for file in pair] for pair in pairs]
        return max(float(np.abs(a.astype(int) - b).max()) for a, b in both) / 255
    scale = np.maximum(1.0, np.abs(expected))
    worst = np.abs(answer - expected) / scale
    return float(worst.max()) if np.isfinite(answer).all() else float("inf")


def farthest(answer: _Rows, expected: _Rows) -> float:
    """Return the largest difference of an answer's tensors; infinite if one lacks."""
    if answer.keys() != expected.keys():
        return float("inf")
    return max(difference(name, answer[name], expected[name]) for name in expected)


def rows(arrays: _Rows, count: int) -> _Rows:
    """Return `count` rows, the recorded ones over and over."""
    return {k: np.resize(v, (count, *v.shape[1:])) for k, v in arrays.items()}


def largest_difference(signature, request: _Rows, expected: _Rows) -> float:
    """Send a request; return the answer's largest difference from the expected one."""
    return farthest(ask(signature, request), expected)


def bad_requests(request: _Rows) -> Iterator[tuple[list[str], str, _Rows]]:
    """Yield what must be refused: inputs to name one of, what is wrong, the request."""
    for name, array in request.items():
        for what, wrong in _wrong(name, array):
            yield [name], f"{name}: {what}", {**request, name: wrong}
    yield list(request), "no row", {k: v[:0] for k, v in request.items()}
    if sum(v[:1].nbytes for v in request.values()) < _SMALL:
        yield list(request), f"{_TOO_MANY} rows", rows(request, _TOO_MANY)


def _wrong(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if name.endswith("_bytes"):
        for content in _NOT_A_PICTURE:
            yield f"bytes {content[:13]!r}", np.array([*array[:-1], content])
        yield (
            "a file cut off",
            np.array([*array[:-1], array[-1][: len(array[-1]) // 2]]),
        )
    elif array.dtype.kind == "S":
        yield "an unknown name", np.array([*array[:-1], b"unheard-of"])
    elif array.dtype.kind == "f":
        yield "NaN", np.concatenate([array[:-1], np.full_like(array[-1:], np.nan)])
    if array.ndim > 1:
        yield "rows of a wrong size", array[:, :-1]
    if array.dtype.kind != "S":
        yield "a dimension too many", array[..., None]


def refusals(signature, request: _Rows) -> list[list]:
    """Send what must be refused.

    Returns:
        [what was sent, whether it was refused by the input's name, what was said] each.
    """
    answers = []
    for names, what, bad_request in bad_requests(request):
        try:
            ask(signature, bad_request)
            said, refused = "served", False
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            said = _sentence(str(error))
            refused = any(name in str(error) for name in names)
        answers.append([what, refused, said])
    return answers


def _sentence(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [n for n in lines if "assertion failed" in n or "expected" in n.lower()]
    return (kept or lines[-2:] or [""])[0][:200]


def timed(signature, request: _Rows, seconds: float) -> list[float]:
    """Return the seconds of each of many requests."""
    tensors = {name: tf.constant(array) for name, array in request.items()}
    signature(**tensors)
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < seconds and len(taken) < 1000):
        start = time.perf_counter()
        for tensor in signature(**tensors).values():
            tensor.numpy()
        taken.append(time.perf_counter() - start)
    return taken


def speed(signature, request: _Rows, limit: int, seconds: float) -> dict[str, float]:
    """Return how long single rows take, and how many rows a second large batches do."""
    many = min(_MANY, limit)
    single = timed(signature, rows(request, 1), seconds)
    return {
        "p50_ms": 1e3 * float(np.percentile(single, 50)),
        "p95_ms": 1e3 * float(np.percentile(single, 95)),
        "rows": many,
        "rows_per_second": many
        / float(np.median(timed(signature, rows(request, many), seconds))),
    }


def play(job: dict, on_progress: Callable[[int, int], None]) -> dict:
    """Try an export out.

    Args:
        job: `export`, its folder; `records`, names to paths of records, of which
            `golden` is tried in all ways; `max_batch`; `seconds` to time each
            signature for, each way.
        on_progress: Called with how many trials are done, and of how many.
    """
    start = time.perf_counter()
    loaded = tf.saved_model.load(job["export"])
    load_seconds = time.perf_counter() - start
    signatures, limit = loaded.signatures, job["max_batch"]
    records = {name: read(path) for name, path in job["records"].items()}
    findings: dict[str, Any] = {
        "load_seconds": load_seconds,
        "tensorflow": tf.__version__,
    }
    findings["missing"] = sorted(set().union(*records.values()) - set(signatures))
    if findings["missing"]:
        return findings

    def batches(signature, request, expected):
        counts = [count for count in _BATCHES if count <= limit]
        pairs = ((rows(request, n), rows(expected, n)) for n in counts)
        return max(largest_difference(signature, *pair) for pair in pairs)

    trials: list[tuple[str, Callable[..., Any], dict]] = [
        (name, largest_difference, record) for name, record in records.items()
    ]
    golden = records["golden"]
    trials += [
        ("batches", batches, golden),
        (
            "refusals",
            lambda signature, request, _: refusals(signature, request),
            golden,
        ),
        ("after refusals", largest_difference, golden),
        (
            "speed",
            lambda s, request, _: speed(s, request, limit, job["seconds"]),
            golden,
        ),
    ]
    total, done = sum(len(record) for _, _, record in trials), 0
    for trial, function, record in trials:
        findings[trial] = {}
        for name, (request, expected) in record.items():
            findings[trial][name] = function(signatures[name], request, expected)
            done += 1
            on_progress(done, total)
    return findings


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        findings = play(
            json.load(file), lambda *done: print(json.dumps(done), flush=True)
        )
    print(json.dumps(findings))
