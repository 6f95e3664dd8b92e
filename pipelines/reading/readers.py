"""Readers of a split: from the numbers of examples to their batch.

The numbers count a split's examples in file order. Any of them can be read at any
time, from their own places in the shards or, on request, from memory.
"""

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, records, shards
from pipelines.reading import bad_records as bad_records_lib
from pipelines.reading import crop as crop_lib
from pipelines.reading import native

Example = dict[str, tf.Tensor]

# Splits decoded into memory on request, by data set, split and fields: every epoch
# and every pass of this process shares them.
_tables: dict[tuple[str, ...], Example] = {}
_PART = 256


class Reader(Protocol):
    """Reads examples of a split."""

    @property
    def parallel_batches(self) -> int:
        """Batches to read side by side."""

    def read(self, numbers: tf.Tensor, crop: crop_lib.Crop) -> Example:
        """Read examples.

        Args:
            numbers: int64 [B], which.
            crop: How their images are cropped, mirrored and scaled.

        Returns:
            `image` as `crop` says, and the fields asked for, batched.
        """


@attrs.frozen(eq=False)
class Stored:
    """A split in its shards.

    Attributes:
        data_dir: Where it lies.
        name: Its name.
        paths: string [S], the shards.
        rows: int64 [num_examples, 3], the record index. A variable, for pipelines
            share it by reference.
        spec: What every record holds.
        fields: Which of `records.FIELDS` to read beside the image.
        images: `native.op` or `native.twin`.
        bad_records: Deals with records that can't be used.
    """

    data_dir: str
    name: str
    paths: tf.Tensor
    rows: tf.Variable
    spec: records.RecordSpec
    fields: tuple[str, ...]
    images: ModuleType
    bad_records: bad_records_lib.BadRecords

    @property
    def num_examples(self) -> int:
        """Number of examples of the split."""
        return self.rows.shape[0]

    @property
    def parallel_batches(self) -> int:
        """Batches to read side by side."""
        return self.images.PARALLEL_BATCHES

    def read(self, numbers: tf.Tensor, crop: crop_lib.Crop) -> Example:
        """Read examples from their places in the shards; see `Reader`."""
        rows = tf.gather(self.rows, numbers)
        images, ok, serialized = self.images.read_images(
            self.paths, rows, self.spec, crop, keep_serialized=bool(self.fields)
        )
        return self._example(numbers, images, ok, serialized)

    def decode(
        self, numbers: tf.Tensor, serialized: tf.Tensor, crop: crop_lib.Crop
    ) -> Example:
        """Decode examples whose records, string [B], were read already."""
        images, ok = self.images.decode_images(serialized, self.spec, crop)
        return self._example(numbers, images, ok, serialized)

    def _example(self, numbers, images, ok, serialized) -> Example:
        kept = (images, serialized) if self.fields else (images,)

        def mended() -> tuple[tf.Tensor, ...]:
            places = self.bad_records.replacements(numbers, ok)
            return tuple(tf.gather(tensor, places) for tensor in kept)

        image, *serialized = tf.cond(tf.reduce_all(ok), lambda: kept, mended)
        shape = numbers.shape.concatenate(images.shape[1:])
        example = {"image": tf.ensure_shape(image, shape)}
        if serialized:
            example |= records.parse_fields(self.spec, serialized[0], self.fields)
        return example


@attrs.frozen(eq=False)
class Cached:
    """A split decoded into memory: `table` holds all examples, in file order."""

    table: Example
    parallel_batches: int = tf.data.AUTOTUNE

    def read(self, numbers: tf.Tensor, crop: crop_lib.Crop) -> Example:
        """Copy examples out of the table; see `Reader`."""
        example = {name: tf.gather(rows, numbers) for name, rows in self.table.items()}
        return example | {"image": crop(example["image"])}


