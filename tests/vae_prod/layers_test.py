import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import layers


class SamplingTest(tf.test.TestCase):
    def _inputs(self):
        mean = tf.constant([[1.0, -2.0], [0.0, 3.0]])
        return mean, tf.zeros_like(mean), tf.constant([1, 2], tf.int64)

    def test_scale_zero_returns_the_mean(self):
        mean, log_var, seed = self._inputs()
        z = layers.Sampling()(mean, log_var, seed=seed, epsilon_scale=0.0)
        self.assertAllEqual(z, mean)

    def test_noise_has_the_posterior_deviation(self):
        mean = tf.zeros([20_000, 2])
        log_var = tf.constant([[0.0, 2.0]]) + mean
        z = layers.Sampling()(mean, log_var, seed=tf.constant([1, 2]))
        deviation = np.std(z.numpy(), axis=0)
        self.assertAllClose(deviation, np.exp([0.0, 1.0]), rtol=0.03)

    def test_config_round_trip(self):
        layer = layers.Sampling(epsilon_limit=2.0, name="draw")
        copy = layers.Sampling.from_config(layer.get_config())
        self.assertEqual(copy.epsilon_limit, 2.0)
        self.assertEqual(copy.name, "draw")
        mean, log_var, seed = self._inputs()
        self.assertAllEqual(
            layer(mean, log_var, seed=seed), copy(mean, log_var, seed=seed)
        )


class BatchNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    def _train(self, kind, dtype, jit=False):
        """Return maps, gradients and moving averages of one step, and the layer."""
        x = tf.random.stateless_normal([5, 4, 3, 2], [1, 2]) * 3.0 + 1.0
        layer = kind(momentum=0.9, dtype=dtype)
        layer.build(x.shape)
        layer.gamma.assign([2.0, 0.5])
        layer.beta.assign([-1.0, 1.0])

        @tf.function(jit_compile=jit)
        def step(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.sin(tf.cast(y, tf.float32)))
            watched = [x, layer.gamma.value, layer.beta.value]
            return y, *tape.gradient(loss, watched)

        values = step(tf.cast(x, layer.compute_dtype))
        moving = [layer.moving_mean, layer.moving_variance]
        return [tf.cast(v, tf.float32) for v in (*values, *moving)], layer

    @parameterized.product(dtype=tiny.POLICIES, jit=(False, True))
    def test_trains_as_that_of_keras(self, dtype, jit):
        ours, _ = self._train(layers.BatchNormalization, dtype, jit)
        theirs, _ = self._train(keras.layers.BatchNormalization, dtype)
        tolerance = 1e-5 if dtype == "float32" else 3e-2
        for one, two in zip(ours, theirs, strict=True):
            self.assertAllClose(one, two, rtol=tolerance, atol=tolerance)

    def test_infers_as_that_of_keras(self):
        x = tf.random.stateless_normal([2, 4, 3, 2], [3, 4])
        both = [
            self._train(kind, "float32")[1](x, training=False)
            for kind in (layers.BatchNormalization, keras.layers.BatchNormalization)
        ]
        self.assertAllClose(*both, rtol=1e-5, atol=1e-5)

    def test_frozen_layer_does_not_learn(self):
        layer = layers.BatchNormalization()
        layer.build([None, 4, 3, 2])
        layer.trainable = False
        layer(tf.ones([2, 4, 3, 2]), training=True)
        self.assertAllEqual(layer.moving_mean, [0.0, 0.0])


if __name__ == "__main__":
    tf.test.main()
