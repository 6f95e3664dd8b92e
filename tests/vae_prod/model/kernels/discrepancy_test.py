import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.model.kernels import discrepancy

_DTYPES = (tf.float32, tf.bfloat16, tf.float16)


def _points(number, z_dim=5, seed=0, shift=0.0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(number, z_dim)) + shift).astype(dtype)


def _by_pairs(x, y):
    """The estimator, pair by pair: within x, within y, across."""

    def kernel(a, b):
        constants = [2 * len(a) * s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        distance = np.sum((a.astype(np.float64) - b) ** 2)
        return sum(c / (c + distance) for c in constants)

    n, pairs = len(x), range(len(x))
    different = [(i, j) for i in pairs for j in pairs if i != j]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in different)
    across = sum(kernel(x[i], y[j]) for i in pairs for j in pairs)
    return within / (n * (n - 1)) - 2 * across / n**2


class SquaredMmdTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(shift=(0.0, 2.0), number=(2, 7))
    def test_against_the_sum_over_pairs(self, shift, number):
        x, y = _points(number, shift=shift), _points(number, seed=1)
        value = discrepancy.squared_mmd(x, y)
        self.assertAllClose(value, _by_pairs(x, y), rtol=1e-4, atol=1e-5)

    def test_gradient(self):
        y = tf.constant(_points(4, seed=1))
        estimate = tf.function(lambda x: discrepancy.squared_mmd(x, y))
        theoretical, numerical = tf.test.compute_gradient(
            estimate, [_points(4, shift=0.5)], 1e-2
        )
        self.assertAllClose(theoretical, numerical, atol=1e-3)
        self.assertGreater(np.abs(theoretical).max(), 0.05)

    @parameterized.parameters(*_DTYPES)
    def test_is_of_float32_and_gives_gradients_in_the_points_precision(self, dtype):
        x, y = tf.cast(_points(6, shift=1.0), dtype), _points(6, seed=1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = discrepancy.squared_mmd(x, y)
        self.assertEqual(value.dtype, tf.float32)
        self.assertEqual(tape.gradient(value, x).dtype, dtype)
        wanted = discrepancy.squared_mmd(tf.cast(x, tf.float32), y)
        self.assertAllClose(value, wanted, rtol=1e-6)

    def test_xla_gives_the_same(self):
        x, y = _points(6, shift=1.0), _points(6, seed=1)
        compiled = tf.function(discrepancy.squared_mmd, jit_compile=True)
        self.assertAllClose(compiled(x, y), discrepancy.squared_mmd(x, y), rtol=1e-5)

    def test_is_around_zero_of_the_same_distribution_and_of_no_other(self):
        alike, others = [], []
        estimate = tf.function(discrepancy.squared_mmd)
        for seed in range(40):
            x, y = (tf.constant(_points(20, seed=s)) for s in (1000 + seed, seed))
            alike.append(float(estimate(x, y)))
            others.append(float(estimate(x + 1, y)))
        spread = np.std(alike) / np.sqrt(len(alike))
        self.assertLess(abs(np.mean(alike)), 3 * spread)
        self.assertLess(min(alike), 0.0)
        self.assertGreater(np.mean(others), 10 * np.std(alike))

    def test_of_a_single_point_nothing_is_said(self):
        x, y = tf.constant(_points(1)), _points(1, seed=1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = discrepancy.squared_mmd(x, y)
        self.assertEqual(value.numpy(), 0.0)
        self.assertAllEqual(tape.gradient(value, x), tf.zeros_like(x))


if __name__ == "__main__":
    tf.test.main()
