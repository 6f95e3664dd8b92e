"""A converted directory compared with its manifest."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from pipelines import files, records, shards


def verify(
    data_dir: str, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """Compare a directory with its manifest, reading and decoding every record.

    Memory stays at eight bytes per example, whatever the images' size.

    Args:
        data_dir: A converted directory.
        on_progress: Called with (examples done, examples in all) after each shard.

    Returns:
        What is wrong, one sentence each naming the file; empty when all is well.

    Raises:
        UserError: The manifest is missing, damaged or of another schema version.
    """
    manifest = shards.load_manifest(data_dir)
    total = sum(split.num_examples for split in manifest.splits.values())
    problems, hashes, done = _verify_listing(data_dir, manifest), {}, 0
    for split in manifest.splits.values():
        index, faults = _verify_index(data_dir, split)
        problems += faults
        row = 0
        for number, shard in enumerate(split.shards):
            rows = None if index is None else index[row : row + shard.num_examples]
            keys, lengths, faults = _verify_shard(data_dir, manifest.record, shard)
            if not faults and rows is not None:
                faults = _compare_index(shard, number, rows, lengths)
            problems += faults
            hashes[shard.file] = keys
            row += shard.num_examples
            on_progress(done + row, total)
        done += row
    return problems + _find_repeated(hashes)


def damaged_files(data_dir: str, manifest: shards.Manifest) -> list[str]:
    """Compare shards and indices with their sizes and checksums, decoding nothing.

    Returns:
        What is wrong, one sentence each naming the file; empty when all is well.
    """
    problems = []
    for split in manifest.splits.values():
        for shard in split.shards:
            path = os.path.join(data_dir, shard.file)
            problems += _verify_file(path, shard.sha256, shard.num_bytes)
        path = os.path.join(data_dir, split.index)
        problems += _verify_file(path, split.index_sha256)
    return problems


def _find_repeated(hashes: dict[str, np.ndarray]) -> list[str]:
    """Name the shards that hold keys which stand anywhere else too."""
    keys, counts = np.unique(np.concatenate([*hashes.values()]), return_counts=True)
    repeated = keys[counts > 1]
    repetitions = {file: int(np.isin(k, repeated).sum()) for file, k in hashes.items()}
    return [
        f"{file}: expected every key once over all splits, {number} are repeated."
        for file, number in repetitions.items()
        if number
    ]


def _verify_listing(data_dir: str, manifest: shards.Manifest) -> list[str]:
    """Compare the names of the files with those the manifest and TFDS expect."""
    listed = {s.file for split in manifest.splits.values() for s in split.shards}
    present = {name for name in tf.io.gfile.listdir(data_dir) if ".tfrecord-" in name}
    problems = [
        f"{name}: not in the manifest; remove it." for name in sorted(present - listed)
    ]
    for name in ("dataset_info.json", "features.json"):
        if not tf.io.gfile.exists(os.path.join(data_dir, name)):
            problems.append(f"{name}: missing, so TFDS can't read this directory.")
    return problems


def _verify_file(path: str, sha256: str, num_bytes: int | None = None) -> list[str]:
    """Compare a file with its expected size and checksum, where they are given."""
    name = os.path.basename(path)
    if not tf.io.gfile.exists(path):
        return [f"{name}: missing."]
    received = tf.io.gfile.stat(path).length
    if num_bytes not in (None, received):
        return [f"{name}: expected {num_bytes} bytes, received {received}."]
    if sha256 != files.sha256(path):
        return [f"{name}: its content was altered (another sha256)."]
    return []


def _verify_index(
    data_dir: str, split: shards.Split
) -> tuple[np.ndarray | None, list[str]]:
    problems = _verify_file(os.path.join(data_dir, split.index), split.index_sha256)
    if problems:
        return None, problems
    try:
        return shards.load_index(data_dir, split), []
    except files.UserError as error:
        return None, [f"{split.index}: {error}"]


def _verify_shard(
    data_dir: str, record: records.RecordSpec, shard: shards.Shard
) -> tuple[np.ndarray, list[int], list[str]]:
    """Read a shard.

    Returns:
        Hashes of the keys, uint64 [n]; lengths of the records in bytes; what is wrong.
    """
    path = os.path.join(data_dir, shard.file)
    problems = _verify_file(path, shard.sha256, shard.num_bytes)
    keys, lengths = [], []
    if tf.io.gfile.exists(path):
        try:
            for key, length, _ in _read_shard(path, record):
                keys.append(key)
                lengths.append(length)
        except tf.errors.OpError as error:
            # TensorFlow frames the cause with names of its own nodes.
            reason = re.sub(r"\{\{.*?\}\} | \[Op:.*", "", error.message.split("\n")[0])
            problems.append(f"{shard.file}: record {len(keys)} is damaged ({reason}).")
    hashes = [hashlib.blake2b(key, digest_size=8).digest() for key in keys]
    problems = problems or _compare_entry(shard, keys)
    return np.frombuffer(b"".join(hashes), np.uint64), lengths, problems


def _read_shard(path: str, record: records.RecordSpec) -> Iterator[tuple]:
    """Yield (key, bytes of the payload, a pixel) of each record."""

    def read(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        example = records.parse(record, serialized, ("key",))
        # The pixel is what keeps the decoding from being optimized away.
        pixel = example["image"][0, 0, 0]
        return example["key"], tf.strings.length(serialized), pixel

    dataset = tf.data.TFRecordDataset(path).map(read, tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def _compare_entry(shard: shards.Shard, keys: list[bytes]) -> list[str]:
    """Compare a readable shard with its entry in the manifest."""
    facts = {
        "examples": (shard.num_examples, len(keys)),
        "first key": (shard.first_key, keys[0].decode() if keys else ""),
        "last key": (shard.last_key, keys[-1].decode() if keys else ""),
    }
    return [
        f"{shard.file}: expected {fact} {wanted}, received {received}."
        for fact, (wanted, received) in facts.items()
        if wanted != received
    ]


def _compare_index(
    shard: shards.Shard, number: int, rows: np.ndarray, lengths: list[int]
) -> list[str]:
    """Compare a sound shard with its rows of the record index, int64 [n, 3]."""
    framed = np.array(lengths, np.int64) + shards.RECORD_HEADER + shards.RECORD_FOOTER
    offsets = np.cumsum(framed) - lengths - shards.RECORD_FOOTER
    expected = np.stack([np.full_like(offsets, number), offsets, lengths], axis=1)
    if np.array_equal(rows, expected):
        return []
    return [f"{shard.file}: the record index points elsewhere."]
