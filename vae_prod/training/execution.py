"""How Keras' `fit` runs the steps: several in one call, nothing read back between."""

import functools

import keras
import tensorflow as tf

from vae_prod.model import steps
from vae_prod.model import vae as vae_lib
from vae_prod.training import workers


class CallbackList(keras.callbacks.CallbackList):
    """Keras' list of callbacks, but a step's logs stay tensors.

    Keras reads every one of them from the device after each step, where the next step
    waits for it. Here a callback reads what it shows, when it shows it.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Call every callback."""
        self._pass_on("on_train_batch_end", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        """Call every callback."""
        self._pass_on("on_test_batch_end", batch, logs)

    def _pass_on(self, event: str, batch: int, logs) -> None:
        # A copy, for callbacks to add to: Keras goes on with its own.
        logs = dict(logs or {})
        for callback in self.callbacks:
            getattr(callback, event)(batch, logs)


def use_train_function(model: vae_lib.VAE, steps_per_epoch: int) -> None:
    """Let a model's `fit` take `model.steps_per_execution` steps in one call.

    Fewer are left at an epoch's end where the number doesn't divide. Keras' own loop
    takes them from the next epoch, if the data goes on.

    Args:
        model: Compiled, its optimizer built. With one step in a call it stays as it
            is.
        steps_per_epoch: Steps of a whole epoch.
    """
    at_once = model.steps_per_execution
    if at_once == 1:
        return
    strategy = model.distribute_strategy

    def step(batch):
        strategy.run(model.train_step, args=(batch,))

    def results():
        return {name: mean.result() for name, mean in model.means.items()}

    # As Keras does, XLA compiles a step, not the loop around it.
    step = tf.function(step, jit_compile=model.jit_compile, autograph=False)

    @tf.function(autograph=False)
    def execute(iterator):
        left = steps_per_epoch - tf.convert_to_tensor(model.step) % steps_per_epoch

        def body(done):
            step(next(iterator))
            return (done + 1,)

        count = tf.minimum(left, at_once)
        zero = tf.zeros([], tf.int64)
        tf.while_loop(lambda done: done < count, body, (zero,))
        return {
            name: tf.reduce_mean(strategy.experimental_local_results(value), axis=0)
            for name, value in strategy.run(results).items()
        }

    model.train_function = execute


def use_worker_functions(
    model: vae_lib.VAE, steps_per_epoch: int, stopping: workers.Stopping
) -> None:
    """Let a model's `fit` and `evaluate` take their steps together with other workers.

    XLA compiles what is between the exchanges: it has no collective operations of its
    own for these.

    Args:
        model: Compiled, its optimizer built, its exchange one of several workers.
        steps_per_epoch: Steps of a whole epoch.
        stopping: Carries wishes to stop to all workers.
    """
    exchange = model.exchange

    def compiled(function):
        function = functools.partial(function, model)
        return tf.function(function, jit_compile=model.jit_compile, autograph=False)

    local_sums = compiled(steps.local_sums)
    settle, local_values = compiled(steps.settle), compiled(steps.local_values)

    def step(batch):
        sums = local_sums(batch)
        *means, wishes = exchange.over_workers(
            [*sums.total, tf.convert_to_tensor(stopping.wish)]
        )
        stopping.agreed.assign(wishes)
        settle(sums, means, tf.shape(batch["image"])[0] * exchange.workers)

    @tf.function(autograph=False)
    def train(iterator):
        left = steps_per_epoch - tf.convert_to_tensor(model.step) % steps_per_epoch
        count = tf.minimum(left, model.steps_per_execution)

        def body(done):
            step(next(iterator))
            return (done + 1,)

        zero = tf.zeros([], tf.int64)
        tf.while_loop(lambda done: done < count, body, (zero,), parallel_iterations=1)
        return {name: mean.result() for name, mean in model.means.items()}

    @tf.function(autograph=False)
    def evaluate(iterator):
        values = local_values(next(iterator))
        return steps.add_values(model, exchange.gather(values))

    model.train_function, model.test_function = train, evaluate
