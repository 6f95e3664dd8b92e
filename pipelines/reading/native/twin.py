"""The op's functions in pure TensorFlow: the fallback, and the op's reference.

A batch, which mustn't be empty, is read as a small dataset of its own. Where anything
in it fails, it is read once more, example by example, to tell the sound from the
damaged.
"""

import tensorflow as tf

from pipelines import records, shards
from pipelines.reading import crop as crop_lib

PARALLEL_BATCHES = tf.data.AUTOTUNE
# What stands for a record that can't be read.
UNREADABLE = b""


def read_images(
    paths: tf.Tensor,
    rows: tf.Tensor,
    spec: records.RecordSpec,
    crop: crop_lib.Crop,
    *,
    keep_serialized: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Read the records at given places and decode their images; see `op`."""
    serialized = read_records(paths, rows)
    images, ok = decode_images(serialized, spec, crop)
    return images, ok, serialized if keep_serialized else serialized[:0]


def read_records(paths: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Read records, string [B], `UNREADABLE` where a record is damaged.

    Args:
        paths: string [S], the shards.
        rows: int64 [B, 3]: number of the shard, offset and length of the payload in
            bytes.
    """

    def read(row: tf.Tensor) -> tf.data.Dataset:
        # Unbuffered, so that no more than the record is read.
        return _open(paths[row[0]], row[1]).take(1)

    return _read(paths, rows, tf.data.Dataset.from_tensor_slices(rows).flat_map(read))


def read_run(paths: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Read successive records of one shard in one go; see `read_records`."""
    begin, end = rows[0, 1], rows[-1, 1] + rows[-1, 2]
    size = end - begin + shards.RECORD_HEADER + shards.RECORD_FOOTER
    run = _open(paths[rows[0, 0]], begin, size).take(tf.shape(rows, tf.int64)[0])
    return _read(paths, rows, run)


def _read(paths: tf.Tensor, rows: tf.Tensor, whole: tf.data.Dataset) -> tf.Tensor:
    """Read `whole`, or each record by itself, `UNREADABLE` where that fails."""

    def open_only(shard: tf.Tensor) -> tf.data.Dataset:
        file = tf.data.FixedLengthRecordDataset(paths[shard], 1, buffer_size=1)
        return file.take(1).skip(1)

    def read(row: tf.Tensor) -> tf.data.Dataset:
        record = _open(paths[row[0]], row[1]).take(1).ignore_errors()
        return record.concatenate(tf.data.Dataset.from_tensors(UNREADABLE)).take(1)

    # A file that can't be opened is no damage, and `ignore_errors` would try to open
    # it again and again, for ever: so this comes first, gives nothing, and may fail.
    used, _ = tf.unique(rows[:, 0])
    opened = tf.data.Dataset.from_tensor_slices(used).flat_map(open_only).batch(1)
    places = tf.data.Dataset.from_tensor_slices(rows)
    return _batch(whole, places.flat_map(read), tf.shape(rows)[0], opened)


def _open(path: tf.Tensor, offset: tf.Tensor, buffer: tf.Tensor = 0) -> tf.data.Dataset:
    """Read a shard from the record on whose payload stands at `offset`."""
    variant = tf.raw_ops.TFRecordDatasetV2(  # The public class has no byte offsets.
        filenames=path[None],
        compression_type="",
        buffer_size=tf.cast(buffer, tf.int64),
        byte_offsets=offset[None] - shards.RECORD_HEADER,
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))


def decode_images(
    serialized: tf.Tensor, spec: records.RecordSpec, crop: crop_lib.Crop
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the images of serialized Examples; see `op`."""

    def decode(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return records.parse(spec, record)["image"], True

    black = tf.zeros(spec.image_shape, tf.uint8), False

    def only(record: tf.Tensor) -> tf.data.Dataset:
        image = tf.data.Dataset.from_tensors(record).map(decode).ignore_errors()
        return image.concatenate(tf.data.Dataset.from_tensors(black)).take(1)

    singles = tf.data.Dataset.from_tensor_slices(serialized)
    images, ok = _batch(
        singles.map(decode), singles.flat_map(only), tf.shape(serialized)[0]
    )
    return crop(images), ok


def _batch(
    whole: tf.data.Dataset,
    singly: tf.data.Dataset,
    size: tf.Tensor,
    before: tf.data.Dataset | None = None,
) -> tf.Tensor | tuple[tf.Tensor, ...]:
    """Return the batch of `whole`, or that of `singly` where the former fails."""
    size = tf.cast(size, tf.int64)
    batches = whole.batch(size, drop_remainder=True).ignore_errors()
    batches = batches.concatenate(singly.batch(size)).take(1)
    return (before.concatenate(batches) if before else batches).get_single_element()
