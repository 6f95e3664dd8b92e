import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.optim import adam

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
            model.compile(adam.Adam(1e-2, **settings), jit_compile=jit)
            model.optimizer.build(model.trainable_variables)
        return model

    def _weights(self, model):
        return [weight.numpy() for weight in model.trainable_variables]


def _numpy_adam(weight, gradients, rate):
    """Return what Adam makes of a weight, in float64; Kingma & Ba (2015), alg. 1."""
    # The constants as float32 has them.
    beta_1, beta_2 = (float(np.float32(beta)) for beta in (0.9, 0.999))
    weight, m, v = weight.astype(np.float64), 0.0, 0.0
    for t, gradient in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        # Epsilon "hat", as the end of section 2 has it and Keras, too.
        alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        weight = weight - alpha * m / (np.sqrt(v) + 1e-7)
    return weight


class AdamTest(_Case):
    """One rule, by the fused kernel, by Keras and by NumPy."""

    _RATE, _UPDATES = 1e-2, 20
    _START = np.linspace(-1, 1, 210, dtype=np.float32).reshape(30, 7)

    def _gradients(self):
        generator = np.random.default_rng(0)
        shape = (self._UPDATES, 30, 7)
        sizes = 10.0 ** generator.uniform(-6, 2, shape)
        return (sizes * generator.normal(size=shape)).astype(np.float32)

    def _train(self, used, strategy="none", jit=False):
        strategy = self._strategy(strategy)
        with strategy.scope():
            weight = keras.Variable(self._START, dtype="float32")
            used = used(self._RATE)
            used.build([weight])
        part = strategy.num_replicas_in_sync
        step = tf.function(
            lambda gradient: strategy.run(
                lambda: used.apply([gradient / part], [weight])
            ),
            jit_compile=jit,
        )
        for gradient in self._gradients():
            step(tf.constant(gradient))
        self.assertAllEqual(used.iterations, self._UPDATES)
        return weight.numpy()

    @parameterized.parameters(("none", False), ("none", True), ("mirrored", False))
    def test_against_keras_and_numpy(self, strategy, jit):
        expected = _numpy_adam(self._START, self._gradients(), self._RATE)
        got = self._train(adam.Adam, strategy, jit)
        # Rounding of the weight and of the step, once an update.
        self.assertAllClose(got, expected, rtol=0, atol=1e-7 * self._UPDATES)
        # Keras rounds 1 - beta_2 where the kernel rounds beta_2: 1e-5 of a step.
        keras_own = self._train(keras.optimizers.Adam)
        atol = 1e-5 * self._RATE * self._UPDATES
        self.assertAllClose(got, keras_own, rtol=0, atol=atol)


class ClippingTest(_Case):
    def _step(self, clip_norm, strategy="none", **settings):
        """Return model, change of its weights and their gradient, after one update."""
        model = self._model(strategy, clip_norm=clip_norm, **settings)
        before = self._weights(model)
        count = settings.get("gradient_accumulation", 1)
        model.fit(tiny.batches(count, batch_size=4), verbose=0)
        own = adam.inner(model.optimizer)
        # After one update the first moment is the gradient's tenth part.
        gradients = [moment.numpy() / np.float32(0.1) for moment in own._momentums]
        changes = zip(before, self._weights(model), strict=True)
        return model, [b - a for a, b in changes], gradients

    def _norm(self, arrays):
        return np.sqrt(sum(np.sum(np.float64(array) ** 2) for array in arrays))

    @parameterized.parameters(
        {}, {"strategy": "mirrored"}, {"gradient_accumulation": 2}, {"jit": True}
    )
    def test_limits_the_norm_of_the_whole_update(self, **settings):
        model, _, clipped = self._step(0.5, **settings)
        self.assertAllClose(self._norm(clipped), 0.5, rtol=1e-5)
        _, _, whole = self._step(0.0, **settings)
        norm = self._norm(whole)
        self.assertGreater(norm, 0.5)
        self.assertAllClose(model.optimizer.gradient_norm, norm, rtol=1e-5)
        for one, two in zip(clipped, whole, strict=True):
            self.assertAllClose(one, two * (0.5 / norm), rtol=1e-4, atol=1e-6)

    def test_is_of_the_unscaled_gradient(self):
        model, _, clipped = self._step(0.5, dtype="mixed_float16")
        own = adam.inner(model.optimizer)
        self.assertAllClose(self._norm(clipped), 0.5, rtol=1e-5)
        _, _, whole = self._step(0.0)
        self.assertAllClose(own.gradient_norm, self._norm(whole), rtol=0.1)

    def test_within_the_limit_nothing_changes(self):
        _, clipped, _ = self._step(49.0e6)
        _, plain, _ = self._step(0.0)
        for one, two in zip(clipped, plain, strict=True):
            self.assertAllEqual(one, two)


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
        with self.assertRaises(KeyError), adam.averaged(model):
            with adam.averaged(model):
                pass
            for one, two in zip(averages, self._weights(model), strict=True):
                self.assertAllEqual(one, two)
            raise KeyError
        for one, two in zip(weights, self._weights(model), strict=True):
            self.assertAllEqual(one, two)

    def test_without_averages_nothing_is_lent(self):
        model = tiny.model()
        before = self._weights(model)
        with adam.averaged(model):
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
        first = adam.Adam(
            0.3, gradient_accumulation=4, ema=0.5, clip_norm=2.0, beta_2=0.99
        )
        second = keras.optimizers.deserialize(keras.optimizers.serialize(first))
        self.assertIsInstance(second, adam.Adam)
        self.assertEqual(second.get_config(), first.get_config())
        self.assertEqual((second.gradient_accumulation, second.ema), (4, 0.5))
        self.assertAllClose(second.learning_rate, 0.3)

    def test_what_is_not_offered_is_refused(self):
        with self.assertRaisesRegex(TypeError, "amsgrad"):
            adam.Adam(0.3, amsgrad=True)


if __name__ == "__main__":
    tf.test.main()
