"""The optimizer: Adam over several batches, with an average of the weights.

Both live in the optimizer's update, which is reached neither by a batch that float16
loss scaling skips nor, for the average, by one that only adds to the gradients. So
neither needs to know of the other, nor of replicas. Keras' own accumulation fails
under `MirroredStrategy`, and its own average overwrites the weights with each `fit`.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("vae_prod")
class Adam(keras.optimizers.Adam):
    """Adam whose updates average gradients, and which averages the weights.

    The average is exponential, with momentum min(ema, (1 + n) / (10 + n)) after n
    updates, so that the first weights don't weigh on it for long.

    Attributes:
        averages: Averages of the trainable weights, in their order; empty without.

    Args:
        learning_rate: The learning rate.
        gradient_accumulation: Batches whose gradients are averaged for one update.
        ema: Limit of the momentum of the weights' average; 0: no average.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        gradient_accumulation: int = 1,
        ema: float = 0.0,
        **kwargs,
    ):
        super().__init__(learning_rate, **kwargs)
        self.gradient_accumulation = gradient_accumulation
        self.ema = ema
        self.averages = []

    def build(self, variables):
        """Make the optimizer's variables."""
        if self.built:
            return
        super().build(variables)
        if self.gradient_accumulation > 1:
            self._sums = self.add_optimizer_variables(variables, "gradient_sum")
        if self.ema:
            self.averages = [self._average_of(variable) for variable in variables]

    def _average_of(self, variable: keras.Variable) -> keras.Variable:
        def start(shape, dtype=None):
            del shape
            return tf.cast(tf.convert_to_tensor(variable.value), dtype)

        return self.add_variable_from_reference(variable, "average", start)

    @property
    def iterations(self):
        """Updates made so far, which are fewer than batches seen."""
        if self.gradient_accumulation == 1:
            return self._iterations
        return self._iterations // self.gradient_accumulation

    def update_step(self, gradient, variable, learning_rate):
        """Add a batch's gradient; update the weight when it is time to."""
        count = self.gradient_accumulation
        if count == 1:
            self._update(gradient, variable, learning_rate)
            return
        total = self._sums[self._get_variable_index(variable)]
        self.assign_add(total, gradient)

        def update():
            self._update(total / count, variable, learning_rate)
            self.assign(total, tf.zeros(total.shape, total.dtype))

        tf.cond((self._iterations + 1) % count == 0, update, lambda: None)

    def _update(self, gradient, variable, learning_rate) -> None:
        super().update_step(gradient, variable, learning_rate)
        if self.ema:
            average = self.averages[self._get_variable_index(variable)]
            done = tf.cast(self.iterations, variable.dtype)
            momentum = tf.minimum(self.ema, (1.0 + done) / (10.0 + done))
            self.assign(average, momentum * average + (1.0 - momentum) * variable)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"gradient_accumulation": self.gradient_accumulation, "ema": self.ema}
        return super().get_config() | own


def _averages(model: keras.Model) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return each trainable weight with its average; none without averages."""
    # Loss scaling wraps the optimizer.
    own = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    averages = getattr(own, "averages", [])
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
    own = [weight.numpy() for weight, _ in averages]
    try:
        for weight, average in averages:
            weight.assign(average)
        yield
    finally:
        for (weight, _), value in zip(averages, own, strict=True):
            weight.assign(value)
