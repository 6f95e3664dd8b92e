import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod import ops

_EXTREME = np.array([[-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4]], np.float64)
_DTYPES = (tf.float32, tf.bfloat16, tf.float16)


def _kl(mean, log_var):
    return -0.5 * (1.0 + log_var - mean**2 - np.exp(log_var))


def _bernoulli_nll(logits, targets):
    return np.sum(np.logaddexp(0.0, logits) - logits * targets, axis=-1)


class LimitedNormalTest(tf.test.TestCase, parameterized.TestCase):
    def test_is_standard_normal(self):
        noise = ops.limited_normal([200_000], tf.constant([1, 2]), 0.0).numpy()
        # Four standard errors of mean, variance and the share within one sigma.
        self.assertAllClose(noise.mean(), 0.0, atol=4 / math.sqrt(200_000))
        self.assertAllClose(noise.var(), 1.0, atol=4 * math.sqrt(2 / 200_000))
        self.assertAllClose(np.mean(np.abs(noise) < 1), 0.6827, atol=0.0042)

    @parameterized.parameters(0.5, 5.0)
    def test_keeps_the_limit(self, limit):
        noise = ops.limited_normal([10_000], tf.constant([1, 2]), limit)
        self.assertLessEqual(tf.reduce_max(tf.abs(noise)), limit)

    def test_is_a_function_of_the_seed(self):
        first, same, other = (
            ops.limited_normal([100], tf.constant(seed, tf.int64), 5.0)
            for seed in ([1, 2], [1, 2], [1, 3])
        )
        self.assertAllEqual(first, same)
        self.assertNotAllClose(first, other)

    def test_is_the_same_under_jit(self):
        def draw():
            return ops.limited_normal([64, 33], tf.constant([4, 2], tf.int64), 5.0)

        # The integers are the same; the inverse error functions differ by rounding.
        compiled = tf.function(draw, jit_compile=True)()
        self.assertAllClose(draw(), compiled, atol=1e-5, rtol=1e-5)


class ReparameterizeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_DTYPES)
    def test_against_the_formula(self, dtype):
        rng = np.random.default_rng(0)
        mean, log_var, epsilon = (
            tf.cast(rng.normal(size=(5, 3)), dtype) for _ in range(3)
        )
        z = ops.reparameterize(mean, log_var, epsilon)
        self.assertEqual(z.dtype, tf.float32)
        wide = [tf.cast(x, tf.float64) for x in (mean, log_var, epsilon)]
        expected = wide[0] + tf.exp(wide[1] / 2) * wide[2]
        self.assertAllClose(z, expected, rtol=1e-5, atol=1e-5)

    def test_gradient(self):
        rng = np.random.default_rng(0)
        mean, log_var, epsilon = rng.normal(size=(3, 5, 3)).astype(np.float32)
        theory, numeric = tf.test.compute_gradient(
            lambda a, b: ops.reparameterize(a, b, epsilon), [mean, log_var]
        )
        # Float32 differences with the default delta are good to a few 1e-3.
        self.assertAllClose(theory, numeric, atol=5e-3)


class DiagonalGaussianKlTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_DTYPES)
    def test_against_the_closed_form(self, dtype):
        rng = np.random.default_rng(0)
        mean, log_var = (tf.cast(rng.normal(size=(5, 3)), dtype) for _ in range(2))
        kl = ops.diagonal_gaussian_kl(mean, log_var)
        self.assertEqual(kl.dtype, tf.float32)
        expected = _kl(*(tf.cast(x, tf.float64).numpy() for x in (mean, log_var)))
        self.assertAllClose(kl, expected, rtol=1e-5, atol=1e-6)

    def test_extreme_log_variances(self):
        log_var = np.array([[-30.0, 0.0, 30.0]], np.float32)
        kl = ops.diagonal_gaussian_kl(tf.zeros_like(log_var), log_var)
        self.assertAllClose(kl, _kl(0.0, log_var.astype(np.float64)), rtol=1e-5)

    def test_gradient(self):
        rng = np.random.default_rng(0)
        inputs = list(rng.normal(size=(2, 4, 3)).astype(np.float32))
        theory, numeric = tf.test.compute_gradient(ops.diagonal_gaussian_kl, inputs)
        self.assertAllClose(theory, numeric, atol=5e-3)

    def test_empty_batch(self):
        empty = tf.zeros([0, 3])
        self.assertAllEqual(ops.diagonal_gaussian_kl(empty, empty).shape, [0, 3])


class BernoulliNllTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_DTYPES)
    def test_against_the_closed_form(self, dtype):
        rng = np.random.default_rng(0)
        logits = tf.cast(rng.normal(size=(5, 3)) * 3, dtype)
        targets = rng.uniform(size=(5, 3)).astype(np.float32)
        nll = ops.bernoulli_nll(logits, targets)
        self.assertEqual(nll.dtype, tf.float32)
        expected = _bernoulli_nll(tf.cast(logits, tf.float64).numpy(), targets)
        self.assertAllClose(nll, expected, rtol=1e-5)

    @parameterized.parameters(0.0, 0.5, 1.0)
    def test_extreme_logits(self, target):
        targets = np.full_like(_EXTREME, target)
        logits = tf.constant(_EXTREME, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            nll = ops.bernoulli_nll(logits, targets)
        self.assertAllClose(nll, _bernoulli_nll(_EXTREME, targets), rtol=1e-6)
        expected = 1.0 / (1.0 + np.exp(-np.clip(_EXTREME, -500, 500))) - targets
        self.assertAllClose(tape.gradient(nll, logits), expected, atol=1e-6)

    def test_gradient_reaches_the_logits_alone(self):
        rng = np.random.default_rng(0)
        logits = rng.normal(size=(3, 2, 2, 1)).astype(np.float32)
        targets = rng.uniform(size=logits.shape).astype(np.float32)
        theory, numeric = tf.test.compute_gradient(
            lambda x: ops.bernoulli_nll(x, targets), [logits]
        )
        self.assertAllClose(theory, numeric, atol=5e-3)

    @parameterized.parameters(*_DTYPES)
    def test_jit_gives_the_same(self, dtype):
        logits = tf.cast(tf.random.stateless_normal([4, 6], [1, 2]), dtype)
        targets = tf.random.stateless_uniform([4, 6], [3, 4])

        def both():
            with tf.GradientTape() as tape:
                tape.watch(logits)
                nll = ops.bernoulli_nll(logits, targets)
            return nll, tape.gradient(nll, logits)

        eager, compiled = both(), tf.function(both, jit_compile=True)()
        self.assertEqual(eager[1].dtype, dtype)
        self.assertAllClose(eager[0], compiled[0], rtol=1e-5)
        # One unit in the last place of bfloat16.
        self.assertAllClose(eager[1], compiled[1], rtol=2**-7, atol=1e-6)

    def test_empty_batch(self):
        empty = tf.zeros([0, 8, 8, 3])
        self.assertAllEqual(ops.bernoulli_nll(empty, empty).shape, [0])


if __name__ == "__main__":
    tf.test.main()
