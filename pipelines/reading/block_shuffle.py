"""The block shuffle (`--shuffle=blocks`), for storage that is slow at random places.

Remote and spinning storage reads well only in long runs. So a split is cut into blocks
of successive records. Each epoch takes the blocks in a fresh random order, a window of
them at a time, and shuffles the records of a window. That is what a shuffle buffer
does, but as a function of the position: an epoch begins anywhere at the cost of one
window.
"""

import attrs
import numpy as np
import tensorflow as tf

from pipelines import shards
from pipelines.reading import readers
from pipelines.reading.native import twin

BLOCK = 64
# Blocks fetched side by side.
_PARALLEL = 8


@attrs.frozen(eq=False)
class Blocks:
    """A split as blocks of successive records, none longer than `BLOCK`.

    Attributes:
        paths: string [S], the shards.
        rows: int64 [num_examples, 3], the record index.
        first: int64 [N], number of each block's first example.
        size: int64 [N], examples in each block.
    """

    paths: tf.Tensor
    rows: tf.Variable
    first: tf.Tensor
    size: tf.Tensor

    @classmethod
    def cut(cls, stored: readers.Stored, split: shards.Split) -> "Blocks":
        """Cut each shard of a split into blocks."""
        first, size, start = [], [], 0
        for shard in split.shards:
            begins = np.arange(0, shard.num_examples, BLOCK)
            first.append(start + begins)
            size.append(np.minimum(BLOCK, shard.num_examples - begins))
            start += shard.num_examples
        blocks = [tf.constant(np.concatenate(part)) for part in (first, size)]
        return cls(stored.paths, stored.rows, *blocks)

    def read(self, block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Read a block: its examples' numbers, int64 [n], and records, string [n]."""
        numbers = self.first[block] + tf.range(self.size[block])
        return numbers, twin.read_run(self.paths, tf.gather(self.rows, numbers))


def shuffled(
    blocks: Blocks, buffer: int, seed: tf.Tensor, start: tf.Tensor
) -> tf.data.Dataset:
    """Stream an epoch's examples.

    Args:
        blocks: The split.
        buffer: Records shuffled together, rounded to whole blocks; twice as many are
            held.
        seed: int64 [2], the order.
        start: int64 [], the position to begin at.

    Returns:
        Dataset of (number int64 [], serialized string []).
    """
    block_seed, window_seed = tf.unstack(tf.random.split(seed))
    shuffle = tf.random.experimental.stateless_shuffle
    num_blocks, per_window = len(blocks.size), max(1, buffer // BLOCK)
    order = shuffle(tf.range(num_blocks, dtype=tf.int64), block_seed)
    ends = tf.cumsum(tf.gather(blocks.size, order))
    last_blocks = [*range(per_window - 1, num_blocks - 1, per_window), num_blocks - 1]
    window_ends = tf.gather(ends, last_blocks)
    first = tf.searchsorted(window_ends, start[None], side="right")[0]
    skipped = start - tf.where(first > 0, window_ends[first - 1], 0)

    def window(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = order[number * per_window : (number + 1) * per_window]
        read = tf.data.Dataset.from_tensor_slices(chosen).map(
            blocks.read, num_parallel_calls=_PARALLEL, deterministic=True
        )
        whole = read.unbatch().batch(per_window * BLOCK)
        numbers, records = whole.get_single_element()
        mixed = shuffle(
            tf.range(tf.size(numbers)), tf.random.fold_in(window_seed, number)
        )
        return tf.gather(numbers, mixed), tf.gather(records, mixed)

    windows = tf.data.Dataset.range(tf.cast(first, tf.int64), len(last_blocks))
    return windows.map(window).prefetch(1).unbatch().skip(skipped)