def open_split(
    data_dir: str,
    manifest: shards.Manifest,
    name: str,
    config: config_lib.DataConfig,
    fields: Sequence[str],
) -> Stored:
    """Check that files and fields are there and open a split in its shards.

    Raises:
        UserError: A split or field the data set hasn't; a shard or index that is
            missing, cut off or altered; an op that can't be had but is required.
    """
    available = manifest.record.fields()
    unknown = [field for field in fields if field not in available]
    if unknown:
        raise files.UserError(
            f"Expected fields out of {list(available)}, which are those of this data "
            f"set, received {unknown}. Leave them out, or convert a source that has "
            "them."
        )
    split = manifest.split(name)
    if not split.num_examples:
        raise files.UserError(
            f"Expected at least one example in split {name!r}, it is empty. Convert "
            "more images, or choose another split."
        )
    index = shards.load_index(data_dir, split)
    paths = [os.path.join(data_dir, shard.file) for shard in split.shards]
    for number, (path, shard) in enumerate(zip(paths, split.shards, strict=True)):
        lengths = index[index[:, 0] == number, 2]
        _check_file(path, shard, lengths, config.max_bad_records)
    spec = manifest.record
    with tf.device("CPU"):
        rows = tf.Variable(index, trainable=False)
    return Stored(
        data_dir=data_dir,
        name=name,
        paths=tf.constant(paths),
        rows=rows,
        spec=spec,
        fields=tuple(fields),
        images=native.choose(config.native),
        bad_records=bad_records_lib.BadRecords(
            paths, index, spec, config.max_bad_records
        ),
    )


def _check_file(
    path: str, shard: shards.Shard, lengths: np.ndarray, may_be_cut: int
) -> None:
    """Compare a shard's size with what its manifest says."""
    try:
        num_bytes = tf.io.gfile.stat(path).length
    except tf.errors.NotFoundError as error:
        raise files.UserError(
            f"Expected the shard {path} that the manifest lists, it is missing. "
            "Convert again, or bring it back."
        ) from error
    if num_bytes == shard.num_bytes or (num_bytes < shard.num_bytes and may_be_cut):
        return
    framed = lengths + shards.RECORD_HEADER + shards.RECORD_FOOTER
    whole = int(np.searchsorted(np.cumsum(framed), num_bytes, side="right"))
    cut, skip = "", ""
    if whole < len(lengths):
        cut = (
            f": record {whole} and those after it, up to key {shard.last_key}, are cut"
        )
        skip = ", or skip what is lost with --max_bad_records"
    raise files.UserError(
        f"Expected {shard.num_bytes:,} bytes in the shard {path}, found {num_bytes:,}"
        f"{cut}. Bring the file back or convert again{skip}."
    )


def in_memory(stored: Stored, manifest: shards.Manifest) -> Cached:
    """Decode a split into memory, once in this process."""
    key = (stored.data_dir, manifest.digest(), stored.name, *stored.fields)
    if key not in _tables:
        _tables[key] = _decode_all(stored)
    return Cached(_tables[key])


def parts(stored: Stored) -> tf.data.Dataset:
    """Decode a split in file order, some hundred examples at a time."""
    total = stored.num_examples

    def read(first: tf.Tensor) -> Example:
        numbers = tf.range(first, tf.minimum(first + _PART, total))
        crop = crop_lib.Crop.whole(stored.spec.image_shape, tf.size(numbers))
        return stored.read(numbers, crop)

    firsts = tf.data.Dataset.range(0, total, _PART)
    return firsts.map(read, num_parallel_calls=stored.parallel_batches)


def _decode_all(stored: Stored) -> Example:
    """Decode all examples, in file order, into one batch of variables."""
    whole = parts(stored).unbatch().batch(stored.num_examples)
    table = whole.get_single_element()
    # Pipelines share a variable by reference; each would copy a tensor it captures.
    with tf.device("CPU"):
        return {
            name: tf.Variable(table.pop(name), trainable=False) for name in list(table)
        }
