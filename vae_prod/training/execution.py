"""How Keras' `fit` runs the steps: several in one call, nothing read back between."""

import functools
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from vae_prod.core import accelerators
from vae_prod.model import steps
from vae_prod.model import vae as vae_lib
from vae_prod.training import workers

Batch = Mapping[str, tf.Tensor]
Take = Callable[[Batch], Batch]


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


class _Steps:
    """Keras' train function of a model on one device or several replicas of it.

    Takes `model.steps_per_execution` steps in a call, or as many as are left of an
    epoch. On an accelerator XLA compiles the loop with the step in it: it runs from
    one step to the next without the host. On a CPU it would run them on one thread.

    Args:
        model: Compiled, its optimizer built.
        steps_per_epoch: Steps of a whole epoch.
    """

    def __init__(self, model: vae_lib.VAE, steps_per_epoch: int):
        self._model = model
        self._steps_per_epoch = steps_per_epoch
        # Counted on the host: reading the model's would wait for the device.
        self._done = int(model.step.numpy())
        self._compiled_step = self._compiled(self._step)
        self._compiled_loop = self._compiled(self._loop)
        self._one_by_one = tf.function(self._call_one_by_one, autograph=False)
        self._at_once = tf.function(self._call_at_once, autograph=False)

    def __call__(self, iterator) -> dict[str, tf.Tensor]:
        """Take steps, on the batches of an iterator; return the metrics so far."""
        left = self._steps_per_epoch - self._done % self._steps_per_epoch
        count = min(left, self._model.steps_per_execution)
        self._done += count
        whole = count == self._model.steps_per_execution
        if whole and count > 1 and self._loops_within(iterator):
            return self._at_once(iterator)
        return self._one_by_one(iterator, tf.constant(count))

    def _compiled(self, function):
        jit = self._model.jit_compile
        return tf.function(function, jit_compile=jit, autograph=False)

    def _loops_within(self, iterator) -> bool:
        """Say whether XLA is to compile the loop over the steps."""
        if not (self._model.jit_compile and _on_one_accelerator(self._model)):
            return False
        # A smaller last batch doesn't stack with the others.
        specs = tf.nest.flatten(iterator.element_spec)
        return all(spec.shape.is_fully_defined() for spec in specs)

    def _step(self, batch) -> None:
        strategy = self._model.distribute_strategy
        strategy.run(self._model.train_step, (batch,))

    def _loop(self, batches) -> None:
        """Take a step on each of a list of batches."""
        rows = tf.nest.map_structure(lambda *parts: tf.stack(parts), *batches)
        _for_each(self._model.train_step, rows, len(batches))

    def _call_one_by_one(self, iterator, count):
        def body(done):
            self._compiled_step(next(iterator))
            return (done + 1,)

        tf.while_loop(lambda done: done < count, body, (tf.constant(0),))
        return self._results()

    def _call_at_once(self, iterator):
        at_once = self._model.steps_per_execution
        self._compiled_loop([next(iterator) for _ in range(at_once)])
        return self._results()

    def _results(self) -> dict[str, tf.Tensor]:
        strategy, means = self._model.distribute_strategy, self._model.means
        results = strategy.run(lambda: {n: mean.result() for n, mean in means.items()})
        return {
            name: tf.reduce_mean(strategy.experimental_local_results(value), axis=0)
            for name, value in results.items()
        }


class _TakenSteps(_Steps):
    """The same on images that are on the device.

    An element of the data says for all steps of a call where their images are.

    Args:
        model: Compiled, its optimizer built.
        steps_per_epoch: Steps of a whole epoch.
        take: Makes the batch of a step.
    """

    def __init__(self, model: vae_lib.VAE, steps_per_epoch: int, take: Take):
        super().__init__(model, steps_per_epoch)
        self._take = take

    def _loops_within(self, iterator) -> bool:
        return self._model.jit_compile and _on_one_accelerator(self._model)

    def _step(self, places) -> None:
        self._model.train_step(self._take(places))

    def _call_one_by_one(self, iterator, count):
        _for_each(self._compiled_step, next(iterator), count)
        return self._results()

    def _loop(self, rows) -> None:
        _for_each(self._step, rows, self._model.steps_per_execution)

    def _call_at_once(self, iterator):
        self._compiled_loop(next(iterator))
        return self._results()


def _for_each(step: Callable, rows, count) -> None:
    """Take a step on each of as many rows, of tensors that are stacked."""

    def body(done):
        step(tf.nest.map_structure(lambda row: row[done], rows))
        return (done + 1,)

    tf.while_loop(lambda done: done < count, body, (tf.constant(0),))


def _on_one_accelerator(model: vae_lib.VAE) -> bool:
    replicas = model.distribute_strategy.num_replicas_in_sync * model.exchange.workers
    return replicas == 1 and bool(accelerators.first())


def use_train_function(
    model: vae_lib.VAE, steps_per_epoch: int, take: Take | None = None
) -> None:
    """Let a model's `fit` take `model.steps_per_execution` steps in one call.

    Fewer are left at an epoch's end where the number doesn't divide. Keras' own loop
    takes them from the next epoch, if the data goes on.

    Args:
        model: Compiled, its optimizer built. With one step in a call, on batches, it
            stays as it is.
        steps_per_epoch: Steps of a whole epoch.
        take: Makes a batch of what an element of the data says of each step of a call,
            within the step; None: each element is a batch.
    """
    if take:
        model.train_function = _TakenSteps(model, steps_per_epoch, take)
    elif model.steps_per_execution > 1:
        model.train_function = _Steps(model, steps_per_epoch)


def ahead(
    model: vae_lib.VAE, data: tf.data.Dataset, calls: bool = False
) -> tf.data.Dataset:
    """Let data be copied to the accelerator, if there is one, before their call.

    Args:
        model: Compiled.
        data: Of which an element is a batch.
        calls: Whether it is for all steps of a call instead.
    """
    if not _on_one_accelerator(model):
        return data
    count = 2 * (1 if calls else model.steps_per_execution)
    device = accelerators.first()
    return data.apply(tf.data.experimental.prefetch_to_device(device, count))


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
