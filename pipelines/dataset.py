"""From shards to batches: manifest + DataConfig -> tf.data.Dataset.

The order of the examples, their augmentation and their corruption are functions of
(seed, epoch, position in the epoch) alone. Nothing else is remembered, so a run can
begin at any (epoch, step) and sees exactly what an uninterrupted run would see.

A batch is a dict:

    image    uint8 [B, H, W, C]
    target   uint8 [B, H, W, C], the clean image, only where `image` is corrupted
    ...      the fields asked for, as `records.parse` gives them, batched
"""

import os
from collections.abc import Callable, Sequence

import attrs
import tensorflow as tf

from pipelines import augment, errors, records, shards
from pipelines import config as config_lib

TRAIN_SPLIT = "train"

# Shards read side by side, and records taken from one before the next has its turn.
# Both decide the order of the examples.
_CYCLE_LENGTH = 16
_BLOCK_LENGTH = 16

_Example = dict[str, tf.Tensor]

# Splits decoded into memory on request, by data set, split and fields: every epoch
# and every pass of this process shares them.
_tables: dict[tuple[str, ...], _Example] = {}


@attrs.frozen
class _Items:
    """A split as items: serialized records, or row numbers of a table in memory.

    Attributes:
        shard_sizes: Number of examples of each shard.
        open_shard: From the number of a shard (int64 []) to its items, in order.
        read: From an item to its example.
    """

    shard_sizes: tuple[int, ...]
    open_shard: Callable[[tf.Tensor], tf.data.Dataset]
    read: Callable[[tf.Tensor], _Example]

    def in_file_order(self) -> tf.data.Dataset:
        """Return all items, shard after shard."""
        return tf.data.Dataset.range(len(self.shard_sizes)).flat_map(self.open_shard)

    def shuffled(self, seed: tf.Tensor, buffer: int) -> tf.data.Dataset:
        """Return all items in an order that is a function of `seed`, int64 [2]."""
        shard_seed, item_seed = tf.unstack(tf.random.split(seed))
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(self.shard_sizes), dtype=tf.int64), shard_seed
        )
        items = tf.data.Dataset.from_tensor_slices(order).interleave(
            self.open_shard,
            cycle_length=_CYCLE_LENGTH,
            block_length=_BLOCK_LENGTH,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return items.shuffle(buffer, item_seed[0], reshuffle_each_iteration=False)


def steps_per_epoch(manifest: shards.Manifest, config: config_lib.DataConfig) -> int:
    """Return the number of training batches in an epoch.

    Raises:
        DataError: There is no training split, or it doesn't fill a single batch.
    """
    num_examples = manifest.split(TRAIN_SPLIT).num_examples
    if config.keep_last_batch:
        steps = -(-num_examples // config.batch_size)
    else:
        steps = num_examples // config.batch_size
    if steps:
        return steps
    if config.keep_last_batch:
        raise errors.DataError(
            "Expected at least one training image, received none. Convert more images."
        )
    raise errors.DataError(
        f"Expected at least one batch of {config.batch_size} training images, received "
        f"{num_examples} images. Lower batch_size, or set keep_last_batch."
    )


def train_batches(
    data_dir: str,
    manifest: shards.Manifest,
    config: config_lib.DataConfig,
    *,
    start_epoch: int = 0,
    start_step: int = 0,
    replica: tuple[int, int] = (0, 1),
    fields: Sequence[str] = (),
) -> tf.data.Dataset:
    """Read the training split, epoch after epoch without end.

    Every epoch holds `steps_per_epoch` batches of every example once, in a fresh
    order and freshly augmented; without `keep_last_batch` the rest that doesn't fill
    a batch is left out, another one each epoch. Memory is the shuffle buffer and a
    few batches, whatever the number of examples, unless `config.cache` is set.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        manifest: What the directory holds.
        config: How to read it.
        start_epoch: Epoch to begin in.
        start_step: Batches of that epoch to leave out; at most an epoch's worth.
        replica: (index, count) of this input worker. Each batch is `batch_size //
            count` examples, and the workers' batches together are the global batch.
        fields: Which of `records.FIELDS` to return beside the image.

    Returns:
        An endless dataset of batches, see the head of this module.

    Raises:
        DataError: A split or field the data set hasn't, a missing shard, or a batch
            that can't be made.
    """
    steps = steps_per_epoch(manifest, config)
    if not 0 <= start_step <= steps:
        raise errors.DataError(
            f"Expected a step to begin at in [0, {steps}], received {start_step}."
        )
    index, count = replica
    _check_shared(config, count)
    num_examples = manifest.split(TRAIN_SPLIT).num_examples
    used = min(steps * config.batch_size, num_examples)
    items = _open_split(data_dir, manifest, TRAIN_SPLIT, config, fields)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        # Dataset.shuffle mixes the graph's seed into its own. Inside this function
        # that is the global seed of the program, a hidden state, unless it is set.
        tf.random.set_seed(config.seed)
        seed = tf.random.fold_in(tf.constant([config.seed, 0], tf.int64), epoch)
        order_seed, *image_seeds = tf.unstack(tf.random.split(seed, 3))
        if config.shuffle_buffer == 1:
            order = items.in_file_order()
        else:
            order = items.shuffled(order_seed, config.shuffle_buffer)
        order = order.apply(tf.data.experimental.assert_cardinality(num_examples))
        skipped = tf.where(epoch == start_epoch, start_step * config.batch_size, 0)

        def example(position: tf.Tensor, item: tf.Tensor) -> _Example:
            augment_seed, corrupt_seed = (
                tf.random.fold_in(image_seed, position) for image_seed in image_seeds
            )
            values = items.read(item)
            values["image"] = augment.augment(values["image"], augment_seed, config)
            return _corrupted(values, corrupt_seed, config)

        return (
            order.take(used)
            .enumerate()
            .skip(tf.cast(skipped, tf.int64))
            .shard(count, index)
            .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(
                config.batch_size // count, drop_remainder=not config.keep_last_batch
            )
        )

    batches = tf.data.Dataset.range(start_epoch, tf.int64.max).flat_map(epoch_batches)
    endless = tf.data.experimental.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(endless))
    return batches.prefetch(tf.data.AUTOTUNE).with_options(_options())


def eval_batches(
    data_dir: str,
    manifest: shards.Manifest,
    split: str,
    config: config_lib.DataConfig,
    *,
    fields: Sequence[str] = (),
) -> tf.data.Dataset:
    """Read a split once, in file order, leaving no example out.

    Nothing is augmented. Corruption is that of training, but an example's damage
    depends on the seed and its place in the split alone: each pass sees the same.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        manifest: What the directory holds.
        split: Name of the split.
        config: How to read it.
        fields: Which of `records.FIELDS` to return beside the image.

    Returns:
        A finite dataset of batches, see the head of this module; the last batch may
        be smaller.

    Raises:
        DataError: A split or field the data set hasn't, or a missing shard.
    """
    items = _open_split(data_dir, manifest, split, config, fields)
    seed = tf.constant([config.seed, 1], tf.int64)

    def example(position: tf.Tensor, item: tf.Tensor) -> _Example:
        return _corrupted(items.read(item), tf.random.fold_in(seed, position), config)

    num_batches = -(-manifest.split(split).num_examples // config.batch_size)
    return (
        items.in_file_order()
        .enumerate()
        .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(config.batch_size)
        .apply(tf.data.experimental.assert_cardinality(num_batches))
        .prefetch(tf.data.AUTOTUNE)
        .with_options(_options())
    )


def _check_shared(config: config_lib.DataConfig, num_workers: int) -> None:
    if config.batch_size % num_workers:
        raise errors.DataError(
            f"Expected a batch_size that {num_workers} input workers can share "
            f"equally, received {config.batch_size}. Make it a multiple of "
            f"{num_workers}."
        )
    if config.keep_last_batch and num_workers > 1:
        raise errors.DataError(
            f"Expected only full batches with {num_workers} input workers, received "
            "keep_last_batch: the last, smaller batch can't be shared equally. Leave "
            "keep_last_batch off."
        )


def _corrupted(
    example: _Example, seed: tf.Tensor, config: config_lib.DataConfig
) -> _Example:
    if config.corruption == "none":
        return example
    clean = example["image"]
    return example | {
        "image": augment.corrupt(clean, seed, config),
        "target": clean,
    }


def _open_split(
    data_dir: str,
    manifest: shards.Manifest,
    name: str,
    config: config_lib.DataConfig,
    fields: Sequence[str],
) -> _Items:
    """Check that the files and fields are there, and open a split for reading."""
    held = manifest.record.fields()
    unknown = [field for field in fields if field not in held]
    if unknown:
        raise errors.DataError(
            f"Expected fields out of {list(held)}, which are those of this data set, "
            f"received {unknown}. Leave them out, or convert a source that has them."
        )
    split = manifest.split(name)
    paths = [os.path.join(data_dir, shard.file) for shard in split.shards]
    for path in paths:
        if not tf.io.gfile.exists(path):
            raise errors.DataError(
                f"Expected the shard {path} that the manifest lists, it is missing. "
                "Convert again, or bring it back."
            )
    if not split.num_examples:
        raise errors.DataError(
            f"Expected at least one example in split {name!r}, it is empty. Convert "
            "more images, or choose another split."
        )
    items = _Items(
        shard_sizes=tuple(shard.num_examples for shard in split.shards),
        open_shard=lambda shard: tf.data.TFRecordDataset(tf.gather(paths, shard)),
        read=lambda record: records.parse(manifest.record, record, fields),
    )
    if not config.cache:
        return items
    key = (data_dir, manifest.digest(), name, *fields)
    if key not in _tables:
        _tables[key] = _decode_all(items)
    return _in_memory(items.shard_sizes, _tables[key])


def _decode_all(items: _Items) -> _Example:
    """Decode all examples, in file order, into one batch."""
    decoded = items.in_file_order().map(
        items.read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    table = decoded.batch(sum(items.shard_sizes)).get_single_element()
    # Pipelines share a variable by reference; each would copy a tensor it captures.
    with tf.device("CPU"):
        return {
            name: tf.Variable(table.pop(name), trainable=False) for name in list(table)
        }


def _in_memory(shard_sizes: tuple[int, ...], table: _Example) -> _Items:
    """Make items of the rows of a table, in the order of the shards."""
    ends = tf.cumsum(tf.constant(shard_sizes, tf.int64))
    starts = ends - shard_sizes
    return _Items(
        shard_sizes=shard_sizes,
        open_shard=lambda shard: tf.data.Dataset.range(starts[shard], ends[shard]),
        read=lambda row: {name: tf.gather(table[name], row) for name in table},
    )


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # The replicas' shares are made here; tf.distribute would make other ones.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.OFF
    )
    return options
