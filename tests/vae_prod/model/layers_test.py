import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.model import layers


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


class ActivationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        case=(
            (layers.LeakyReLU(0.3), lambda x: tf.nn.leaky_relu(x, 0.3)),
            (layers.Tanh(), tf.tanh),
        ),
        dtype=(tf.float32, tf.bfloat16),
    )
    def test_is_tensorflows_with_its_gradient(self, case, dtype):
        layer, expected = case
        x = tf.cast(tf.linspace(-4.0, 4.0, 41), dtype)

        def graph(function):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.cast(function(x), tf.float32)
            return y, tf.cast(tape.gradient(y, x), tf.float32)

        tolerance = 1e-6 if dtype == tf.float32 else 2e-2
        self.assertAllClose(graph(layer.call), graph(expected), atol=tolerance)

    def test_config_round_trip(self):
        layer = layers.LeakyReLU(0.1, name="leaky")
        copy = layers.LeakyReLU.from_config(layer.get_config())
        self.assertEqual((copy.slope, copy.name), (0.1, "leaky"))


if __name__ == "__main__":
    tf.test.main()
