"""Parts of a step: which part of a batch who computes, and how their sums are formed.

A batch is cut into parts of equal size, in order. Workers, processes of one or several
machines, take as many of them each, one after the other. Sums are formed in the order
of a binary tree over all parts, below within a worker, above between workers: floating
point isn't associative, and a tree of fixed form gives the same bits whatever the
number of workers.
"""

from collections.abc import Callable, Sequence

import attrs
import tensorflow as tf

from pipelines import files


@attrs.frozen
class Exchange:
    """A worker among others, or alone.

    Attributes:
        parts: Parts of a batch over all workers, a power of two.
        index: Number of this worker.
        workers: How many there are.
        held_out_batch: Images of a batch of held-out ones, which workers take in turn.
        held_out_images: Held-out images in all.
        gather: From float32 [N] to those of all workers, [workers, N], in their order;
            unused by one alone.
    """

    parts: int = 1
    index: int = 0
    workers: int = 1
    held_out_batch: int = 0
    held_out_images: int = 0
    gather: Callable[[tf.Tensor], tf.Tensor] | None = None

    def __attrs_post_init__(self) -> None:
        if self.parts.bit_count() != 1:
            raise files.UserError(
                "Expected a power of two as --microbatches, so that sums are the same "
                f"for any number of workers, received {self.parts}."
            )
        if self.parts % self.workers:
            raise files.UserError(
                f"Expected --microbatches to be a multiple of the {self.workers} "
                f"workers, received {self.parts}; give at least {self.workers}."
            )

    @property
    def local_parts(self) -> range:
        """Numbers of the parts that this worker computes."""
        share = self.parts // self.workers
        return range(self.index * share, (self.index + 1) * share)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files and talks to people."""
        return self.index == 0

    @property
    def first_held_out(self) -> int:
        """Number of this worker's first held-out image in a round of batches."""
        return self.index * self.held_out_batch

    def over_workers(self, sums: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Average what was summed over local parts over all of them.

        Args:
            sums: What `local_sums` gave.

        Returns:
            The means, float32 of the same shapes; the same on all workers.

        Raises:
            ValueError: There are several workers, and nothing gathers from them.
        """
        if self.workers > 1:
            if self.gather is None:
                raise ValueError(f"expected what gathers from {self.workers} workers")
            flat = tf.concat([tf.reshape(value, [-1]) for value in sums], axis=0)
            total = _tree_sum(self.gather(flat))
            sizes = [value.shape.num_elements() for value in sums]
            pieces = tf.split(total, sizes)
            sums = [
                tf.reshape(piece, value.shape)
                for piece, value in zip(pieces, sums, strict=True)
            ]
        if self.parts == 1:
            return list(sums)
        return [value / self.parts for value in sums]


ALONE = Exchange()


def local_sums(values: Sequence[Sequence[tf.Tensor]]) -> list[tf.Tensor]:
    """Sum values over local parts, in the order of the tree.

    Args:
        values: For each part the same values, float32 of any shape.
    """
    if len(values) == 1:
        return list(values[0])
    return [_tree_sum(tf.stack(of_parts)) for of_parts in zip(*values, strict=True)]


def _tree_sum(values: tf.Tensor) -> tf.Tensor:
    """Sum [2^n, ...] over the first axis, neighbours first.

    In slices: TensorFlow makes one sum, in another order, of plain sums of sums.
    """
    while values.shape[0] > 1:
        values = values[::2] + values[1::2]
    return values[0]
