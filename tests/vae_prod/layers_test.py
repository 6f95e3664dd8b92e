import numpy as np
import tensorflow as tf

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


if __name__ == "__main__":
    tf.test.main()
