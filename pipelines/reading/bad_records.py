"""Records that can't be used: named, counted, and skipped as far as is allowed."""

import functools
import logging
import os
import re
import threading

import numpy as np
import tensorflow as tf

from pipelines import files, records, shards

_LOGGER = logging.getLogger(__name__)
_SENTENCE = re.compile(rf"{files.UserError.__name__}: (.*)")


def sentence(error: tf.errors.OpError) -> str | None:
    """Return what a `UserError` raised inside a pipeline said, None for others."""
    match = _SENTENCE.search(error.message)
    return match and match.group(1)


class BadRecords:
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
        self.faults: dict[int, str] = {}

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
            UserError: Too many records are damaged by now, or all of the batch.
        """
        return tf.numpy_function(self._replace, [numbers, ok], tf.int64)

    def _replace(self, numbers: np.ndarray, ok: np.ndarray) -> np.ndarray:
        with self._lock:
            for number in numbers[~ok].tolist():
                if number not in self.faults:
                    self._add(number)
        if not ok.any():
            raise files.UserError(
                "Expected at least one sound record in each batch, all "
                f"{len(ok)} of one are damaged, such as {self._describe(numbers[0])} "
                "Convert again."
            )
        places = np.where(ok, np.arange(len(ok)), -1)
        places = np.maximum.accumulate(places)
        return np.where(places < 0, np.argmax(ok), places)

    def _add(self, number: int) -> None:
        what = self.faults[number] = self._describe(number)
        if len(self.faults) <= self._limit:
            _LOGGER.warning(
                "skipping damaged record %d of at most %d: %s",
                *(len(self.faults), self._limit, what),
            )
            return
        allowed = f"at most {self._limit} damaged" if self._limit else "sound"
        raise files.UserError(
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
    # Pipelines wait for this in TensorFlow's own threads: to run one here as well could
    # leave it none to run in.
    begin = offset - shards.RECORD_HEADER
    with tf.io.gfile.GFile(path, "rb") as file:
        size = file.size()
        if offset + length + shards.RECORD_FOOTER > size:
            return "", f"the file ends at byte {size:,}, before the record does"
        file.seek(max(begin, 0))
        header = file.read(shards.RECORD_HEADER)
        payload = file.read(length)
        footer = file.read(shards.RECORD_FOOTER)
    if begin < 0 or int.from_bytes(header[:8], "little") != length:
        return "", "the record index points elsewhere, or its header is damaged"
    keys, images = (
        _values(payload, name) for name in (records.KEY_FEATURE, records.IMAGE_FEATURE)
    )
    name = keys[0].decode(errors="replace") if keys else ""
    if _checksum(header[:8]) != header[8:] or _checksum(payload) != footer:
        return name, "its checksum doesn't fit its content"
    if len(images) != 1:
        return name, f"it holds {len(images) or 'no'} images"
    try:
        records.decode_image(spec, tf.constant(images[0]))
    except (tf.errors.OpError, ValueError):
        return name, f"its image is no {spec.encoding} of shape {spec.image_shape}"
    return name, "it can't be read now, but could afterwards"


def _values(payload: bytes, name: str) -> list[bytes]:
    """Return an Example's values of a feature, none where it is no Example."""
    try:
        feature = tf.train.Example.FromString(payload).features.feature
    except Exception:  # The error's class belongs to the protobuf in use.
        return []
    return list(feature[name].bytes_list.value)


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C that a TFRecord keeps of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _crc_table()[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


@functools.cache
def _crc_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in table]
    return table
