"""Shards on disk: names, the manifest and the record index.

A converted directory holds, beside TFDS' own metadata,

    NAME-SPLIT.tfrecord-00000-of-00003   the shards
    NAME-SPLIT.index.npy                 int64 [num_examples, 3]: shard, offset, length
    manifest.json                        how it was made and what it should hold
"""

import hashlib
import io
import json
import os

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files, records

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

# Framing of a TFRecord in bytes: length and its checksum before the payload, the
# payload's checksum after it.
RECORD_HEADER = 12
RECORD_FOOTER = 4


def shard_name(name: str, split: str, shard: int, num_shards: int) -> str:
    """Return a shard's file name in TFDS' form."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{num_shards:05d}"


def index_name(name: str, split: str) -> str:
    """Return the file name of a split's record index."""
    return f"{name}-{split}.index.npy"


@attrs.frozen
class Shard:
    """One shard file as it should be; `sha256` is over the whole file."""

    file: str
    num_examples: int
    num_bytes: int
    sha256: str
    first_key: str
    last_key: str


@attrs.frozen
class Split:
    """The shards of one split, in order, and its record index.

    Offsets and lengths in the index are in bytes: the offset of a record's payload
    in its shard file, and the payload's length (TFRecord framing excluded).
    """

    shards: tuple[Shard, ...] = attrs.field(converter=tuple)
    index: str
    index_sha256: str

    @property
    def num_examples(self) -> int:
        """Number of examples over all shards."""
        return sum(shard.num_examples for shard in self.shards)


@attrs.frozen
class Manifest:
    """What a converted directory holds and how it was made.

    Attributes:
        name: Data set name, as in the shard names and for TFDS.
        version: Data set version for TFDS.
        source: Kind and digest of what was converted.
        settings: The `ConvertConfig` as a dict.
        record: What each example holds.
        splits: Split name to its shards.
        bad_images: Source images that were skipped, with the reason.
        schema_version: Version of this file's own form.
    """

    name: str
    version: str
    source: dict
    settings: dict
    record: records.RecordSpec
    splits: dict[str, Split]
    bad_images: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    schema_version: int = SCHEMA_VERSION

    def digest(self) -> str:
        """Return a sha256 of the whole manifest, the data set's identity."""
        text = json.dumps(attrs.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def split(self, name: str) -> Split:
        """Return a split, or raise a `UserError` that lists those there are."""
        if name not in self.splits:
            raise files.UserError(
                f"Expected a split out of {sorted(self.splits)}, received {name!r}."
            )
        return self.splits[name]


def save_manifest(data_dir: str, manifest: Manifest) -> None:
    """Write `manifest.json` atomically."""
    text = json.dumps(attrs.asdict(manifest), indent=1, sort_keys=True) + "\n"
    files.write(os.path.join(data_dir, MANIFEST_NAME), text)


def load_manifest(data_dir: str) -> Manifest:
    """Read `manifest.json`.

    Raises:
        UserError: There is none, it is damaged, or it is of another schema version.
    """
    path = os.path.join(data_dir, MANIFEST_NAME)
    if not tf.io.gfile.exists(path):
        raise files.UserError(
            f"Expected a converted data set with {MANIFEST_NAME} in {data_dir}, found "
            "none. Make one with tools.convert_celeba, or mend --data_dir."
        )
    try:
        with tf.io.gfile.GFile(path, "r") as file:
            values = json.load(file)
        version = values["schema_version"]
        if version == SCHEMA_VERSION:
            values["record"] = records.RecordSpec(**values["record"])
            values["splits"] = {
                name: Split(
                    **{**split, "shards": [Shard(**s) for s in split["shards"]]}
                )
                for name, split in values["splits"].items()
            }
            return Manifest(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise files.UserError(
            f"Expected a readable manifest in {path}, it is damaged ({error}). Convert "
            "again into an empty directory."
        ) from error
    raise files.UserError(
        f"Expected a manifest of schema version {SCHEMA_VERSION} in {path}, received "
        f"version {version}. Convert again, or use the package version that wrote it."
    )


def load_index(data_dir: str, split: Split) -> np.ndarray:
    """Read a split's record index and check it against the manifest.

    Returns:
        int64 [num_examples, 3]: shard, offset and length of each payload in bytes.

    Raises:
        UserError: It is missing, damaged, or doesn't fit the shards.
    """
    path = os.path.join(data_dir, split.index)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read()
        index = np.load(io.BytesIO(data))
    except (tf.errors.OpError, ValueError, EOFError) as error:
        raise files.UserError(
            f"Expected the record index {path}, it can't be read. Bring it back, or "
            "convert again."
        ) from error
    if hashlib.sha256(data).hexdigest() == split.index_sha256:
        return index
    raise files.UserError(
        f"Expected the record index {path} as its manifest knows it, it was altered. "
        "Bring it back, or convert again."
    )
