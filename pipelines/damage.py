"""Records that can't be used: named, counted, and skipped as far as is allowed."""

import logging
import os
import re
import threading

import numpy as np
import tensorflow as tf

from pipelines import errors, records, shards
from pipelines.native import twin

_LOGGER = logging.getLogger(__name__)
_SENTENCE = re.compile(rf"{errors.DataError.__name__}: (.*)")


def sentence(error: tf.errors.OpError) -> str | None:
    """Return what a `DataError` raised inside a pipeline said, None for others."""
    found = _SENTENCE.search(error.message)
    return found and found.group(1)


class Damage:
    """The damaged records that reading a split has met.

    Args:
        paths: The split's shards.
        rows: Its record index, int64 [num_examples, 3].
        spec: What every record should hold.
        limit: How many records may be skipped.
    """

    def __init__(
        self, paths: list[str], rows: np.ndarray, spec: records.RecordSpec, limit: int
    ):
        self._paths, self._rows, self._spec = paths, rows, spec
        self._limit = limit
        self._lock = threading.Lock()
        self.found: dict[int, str] = {}

    def replacements(self, numbers: tf.Tensor, ok: tf.Tensor) -> tf.Tensor:
        """Find for each place of a batch the place whose example stands there.

        That is its own place where `ok`, else the nearest sound one before it (after
        it at the head of the batch): the shape stays, and the same batch is always
        mended in the same way.

        Args:
            numbers: int64 [B], the examples.
            ok: bool [B], which of them are sound.

        Returns:
            int64 [B] in [0, B).

        Raises:
            DataError: Too many records are damaged by now, or all of the batch.
        """
        return tf.numpy_function(self._replace, [numbers, ok], tf.int64)

    def _replace(self, numbers: np.ndarray, ok: np.ndarray) -> np.ndarray:
        with self._lock:
            for number in numbers[~ok].tolist():
                if number not in self.found:
                    self._add(number)
        if not ok.any():
            raise errors.DataError(
                "Expected at least one sound record in each batch, all "
                f"{len(ok)} of one are damaged, such as {self._describe(numbers[0])} "
                "Convert again."
            )
        places = np.where(ok, np.arange(len(ok)), -1)
        places = np.maximum.accumulate(places)
        return np.where(places < 0, np.argmax(ok), places)

    def _add(self, number: int) -> None:
        what = self.found[number] = self._describe(number)
        if len(self.found) <= self._limit:
            _LOGGER.warning(
                "skipping damaged record %d of at most %d: %s",
                *(len(self.found), self._limit, what),
            )
            return
        allowed = f"at most {self._limit} damaged" if self._limit else "sound"
        raise errors.DataError(
            f"Expected {allowed} records, found {what} Find all with "
            "tools.verify_shards and convert again, or skip them with "
            "--max_bad_records."
        )

    def _describe(self, number: int) -> str:
        """Name a record's shard, number, key and fault, in a sentence."""
        shard, offset, length = self._rows[number].tolist()
        first = int(np.searchsorted(self._rows[:, 0], shard))
        key, fault = examine(self._paths[shard], offset, length, self._spec)
        named = f"key {key}" if key else "its key can't be read"
        return (
            f"record {number - first} of {os.path.basename(self._paths[shard])} "
            f"({named}): {fault}."
        )


def examine(
    path: str, offset: int, length: int, spec: records.RecordSpec
) -> tuple[str, str]:
    """Find out what is wrong with a record.

    Args:
        path: The shard.
        offset: Where the record's payload should begin, in bytes.
        length: The payload's length in bytes.
        spec: What the record should hold.

    Returns:
        The key, empty where it can't be read; and the fault.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        size = file.size()
        if offset + length + shards.RECORD_FOOTER > size:
            return "", f"the file ends at byte {size:,}, before the record does"
        file.seek(offset - shards.RECORD_HEADER)
        framed = file.read(shards.RECORD_HEADER + length)
    header, payload = framed[: shards.RECORD_HEADER], framed[shards.RECORD_HEADER :]
    if int.from_bytes(header[:8], "little") != length:
        return "", "the record index points elsewhere, or its header is damaged"
    feature = _features(payload)
    key = feature[records.KEY_FEATURE].bytes_list.value if feature else ()
    name = key[0].decode(errors="replace") if key else ""
    row = tf.constant([[0, offset, length]], tf.int64)
    (checked,) = twin.read_records(tf.constant([path]), row).numpy()
    if checked == twin.UNREADABLE:
        return name, "its checksum doesn't fit its content"
    if feature is None or not feature["image"].bytes_list.value:
        return name, "it holds no image"
    try:
        records.parse(spec, tf.constant(payload))
    except (tf.errors.OpError, ValueError):
        return name, f"its image is no {spec.encoding} of shape {spec.image_shape}"
    return name, "it can't be read now, but could afterwards"


def _features(payload: bytes):
    """Parse an Example's features; None where it is none."""
    example = tf.train.Example()
    try:
        example.ParseFromString(payload)
    except Exception:  # The error's class belongs to the protobuf in use.
        return None
    return example.features.feature
