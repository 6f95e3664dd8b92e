import keras
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.training import execution, step_counting

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
    def _fit(self, at_once, strategy="none", jit=False, epochs=2):
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
        execution.use_train_function(model, _STEPS)
        seen = _Seen()
        watchers = execution.CallbackList(
            [seen], add_history=True, model=model, epochs=epochs, steps=_STEPS
        )
        history = model.fit(
            tiny.batches(7).repeat(),
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
