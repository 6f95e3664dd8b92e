"""Shards on disk: names, the manifest and the record index.

A converted directory holds, beside TFDS' own metadata,

    NAME-SPLIT.tfrecord-00000-of-00003   the shards
    NAME-SPLIT.index.npy                 int64 [num_examples, 3]: shard, offset, length
    manifest.json                        how it was made and what it should hold
"""

import hashlib
import json
import os

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import documents, files, npy, records, trust
from pipelines import settings as settings_lib

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

# Framing of a TFRecord in bytes: length and its checksum before the payload, the
# payload's checksum after it.
RECORD_HEADER = 12
RECORD_FOOTER = 4

# Of the record index, in bytes: a row, and at least as much as stands before the rows.
_ROW_BYTES = 3 * 8
_MAX_HEADER = 1 << 10


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
    num_examples: int = attrs.field(validator=settings_lib.not_negative)
    num_bytes: int = attrs.field(validator=settings_lib.not_negative)
    sha256: str
    first_key: str
    last_key: str


@attrs.frozen
class Split:
    """The shards of one split, in order, and its record index.

    Offsets and lengths in the index are in bytes: the offset of a record's payload
    in its shard file, and the payload's length (TFRecord framing excluded).
    """

    shards: tuple[Shard, ...] = attrs.field(converter=settings_lib.as_tuple)
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
    bad_images: tuple[str, ...] = attrs.field(
        default=(), converter=settings_lib.as_tuple
    )
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
        values = documents.read(path)
        version = documents.build(dict, values).get("schema_version")
        if version == SCHEMA_VERSION:
            manifest = documents.build(Manifest, values)
            _check(data_dir, manifest)
            return manifest
    except (ValueError, OSError, tf.errors.OpError) as error:
        reason = str(error)[:400]
        raise files.UserError(
            f"Expected a readable manifest in {path}, it is damaged ({reason}). "
            "Convert again into an empty directory."
        ) from error
    raise files.UserError(
        f"Expected a manifest of schema version {SCHEMA_VERSION} in {path}, received "
        f"version {str(version)[:40]}. Convert again, or use the package version that "
        "wrote it."
    )


def _check(data_dir: str, manifest: Manifest) -> None:
    """Raise a `ValueError` where names aren't those of `shard_name` or lead out."""
    for name in (manifest.name, *manifest.splits):
        if not trust.IDENTIFIER.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a data set or split")
    for name, split in manifest.splits.items():
        expected = [index_name(manifest.name, name)]
        expected += [
            shard_name(manifest.name, name, number, len(split.shards))
            for number in range(len(split.shards))
        ]
        listed = [split.index, *(shard.file for shard in split.shards)]
        for file, received in zip(expected, listed, strict=True):
            if received != file:
                raise ValueError(f"it lists the file {received!r} in place of {file}")
            if trust.leads_out(data_dir, file):
                raise ValueError(f"{file} is a link that leads out of the directory")
    known = attrs.fields_dict(config_lib.ConvertConfig)
    made = {name: v for name, v in manifest.settings.items() if name in known}
    documents.build(config_lib.ConvertConfig, made, "settings")


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
            data = file.read(_MAX_HEADER + _ROW_BYTES * split.num_examples)
    except tf.errors.OpError as error:
        raise files.UserError(
            f"Expected the record index {path}, it can't be read. Bring it back, or "
            "convert again."
        ) from error
    if hashlib.sha256(data).hexdigest() != split.index_sha256:
        raise files.UserError(
            f"Expected the record index {path} as its manifest knows it, it was "
            "altered. Bring it back, or convert again."
        )
    try:
        index = npy.read(data, (split.num_examples, 3), np.int64)
    except ValueError as error:
        raise files.UserError(
            f"Expected int64 [{split.num_examples}, 3] in the record index {path}, "
            f"received {error}. Convert again."
        ) from error
    if not np.all((index[:, 0] >= 0) & (index[:, 0] < len(split.shards))):
        raise files.UserError(
            f"Expected rows of shards 0 to {len(split.shards) - 1} in the record index "
            f"{path}, received others. Convert again."
        )
    return index
