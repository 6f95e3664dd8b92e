"""The batches of training, epoch after epoch: which examples, in which order.

Each of the three ways gives a dataset that can begin at any (epoch, step).
"""

from collections.abc import Callable

import attrs
import tensorflow as tf

from pipelines.reading import batch as batch_lib
from pipelines.reading import (
    block_shuffle,
    counter_rng,
    device_cache,
    global_shuffle,
    readers,
)


@attrs.frozen(eq=False)
class Training:
    """The training split as batches of one input worker.

    Attributes:
        maker: Makes the batches.
        num_examples: Examples of the split.
        steps: Batches of an epoch.
        index: Number of the worker.
        share: Its examples in each batch; the last batch of an epoch may have fewer.
    """

    maker: batch_lib.Maker
    num_examples: int
    steps: int
    index: int
    share: int

    def picked(
        self, reader: readers.Reader, start_epoch: int, start_step: int
    ) -> tf.data.Dataset:
        """Read each example from its own place: batch number to batch."""
        config = self.maker.config

        def batch(number: tf.Tensor) -> batch_lib.Example:
            epoch, step = number // self.steps, number % self.steps
            first = step * config.batch_size + self.index * self.share
            if config.keep_last_batch:
                last = tf.minimum(first + self.share, self.num_examples)
                positions = tf.range(first, last)
            else:
                positions = first + tf.range(self.share, dtype=tf.int64)
            read = reading(reader, self._numbers(epoch, positions))
            return self.maker.training(epoch, first, tf.size(positions), read)

        start = start_epoch * self.steps + start_step
        numbers = tf.data.Dataset.range(start, tf.int64.max)
        return mapped(numbers, batch, reader.parallel_batches)

    def _numbers(self, epoch: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """Return which examples stand at positions of an epoch, int64 [B]."""
        config = self.maker.config
        if config.shuffle == "none":
            return positions
        seed = counter_rng.stream_seed(config.seed, counter_rng.ORDER, epoch)
        return global_shuffle.permuted(positions, self.num_examples, seed)

    def placed(
        self, start_epoch: int, start_step: int, at_once: int
    ) -> tf.data.Dataset:
        """Say each example's place, and how its image is cropped, of several batches.

        There are fewer at an epoch's end.
        """

        def firsts(epoch: tf.Tensor) -> tf.data.Dataset:
            begin = tf.where(epoch == start_epoch, start_step, 0)
            begin = tf.cast(begin, tf.int64)
            steps = tf.data.Dataset.range(begin, self.steps, at_once)
            return tf.data.Dataset.zip(
                tf.data.Dataset.from_tensors(epoch).repeat(), steps
            )

        def batches(epoch: tf.Tensor, step: tf.Tensor) -> batch_lib.Example:
            count = tf.minimum(self.steps - step, at_once)
            first, num = step * self.share, count * self.share
            positions = first + tf.range(num)
            crop = self.maker.training_crop(epoch, first, tf.cast(num, tf.int32))
            places = device_cache.places(self._numbers(epoch, positions), crop)
            shapes = {name: place.shape[1:] for name, place in places.items()}
            return {
                name: tf.reshape(place, [-1, self.share, *shapes[name]])
                for name, place in places.items()
            }

        epochs = tf.data.Dataset.range(start_epoch, tf.int64.max)
        return mapped(epochs.flat_map(firsts), batches, tf.data.AUTOTUNE)

    def streamed(
        self,
        stored: readers.Stored,
        blocks: block_shuffle.Blocks,
        start_epoch: int,
        start_step: int,
    ) -> tf.data.Dataset:
        """Read runs of records; each worker has a stretch of the epoch to itself."""
        config = self.maker.config
        stretch = self.steps * self.share
        end = min((self.index + 1) * stretch, self.num_examples)

        def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
            done = tf.where(epoch == start_epoch, start_step * self.share, 0)
            start = self.index * stretch + tf.cast(done, tf.int64)
            seed = counter_rng.stream_seed(config.seed, counter_rng.ORDER, epoch)
            examples = block_shuffle.shuffled(
                blocks, config.shuffle_buffer, seed, start
            )
            batches = examples.take(end - start).batch(
                self.share, drop_remainder=not config.keep_last_batch
            )

            def batch(number, content) -> batch_lib.Example:
                numbers, records = content
                first = start + number * self.share

                def read(crop):
                    return stored.decode(numbers, records, crop)

                return self.maker.training(epoch, first, tf.size(numbers), read)

            return mapped(batches.enumerate(), batch, stored.parallel_batches)

        return tf.data.Dataset.range(start_epoch, tf.int64.max).flat_map(epoch_batches)


def reading(reader: readers.Reader, numbers: tf.Tensor) -> batch_lib.Read:
    """Return what reads these examples, cropped as it is told."""
    return lambda crop: reader.read(numbers, crop)


def mapped(
    source: tf.data.Dataset, batch: Callable[..., batch_lib.Example], parallel: int
) -> tf.data.Dataset:
    """Make a dataset's batches, so many side by side, in order."""
    # Rewriting Python's control flow, of which there is none, takes longer than all
    # else up to the first batch.
    batch = tf.autograph.experimental.do_not_convert(batch)
    return source.map(batch, num_parallel_calls=parallel, deterministic=True)
