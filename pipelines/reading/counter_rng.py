"""Random numbers by position: row p of an endless table belongs to example p.

What augmentation, corruption and shuffling draw is a function of the seed, the epoch
and the position, so that a resumed run draws what an uninterrupted one does.

Rows are computed from their positions by a counter-based generator (Philox; Salmon et
al. 2011), many at once, so an example's draws don't depend on the batch it is in.
"""

import math

import tensorflow as tf

# Streams of randomness under one seed.
ORDER, AUGMENTATION, CORRUPTION, EVALUATION = range(4)

_PHILOX = 1
# Numbers that one step of the counter gives.
_BLOCK = 4


def stream_seed(seed: int, stream: int, epoch: tf.Tensor) -> tf.Tensor:
    """Return the seed, int64 [2], of one stream in one epoch."""
    return tf.random.fold_in(
        tf.random.fold_in(tf.constant([seed, 0], tf.int64), stream), epoch
    )


def uniform(seed: tf.Tensor, first: tf.Tensor, num: tf.Tensor, width: int) -> tf.Tensor:
    """Draw rows uniformly.

    Args:
        seed: int64 [2], the table.
        first: int64 [], the first row.
        num: int32 [], the number of rows.
        width: Numbers in a row.

    Returns:
        float32 [num, width] in [0, 1).
    """
    return _rows(tf.raw_ops.StatelessRandomUniformV2, seed, first, num, width)


def normal(seed: tf.Tensor, first: tf.Tensor, num: tf.Tensor, width: int) -> tf.Tensor:
    """Draw rows from N(0, 1); see `uniform`."""
    return _rows(tf.raw_ops.StatelessRandomNormalV2, seed, first, num, width)


def _rows(draw, seed, first, num, width: int) -> tf.Tensor:
    blocks = math.ceil(width / _BLOCK)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    start = tf.cast(first * blocks, tf.uint64)
    rows = draw(
        shape=tf.stack([num, blocks * _BLOCK]),
        key=key,
        counter=tf.stack([start, counter[1]]),
        alg=_PHILOX,
    )
    return tf.ensure_shape(rows, [None, blocks * _BLOCK])[:, :width]
