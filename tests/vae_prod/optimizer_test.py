import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import optimizer

_STRATEGIES = ("none", "mirrored")


class _Case(tf.test.TestCase, parameterized.TestCase):
    def _strategy(self, name):
        if name == "none":
            return tf.distribute.get_strategy()
        return tiny.mirrored()

    def _model(self, strategy="none", dtype="float32", jit=False, **settings):
        """Return a model without noise, compiled with this optimizer."""
        with self._strategy(strategy).scope():
            model = tiny.model(dtype, mode="ae", batch_norm=False)
            model.compile(optimizer.Adam(1e-2, **settings), jit_compile=jit)
            model.optimizer.build(model.trainable_variables)
        return model

    def _weights(self, model):
        return [weight.numpy() for weight in model.trainable_variables]


class AccumulationTest(_Case):
    @parameterized.parameters(("none", False), ("none", True), ("mirrored", False))
    def test_two_batches_are_as_one_of_twice_the_size(self, strategy, jit):
        parts = self._model(strategy, jit=jit, gradient_accumulation=2)
        parts.fit(tiny.batches(4, batch_size=4), verbose=0)
        whole = self._model()
        whole.fit(tiny.batches(2, batch_size=8), verbose=0)
        self.assertAllEqual(parts.optimizer.iterations, 2)
        self.assertEqual(parts.step.numpy(), 4)
        for one, two in zip(self._weights(parts), self._weights(whole), strict=True):
            self.assertAllClose(one, two, atol=1e-4)

    def test_weights_wait_for_the_last_batch(self):
        model = self._model(gradient_accumulation=3)
        before = self._weights(model)
        model.fit(tiny.batches(2), verbose=0)
        self.assertAllEqual(before[0], self._weights(model)[0])
        model.fit(tiny.batches(1), verbose=0)
        self.assertNotAllEqual(before[0], self._weights(model)[0])

    def test_skipped_batches_do_not_count(self):
        model = self._model(dtype="mixed_float16", gradient_accumulation=2)
        before = self._weights(model)
        model.optimizer.dynamic_scale.assign(2.0**40)
        model.fit(tiny.batches(2), verbose=0)
        self.assertEqual(model.optimizer.dynamic_scale.numpy(), 2.0**38)
        for one, two in zip(before, self._weights(model), strict=True):
            self.assertAllEqual(one, two)
        self.assertAllEqual(model.optimizer.iterations, 0)


class AverageTest(_Case):
    def _averages(self, model):
        own = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        return [average.numpy() for average in own.averages]

    @parameterized.parameters(("none", False), ("none", True), ("mirrored", False))
    def test_follows_the_weights(self, strategy, jit):
        model = self._model(strategy, jit=jit, ema=0.15)
        expected = self._weights(model)
        for done in range(3):
            model.fit(tiny.batches(1), verbose=0)
            momentum = min(0.15, (1 + done) / (10 + done))
            pairs = zip(expected, self._weights(model), strict=True)
            expected = [momentum * e + (1 - momentum) * w for e, w in pairs]
        for one, two in zip(expected, self._averages(model), strict=True):
            self.assertAllClose(one, two, atol=1e-6)

    @parameterized.parameters("float32", "mixed_float16")
    def test_stands_still_without_an_update(self, dtype):
        model = self._model(dtype=dtype, ema=0.9, gradient_accumulation=3)
        if dtype == "mixed_float16":
            model.optimizer.dynamic_scale.assign(2.0**40)
        # Averages that differ from the weights would move with any update of theirs.
        own = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        for average in own.averages:
            average.assign(tf.ones(average.shape))
        model.fit(tiny.batches(2), verbose=0)
        for average in self._averages(model):
            self.assertAllEqual(average, np.ones_like(average))

    @parameterized.parameters(*_STRATEGIES)
    def test_is_lent_to_the_model(self, strategy):
        model = self._model(strategy, ema=0.9)
        model.fit(tiny.batches(3), verbose=0)
        weights, averages = self._weights(model), self._averages(model)
        self.assertNotAllEqual(weights[0], averages[0])
        with self.assertRaises(KeyError), optimizer.averaged(model):
            with optimizer.averaged(model):
                pass
            for one, two in zip(averages, self._weights(model), strict=True):
                self.assertAllEqual(one, two)
            raise KeyError
        for one, two in zip(weights, self._weights(model), strict=True):
            self.assertAllEqual(one, two)

    def test_without_averages_nothing_is_lent(self):
        model = tiny.model()
        before = self._weights(model)
        with optimizer.averaged(model):
            self.assertAllEqual(before[0], self._weights(model)[0])

    def test_is_what_is_evaluated(self):
        model = self._model(ema=0.9)
        model.fit(tiny.batches(3), verbose=0)
        seen = model.evaluate(tiny.batches(), verbose=0, return_dict=True)
        for weight, average in zip(
            model.trainable_variables, self._averages(model), strict=True
        ):
            weight.assign(average)
        expected = model.evaluate(tiny.batches(), verbose=0, return_dict=True)
        self.assertEqual(seen, expected)


class ConfigTest(tf.test.TestCase):
    def test_round_trip(self):
        first = optimizer.Adam(0.3, gradient_accumulation=4, ema=0.5)
        second = keras.optimizers.deserialize(keras.optimizers.serialize(first))
        self.assertIsInstance(second, optimizer.Adam)
        self.assertEqual((second.gradient_accumulation, second.ema), (4, 0.5))
        self.assertAllClose(second.learning_rate, 0.3)


if __name__ == "__main__":
    tf.test.main()
