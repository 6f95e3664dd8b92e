"""The guard of the train step: what isn't finite reaches nothing that is kept.

A step is bad when one of its losses, a statistic that its forward pass assigned, or
the sum of its gradients' squares is not finite, on any replica. Of a bad step nothing
remains but its number: weights, moments, averages and gradients summed so far are not
touched, moving statistics get their old values back, metrics leave the batch out.

Float16 is an exception. There, gradients that overflow at a finite loss belong to the
search for a loss scale: the optimizer skips such a step and halves its scale, and
losses and statistics count as ever. With the scale at 1 they make a step bad, too.
"""

import keras
import tensorflow as tf

from vae_prod.core import errors
from vae_prod.optim import adam


class Guard:
    """Skips a model's bad steps and counts them.

    Attributes:
        counts: int64 [3]: bad steps so far; those in a row up to now; the step, from
            1, at which the first `limit` in a row began, 0 where there were none.
            The last stays, so that looking now and then misses nothing.
        limit: Bad steps in a row that end a run; 0: none do. Read when the step is
            traced.
        steps_per_epoch: Tells people the epoch of a step; 0: unknown.
    """

    def __init__(self):
        self.limit = 0
        self.steps_per_epoch = 0
        self.counts = keras.Variable(
            tf.zeros([3], tf.int64),
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name="bad_steps",
        )

    def apply(
        self,
        model: keras.Model,
        losses: list[tf.Tensor],
        gradients: list[tf.Tensor],
        before: list[tf.Tensor],
    ) -> tf.Tensor:
        """Give the gradients to the optimizer, or undo what the step did so far.

        Called within a replica, before `model.step` is advanced.

        Args:
            model: Its optimizer is built.
            losses: float32 [] each.
            gradients: Of the loss that `optimizer.scale_loss` gave, one for each
                trainable weight.
            before: What `statistics` held before the forward pass.

        Returns:
            bool [], whether the step is bad; the same on all replicas.
        """
        after = [tf.convert_to_tensor(variable) for variable in statistics(model)]
        forward, backward = _not_finite([*losses, *after], gradients)
        optimizer = model.optimizer
        searching = tf.constant(False)
        if hasattr(optimizer, "dynamic_scale"):
            searching = tf.logical_and(backward, optimizer.dynamic_scale > 1.0)
            # The optimizer looks at its first replica's gradients alone.
            gradients = _poisoned(gradients, backward)
        bad = forward | (backward & ~searching)
        if model.jit_compile and isinstance(adam.inner(optimizer), adam.Adam):
            _select(model, bad, backward, gradients, before)
        else:
            replica = tf.distribute.get_replica_context()
            replica.merge_call(_settle, args=(model, bad, gradients, before))
        self._count(model.step, bad)
        return bad

    def _count(self, step, bad: tf.Tensor) -> None:
        total, row, failed = tf.unstack(tf.convert_to_tensor(self.counts))
        one = tf.cast(bad, tf.int64)
        row = (row + 1) * one
        if self.limit:
            first = tf.cast(step, tf.int64) + 2 - self.limit
            now = (failed == 0) & (row >= self.limit)
            failed = tf.where(now, first, failed)
        self.counts.assign(tf.stack([total + one, row, failed]))

    def check(self) -> int:
        """Read the counts from the device; return the bad steps so far.

        Raises:
            DivergedError: `limit` steps in a row were bad.
        """
        total, _, failed = (int(count) for count in self.counts.numpy())
        if failed:
            epoch = ""
            if self.steps_per_epoch:
                epoch = f" of epoch {(failed - 1) // self.steps_per_epoch + 1}"
            raise errors.DivergedError(
                f"Loss or gradients were not finite in {self.limit} steps in a row, "
                f"from step {failed:,}{epoch} on; the last checkpoint is from before "
                "that and holds. Look at the images of these steps, or start another "
                "run with a lower --learning_rate, with --gradient_clip_norm, or in "
                "bfloat16 or float32 if it was float16 (--init_from begins at this "
                "run's best weights)."
            )
        return total


def statistics(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that a forward pass may assign, other than counters."""
    weights = model.non_trainable_weights
    return [weight for weight in weights if weight.dtype == "float32"]


def _not_finite(values, gradients) -> tuple[tf.Tensor, tf.Tensor]:
    """Say, bool [] twice, whether values or gradients of any replica aren't finite."""
    values = tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
    # One pass over each gradient. Finite ones whose squares overflow count as well:
    # Adam's second moment would be infinite.
    squares = [tf.nn.l2_loss(gradient) for gradient in gradients]
    finite = [tf.reduce_all(tf.math.is_finite(v)) for v in (values, tf.stack(squares))]
    bad = tf.cast(~tf.stack(finite), tf.float32)
    replica = tf.distribute.get_replica_context()
    bad = replica.all_reduce(tf.distribute.ReduceOp.SUM, bad) > 0.0
    return bad[0], bad[1]


def _poisoned(gradients, bad: tf.Tensor) -> list[tf.Tensor]:
    """Put NaN in the smallest gradient where those of some replica aren't finite."""
    sizes = [gradient.shape.num_elements() for gradient in gradients]
    smallest = sizes.index(min(sizes))
    gradients = list(gradients)
    gradients[smallest] = tf.where(bad, float("nan"), gradients[smallest])
    return gradients


def _select(model, bad, overflow, gradients, before) -> None:
    """Do what `_settle` does by selecting values, for a step that XLA compiles.

    On a GPU, XLA reads a condition's predicate on the host, where the whole step then
    waits. Selecting costs nothing there: it is fused with what writes the values.

    Args:
        model: Its optimizer is `adam.Adam`, or wraps it for loss scaling.
        bad: bool [], whether the step changes nothing.
        overflow: bool [], whether the gradients aren't finite.
        gradients: Of the scaled loss.
        before: What `statistics` held before the forward pass.
    """
    optimizer = model.optimizer
    if hasattr(optimizer, "dynamic_scale"):
        gradients = [gradient / optimizer.dynamic_scale for gradient in gradients]
        _search_scale(optimizer, bad, overflow)
    inner = adam.inner(optimizer)
    inner.apply(gradients, model.trainable_weights, skip=bad | overflow)
    for variable, value in zip(statistics(model), before, strict=True):
        variable.assign(tf.where(bad, value, variable.value))


def _search_scale(optimizer, bad, overflow) -> None:
    """Halve or, after long enough, double the loss scale as Keras' optimizer does."""
    scale, counter = optimizer.dynamic_scale, optimizer.step_counter
    grown = counter == optimizer.dynamic_growth_steps - 1
    factor = tf.where(overflow, 0.5, tf.where(grown, 2.0, 1.0))
    scale.assign(tf.where(bad, scale.value, scale.value * factor))
    count = tf.where(overflow | grown, tf.zeros_like(counter), counter + 1)
    counter.assign(tf.where(bad, counter.value, count))


def _settle(strategy, model, bad, gradients, before) -> None:
    """Apply the gradients or, after a bad step, put the statistics back.

    For all replicas at once: a condition must not stand within a replica if its
    branches leave it.
    """

    def apply():
        strategy.extended.call_for_each_replica(
            model.optimizer.apply, args=(gradients, model.trainable_weights)
        )

    def restore():
        for variable, value in zip(statistics(model), before, strict=True):
            strategy.extended.update(variable.value, _assign, (value,), group=False)

    # All replicas have the same.
    tf.cond(strategy.experimental_local_results(bad)[0], restore, apply)


def _assign(variable, value) -> None:
    variable.assign(value)
