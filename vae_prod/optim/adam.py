"""The optimizer: Adam over several batches, clipped, with an average of the weights.

All of it lives in the optimizer's step, which a batch that is skipped (for float16
loss scaling, or because its numbers are not finite) never reaches, or, where XLA
compiles the step, goes through with `skip` and leaves as it was. Keras' own
accumulation fails under `MirroredStrategy`, its own clipping is of each replica's
gradients there, and its own average overwrites the weights with each `fit`.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("vae_prod")
class Adam(keras.optimizers.Adam):
    """Adam, Kingma & Ba (2015), by TensorFlow's fused kernel.

    One kernel updates a weight and both of its moments in one pass; Keras composes
    the same formulas of some 14 operations. AMSGrad, weight decay and Keras' own
    clipping and averages are not offered.

    The average of the weights is exponential, with momentum min(ema, (1 + n) /
    (10 + n)) after n updates, so that the first weights don't weigh on it for long.

    Attributes:
        averages: Averages of the trainable weights, in their order; empty without.
        gradient_norm: float32 [], norm before clipping of the last update's gradient;
            None without clipping.

    Args:
        learning_rate: The learning rate, or its schedule over updates.
        gradient_accumulation: Batches whose gradients are averaged for one update.
        ema: Limit of the momentum of the weights' average; 0: no average.
        clip_norm: Limit of the norm of all gradients together, averaged over batches
            and summed over replicas, Pascanu et al. (2013), algorithm 1; 0: none.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        name: Name of the optimizer.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        gradient_accumulation: int = 1,
        ema: float = 0.0,
        clip_norm: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "adam",
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name)
        self.gradient_accumulation = gradient_accumulation
        self.ema = ema
        self.clip_norm = clip_norm
        self.averages: list[keras.Variable] = []
        self.gradient_norm: keras.Variable | None = None

    def build(self, variables):
        """Make the optimizer's variables."""
        if self.built:
            return
        super().build(variables)
        if self.gradient_accumulation > 1:
            self._batches = self._scalar("batches", "int64")
            self._sums = self.add_optimizer_variables(variables, "gradient_sum")
        if self.clip_norm:
            self.gradient_norm = self._scalar("gradient_norm", "float32")
        if self.ema:
            self.averages = [self._average_of(variable) for variable in variables]

    def _scalar(self, name: str, dtype: str) -> keras.Variable:
        return self.add_variable(
            (), dtype=dtype, aggregation="only_first_replica", name=name
        )

    def _average_of(self, variable: keras.Variable) -> keras.Variable:
        def start(shape, dtype=None):
            del shape
            return tf.cast(tf.convert_to_tensor(variable.value), dtype)

        return self.add_variable_from_reference(variable, "average", start)

    def apply(self, grads, trainable_variables=None, skip=None):
        """Take a batch's gradients; update the weights when it is time to.

        Args:
            grads: A gradient for each weight that the optimizer was built with.
            trainable_variables: These weights; may be left out once it is built.
            skip: bool [], whether the batch changes nothing at all, whatever its
                gradients. It is settled by selecting values, without a condition,
                and so is accumulation: XLA on a GPU would wait for the host at each
                condition. None: the batch counts.
        """
        if not self.built:
            self.build(list(trainable_variables))
        replica = tf.distribute.get_replica_context()
        grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        if skip is not None:
            grads = [tf.where(skip, 0.0, gradient) for gradient in grads]
        if self.gradient_accumulation == 1:
            self._update(grads, skip)
        elif skip is None:
            # A condition must not stand within a replica if its branches leave it.
            replica.merge_call(self._accumulate, args=(grads,))
        else:
            self._accumulate_selecting(grads, skip)

    def _accumulate(self, strategy, grads) -> None:
        """Add to the sums, for all replicas; update the weights from full ones."""
        count = self.gradient_accumulation
        for total, gradient in zip(self._sums, grads, strict=True):
            strategy.extended.update(total.value, _add, (gradient,), group=False)

        def update():
            strategy.extended.call_for_each_replica(self._update_from_sums)
            for total in self._sums:
                strategy.extended.update(total.value, _clear, group=False)

        full = (self._batches + 1) % count == 0
        self._batches.assign_add(1)
        tf.cond(full, update, lambda: None)

    def _accumulate_selecting(self, grads, skip: tf.Tensor) -> None:
        """Do what `_accumulate` does without a condition, within a replica."""
        count = self.gradient_accumulation
        full = ~skip & ((self._batches + 1) % count == 0)
        self._batches.assign_add(tf.cast(~skip, tf.int64))
        for total, gradient in zip(self._sums, grads, strict=True):
            total.assign_add(gradient)
        self._update([total.value / count for total in self._sums], skip=~full)
        for total in self._sums:
            total.assign(tf.where(full, 0.0, total.value))

    def _update_from_sums(self) -> None:
        count = self.gradient_accumulation
        self._update([total.value / count for total in self._sums])

    def _update(self, grads, skip: tf.Tensor | None = None) -> None:
        """Update the weights, within a replica, by gradients that all replicas have.

        Where `skip` says so, all is computed with a learning rate of 0 and momenta of
        1, which leaves every bit as it is. The gradients are finite all the same.
        """
        if self.clip_norm:
            grads = self._clip(grads, skip)
        done = tf.cast(self._iterations, tf.float32)
        scalars = {
            "lr": _unless(skip, tf.cast(self.learning_rate, tf.float32), 0.0),
            "beta1": _unless(skip, tf.constant(self.beta_1), 1.0),
            "beta2": _unless(skip, tf.constant(self.beta_2), 1.0),
            "beta1_power": tf.pow(self.beta_1, done + 1.0),
            "beta2_power": tf.pow(self.beta_2, done + 1.0),
        }
        momentum = tf.minimum(self.ema, (1.0 + done) / (10.0 + done))
        momentum = _unless(skip, momentum, 1.0)
        replica = tf.distribute.get_replica_context()
        replica.merge_call(self._assign, args=(grads, scalars, momentum))
        one = tf.ones([], self._iterations.dtype)
        self._iterations.assign_add(_unless(skip, one, 0))

    def _clip(self, grads, skip: tf.Tensor | None) -> list[tf.Tensor]:
        norm = tf.linalg.global_norm(grads)
        if self.gradient_norm is not None:
            self.gradient_norm.assign(_unless(skip, norm, self.gradient_norm.value))
        # Exactly 1 where the norm is within the limit.
        factor = self.clip_norm / tf.maximum(norm, self.clip_norm)
        return [gradient * factor for gradient in grads]

    def _assign(self, strategy, grads, scalars, momentum) -> None:
        """Assign weights, moments and averages on all replicas."""

        def step(weight, m, v, gradient, scalars):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=m.handle,
                v=v.handle,
                grad=gradient,
                epsilon=self.epsilon,
                **scalars,
            )

        weights = [variable.value for variable in self._trainable_variables]
        moments = zip(self._momentums, self._velocities, strict=True)
        for weight, (m, v), gradient in zip(weights, moments, grads, strict=True):
            args = (m.value, v.value, gradient, scalars)
            strategy.extended.update(weight, step, args, group=False)
        if self.ema:
            for weight, average in zip(weights, self.averages, strict=True):
                followed = (weight, momentum)
                strategy.extended.update(average.value, _follow, followed, group=False)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        keras_own = super().get_config()
        kept = ("name", "learning_rate", "beta_1", "beta_2", "epsilon")
        ours = ("gradient_accumulation", "ema", "clip_norm")
        return {name: keras_own[name] for name in kept} | {
            name: getattr(self, name) for name in ours
        }


