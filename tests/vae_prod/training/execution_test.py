from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.core import accelerators
from vae_prod.training import execution, step_counting

# Stands for an accelerator: tests/conftest.py makes two devices of the CPU.
_OTHER = "CPU:1"

_STEPS = 5


class _Seen(step_counting.StepCallback):
    """Keeps what the step callbacks are told."""

    def __init__(self):
        super().__init__()
        self.steps, self.ends, self.logs = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.steps.append(self.step)
        self.ends.append(self.epoch_ends)
        self.logs.append(logs)


class _Case(tf.test.TestCase, parameterized.TestCase):
    def _fit(self, at_once, strategy="none", jit=False, epochs=2, take=None, data=None):
        """Train on endless data; return the model, its history and what was seen."""
        used = tf.distribute.get_strategy()
        if strategy == "mirrored":
            used = tiny.mirrored()
        with used.scope():
            model = tiny.model(jit=jit)
            model.compile(
                keras.optimizers.Adam(1e-2),
                jit_compile=jit,
                steps_per_execution=at_once,
            )
            model.optimizer.build(model.trainable_variables)
        execution.use_train_function(model, _STEPS, take)
        seen = _Seen()
        watchers = execution.CallbackList(
            [seen], add_history=True, model=model, epochs=epochs, steps=_STEPS
        )
        history = model.fit(
            data or execution.ahead(model, tiny.batches(7).repeat()),
            validation_data=tiny.batches(3),
            epochs=epochs,
            steps_per_epoch=_STEPS,
            callbacks=watchers,
            shuffle=False,
            verbose=0,
        )
        return model, history.history, seen


class StepsTest(_Case):
    @parameterized.parameters(
        ("none", False, 9),
        ("none", True, 2),
        ("mirrored", False, 2),
    )
    def test_several_in_a_call_are_as_one_by_one(self, strategy, jit, at_once):
        one, expected, single = self._fit(1, strategy, jit)
        several, history, seen = self._fit(at_once, strategy, jit)
        self.assertEqual(several.step.numpy(), 2 * _STEPS)
        self.assertEqual(history, expected)
        for plain, weight in zip(one.weights, several.weights, strict=True):
            self.assertAllEqual(plain, weight)
        for step, logs in zip(seen.steps, seen.logs, strict=True):
            for name, value in single.logs[step - 1].items():
                self.assertAllEqual(logs[name], value)

    def test_xla_loops_over_them_for_an_accelerator(self):
        at_once = 2  # One is left at the end.
        one, expected, _ = self._fit(1, jit=True, epochs=1)
        looped = execution._Steps._loop
        with (
            mock.patch.object(accelerators, "first", return_value=_OTHER),
            mock.patch.object(
                execution._Steps, "_loop", autospec=True, side_effect=looped
            ) as loop,
        ):
            several, history, _ = self._fit(at_once, jit=True, epochs=1)
        loop.assert_called()
        self.assertLen(loop.call_args.args[1], at_once)
        # Another program, whose sums may be in another order.
        for name, values in expected.items():
            self.assertAllClose(history[name], values, rtol=1e-5)
        for plain, weight in zip(one.weights, several.weights, strict=True):
            self.assertAllClose(plain, weight, rtol=1e-4, atol=1e-5)

    @parameterized.parameters((1, ""), (2, ""), (2, _OTHER))
    def test_take_their_batches(self, at_once, accelerator):
        images = tf.constant(tiny.images(4 * 7))

        def take(places):
            return {"image": tf.gather(images, places["number"])}

        def numbers(step):
            # Of as many batches, at an epoch's end of fewer.
            count = min(at_once, _STEPS - step % _STEPS)
            first = 4 * (step % 7)
            return first + np.arange(4 * count).reshape(count, 4) % 28, count

        def places():
            step = 0
            while True:
                batch, count = numbers(step)
                yield {"number": batch % 28}
                step += count

        spec = {"number": tf.TensorSpec([None, 4], tf.int64)}
        data = tf.data.Dataset.from_generator(places, output_signature=spec)
        _, expected, _ = self._fit(1, jit=bool(accelerator))
        with mock.patch.object(accelerators, "first", return_value=accelerator):
            _, history, _ = self._fit(
                at_once, jit=bool(accelerator), take=take, data=data
            )
        for name, values in expected.items():
            self.assertAllClose(history[name], values, rtol=1e-5)

    def test_steps_are_counted_over_an_uneven_epoch(self):
        _, _, seen = self._fit(2)
        self.assertEqual(seen.steps, [2, 4, 5, 7, 9, 10])
        self.assertEqual(seen.ends, [False, False, True] * 2)

    def test_multiples_are_passed_once(self):
        counter = step_counting.StepCallback()
        passed = []
        for counter.previous, counter.step in ((0, 4), (4, 8), (8, 10), (10, 14)):
            passed.append(counter.passes(5))
        self.assertEqual(passed, [False, True, True, False])


class TransferTest(_Case):
    @parameterized.parameters(1, 2)
    def test_logs_of_a_step_are_not_read(self, at_once):
        _, history, seen = self._fit(at_once)
        for logs in seen.logs:
            self.assertTrue(all(tf.is_tensor(value) for value in logs.values()))
        self.assertIsInstance(history["total_loss"][0], float)


if __name__ == "__main__":
    tf.test.main()
