"""From shards to batches: manifest + DataConfig -> tf.data.Dataset.

The order of the examples, their augmentation and their corruption are functions of
(seed, epoch, position in the epoch) alone. Nothing else is remembered, so a run can
begin at any (epoch, step), at once, and sees exactly what an uninterrupted run would
see.

A batch is a dict:

    image    uint8 [B, H, W, C]
    target   uint8 [B, H, W, C], the clean image, only where `image` is corrupted
    ...      the fields asked for, as `records.parse_fields` gives them
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, shards
from pipelines.reading import batch as batch_lib
from pipelines.reading import block_shuffle, device_cache, epochs, readers

TRAIN_SPLIT = "train"

# Finished batches that wait for the step.
_PREFETCH = 4


def steps_per_epoch(manifest: shards.Manifest, config: config_lib.DataConfig) -> int:
    """Return the number of training batches in an epoch.

    Raises:
        UserError: There is no training split, or it doesn't fill a single batch.
    """
    num_examples = manifest.split(TRAIN_SPLIT).num_examples
    if config.keep_last_batch:
        steps = -(-num_examples // config.batch_size)
    else:
        steps = num_examples // config.batch_size
    if steps:
        return steps
    if config.keep_last_batch:
        raise files.UserError(
            "Expected at least one training image, received none. Convert more images."
        )
    raise files.UserError(
        f"Expected at least one batch of {config.batch_size} training images, received "
        f"{num_examples} images. Lower batch_size, or set keep_last_batch."
    )


def image_shape(
    manifest: shards.Manifest, config: config_lib.DataConfig
) -> tuple[int, int, int]:
    """Return the (height, width, channels) of a batch's images.

    Raises:
        UserError: `config.random_crop` is larger than the stored images.
    """
    height, width, channels = manifest.record.image_shape
    side = config.random_crop
    if side > min(height, width):
        raise files.UserError(
            f"Expected a random_crop of at most {min(height, width)} pixels, the "
            f"stored images' shorter side, received {side}. Lower it, or convert to a "
            "larger --image_size."
        )
    return (side, side, channels) if side else (height, width, channels)


def train_batches(
    data_dir: str,
    manifest: shards.Manifest,
    config: config_lib.DataConfig,
    *,
    start_epoch: int = 0,
    start_step: int = 0,
    replica: tuple[int, int] = (0, 1),
    fields: Sequence[str] = (),
    dtype: tf.DType = tf.uint8,
) -> tf.data.Dataset:
    """Read the training split, epoch after epoch without end.

    Every epoch holds `steps_per_epoch` batches of every example once, in a fresh
    order and freshly augmented; without `keep_last_batch` the rest that doesn't fill
    a batch is left out, another one each epoch. Memory is the record index (24 bytes
    an example) and a few batches, with `shuffle=blocks` two shuffle buffers, unless
    `config.cache` says "memory".

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        manifest: What the directory holds.
        config: How to read it.
        start_epoch: Epoch to begin in.
        start_step: Batches of that epoch to leave out; at most an epoch's worth.
        replica: (index, count) of this input worker. Each batch is `batch_size //
            count` examples, and the workers' batches together are the global batch.
        fields: Which of `records.FIELDS` to return beside the image.
        dtype: uint8; or float32 or bfloat16, scaled to [0, 1].

    Returns:
        An endless dataset of batches, see the head of this module.

    Raises:
        UserError: A split or field the data set hasn't, a missing or damaged file, or
            a batch that can't be made.
    """
    steps = steps_per_epoch(manifest, config)
    if not 0 <= start_step <= steps:
        raise files.UserError(
            f"Expected a step to begin at in [0, {steps}], received {start_step}."
        )
    _check_shared(config, replica[1])
    stored = readers.open_split(data_dir, manifest, TRAIN_SPLIT, config, fields)
    training = _training(manifest, config, replica, dtype)
    if config.shuffle == "blocks":
        blocks = block_shuffle.Blocks.cut(stored, manifest.split(TRAIN_SPLIT))
        batches = training.streamed(stored, blocks, start_epoch, start_step)
    else:
        reader = _reader(stored, manifest, config)
        batches = training.picked(reader, start_epoch, start_step)
    return _endless(batches)


def train_on_device(
    data_dir: str, manifest: shards.Manifest, config: config_lib.DataConfig
) -> device_cache.DeviceCache:
    """Load the training images onto the device that trains; see `train_places`.

    Raises:
        UserError: A missing or damaged file, or too little memory.
    """
    stored = readers.open_split(data_dir, manifest, TRAIN_SPLIT, config, ())
    return device_cache.load(stored, manifest, image_shape(manifest, config)[:2])


def train_places(
    manifest: shards.Manifest,
    config: config_lib.DataConfig,
    *,
    start_epoch: int = 0,
    start_step: int = 0,
    at_once: int = 1,
) -> tf.data.Dataset:
    """Say where the images of `train_batches` are, for `device_cache` to take them.

    Args:
        manifest: What is read.
        config: How to read it.
        start_epoch: Epoch to begin in.
        start_step: Batches of that epoch to leave out.
        at_once: Batches in an element, but those that are left at an epoch's end.

    Returns:
        An endless dataset of `device_cache.places` of several batches, stacked.
    """
    training = _training(manifest, config)
    return _endless(training.placed(start_epoch, start_step, at_once))


def _endless(batches: tf.data.Dataset) -> tf.data.Dataset:
    endless = tf.data.experimental.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(endless))
    return batches.prefetch(_PREFETCH).with_options(_options())


def eval_batches(
    data_dir: str,
    manifest: shards.Manifest,
    split: str,
    config: config_lib.DataConfig,
    *,
    fields: Sequence[str] = (),
    dtype: tf.DType = tf.uint8,
    every: int = 1,
    worker: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Read a split once, in file order, leaving no example out.

    Nothing is augmented; of `random_crop` the central window is taken. Corruption is
    that of training, but an example's damage depends on the seed and its place in the
    split alone: each pass sees the same.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        manifest: What the directory holds.
        split: Name of the split.
        config: How to read it.
        fields: Which of `records.FIELDS` to return beside the image.
        dtype: uint8; or float32 or bfloat16, scaled to [0, 1].
        every: Read the examples 0, `every`, 2 `every`, ... alone.
        worker: (index, count) of workers that take the batches in turn. All get as
            many: once there are no more, the first example alone.

    Returns:
        A finite dataset of batches, see the head of this module; the last batch may
        be smaller.

    Raises:
        UserError: A split or field the data set hasn't, or a missing or damaged file.
    """
    stored = readers.open_split(data_dir, manifest, split, config, fields)
    reader = _reader(stored, manifest, config)
    maker = batch_lib.Maker(manifest.record.image_shape, config, dtype)
    total = -(-stored.num_examples // every)

    index, count = worker

    def batch(first: tf.Tensor) -> batch_lib.Example:
        first = first + index * config.batch_size
        last = tf.minimum(first + config.batch_size, total)
        if count > 1:
            is_there = first < total
            first = tf.where(is_there, first, tf.zeros_like(first))
            last = tf.where(is_there, last, tf.ones_like(last))
        places = tf.range(first, last)
        read = epochs.reading(reader, places * every)
        return maker.evaluation(first, tf.size(places), read)

    firsts = tf.data.Dataset.range(0, total, count * config.batch_size)
    batches = epochs.mapped(firsts, batch, reader.parallel_batches)
    return batches.prefetch(_PREFETCH).with_options(_options())


def examples(
    data_dir: str,
    manifest: shards.Manifest,
    split: str,
    numbers: np.ndarray,
    config: config_lib.DataConfig,
) -> dict[str, np.ndarray]:
    """Read some examples of a split, as `eval_batches` gives them.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        manifest: What the directory holds.
        split: Name of the split.
        numbers: int64 [N], which examples, counted in file order.
        config: How to read them.

    Returns:
        `image` and, where it is corrupted, `target`: uint8 [N, H, W, C].

    Raises:
        UserError: A split the data set hasn't, or a missing or damaged file.
    """
    stored = readers.open_split(data_dir, manifest, split, config, ())
    maker = batch_lib.Maker(manifest.record.image_shape, config, tf.uint8)

    def example(number: tf.Tensor) -> batch_lib.Example:
        return maker.evaluation(
            number, tf.constant(1), epochs.reading(stored, number[None])
        )

    wanted = tf.data.Dataset.from_tensor_slices(tf.constant(numbers, tf.int64))
    read = (
        epochs.mapped(wanted, example, tf.data.AUTOTUNE).unbatch().batch(len(numbers))
    )
    return {name: v.numpy() for name, v in read.get_single_element().items()}


def _check_shared(config: config_lib.DataConfig, num_workers: int) -> None:
    if config.batch_size % num_workers:
        raise files.UserError(
            f"Expected a batch_size that {num_workers} input workers can share "
            f"equally, received {config.batch_size}. Make it a multiple of "
            f"{num_workers}."
        )
    if config.keep_last_batch and num_workers > 1:
        raise files.UserError(
            f"Expected only full batches with {num_workers} input workers, received "
            "keep_last_batch: the last, smaller batch can't be shared equally. Leave "
            "keep_last_batch off."
        )


def _training(manifest, config, replica=(0, 1), dtype=tf.uint8) -> epochs.Training:
    return epochs.Training(
        maker=batch_lib.Maker(manifest.record.image_shape, config, dtype),
        num_examples=manifest.split(TRAIN_SPLIT).num_examples,
        steps=steps_per_epoch(manifest, config),
        index=replica[0],
        share=config.batch_size // replica[1],
    )


def _reader(stored: readers.Stored, manifest, config) -> readers.Reader:
    in_memory = config.cache == "memory"
    return readers.in_memory(stored, manifest) if in_memory else stored


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # The replicas' shares are made here; tf.distribute would make other ones.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options