def _unless(skip: tf.Tensor | None, value: tf.Tensor, otherwise) -> tf.Tensor:
    """Return `value`, or `otherwise` where a batch is skipped."""
    if skip is None:
        return value
    return tf.where(skip, tf.cast(otherwise, value.dtype), value)


def _add(total, gradient) -> None:
    total.assign_add(gradient)


def _clear(total) -> None:
    total.assign(tf.zeros(total.shape, total.dtype))


def _follow(average, weight, momentum) -> None:
    average.assign(momentum * average + (1.0 - momentum) * weight)


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer that loss scaling wraps; any other as it is."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _averages(model: keras.Model) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return each trainable weight with its average; none without averages."""
    averages = getattr(inner(model.optimizer), "averages", [])
    weights = model.trainable_variables if averages else []
    return list(zip(weights, averages, strict=True))


def restart_averages(model: keras.Model) -> None:
    """Begin the averages, where there are any, at the weights as they are."""
    for weight, average in _averages(model):
        average.assign(weight)


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give the trainable weights their averages, then their own values again.

    Without averages nothing happens. Batch-norm statistics are those of training.
    """
    averages = _averages(model)
    trained = [weight.numpy() for weight, _ in averages]
    try:
        for weight, average in averages:
            weight.assign(average)
        yield
    finally:
        for (weight, _), value in zip(averages, trained, strict=True):
            weight.assign(value)
