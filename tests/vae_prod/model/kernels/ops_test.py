import math
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.model.kernels import ops, target

_DTYPES = (tf.float32, tf.bfloat16, tf.float16)
_LIKELIHOODS = ("bernoulli_nll", "continuous_bernoulli_nll", "squared_error")
_MODES = ("fused", "plain", "jit")


def _kl(mean, log_var):
    return -0.5 * (1.0 + log_var - mean**2 - np.exp(log_var))


def _log_normalizer(logits):
    """Log of l / tanh(l / 2), and its derivative 1 / l - 1 / sinh(l)."""
    near = np.abs(logits) < 1e-2
    safe = np.where(near, 1.0, np.abs(logits))
    value = np.log(safe) - np.log(np.tanh(safe / 2))
    slope = np.sign(logits) * (1 / safe - 1 / np.sinh(np.minimum(safe, 700)))
    # Next terms: 31 l^6 / 90720 and 31 l^5 / 15120.
    series = np.log(2) + logits**2 / 12 - 7 * logits**4 / 1440
    series_slope = logits / 6 - 7 * logits**3 / 360
    return np.where(near, series, value), np.where(near, series_slope, slope)


def _likelihood(name, logits, targets):
    """Return value and derivative by the logits, elementwise, in float64."""
    logits = np.asarray(logits, np.float64)
    # Beyond 700, where exp overflows, it changes nothing.
    sigmoid = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    if name == "squared_error":
        other = 1 / (1 + np.exp(np.clip(logits, -700, 700)))
        error = sigmoid - targets
        return error**2, 2 * error * sigmoid * other
    value, slope = np.logaddexp(0, logits) - logits * targets, sigmoid - targets
    if name == "continuous_bernoulli_nll":
        log_normalizer, its_slope = _log_normalizer(logits)
        return value - log_normalizer, slope - its_slope
    return value, slope


def _images(seed=0, shape=(4, 8, 8, 3)):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=shape).astype(np.float32)
    return logits, rng.integers(0, 256, shape, np.uint8)


def _value_and_gradient(name, logits, targets, mode="fused"):
    """Run a likelihood and its gradient: as on a CPU, as on a GPU, or all by XLA."""
    logits, targets = tf.convert_to_tensor(logits), tf.convert_to_tensor(targets)

    def both(logits, targets):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = getattr(ops, name)(logits, targets)
        return value, tape.gradient(value, logits)

    if mode == "plain":
        with mock.patch.object(target, "on_gpu", return_value=True):
            return both(logits, targets)
    return tf.function(both, jit_compile=mode == "jit" or None)(logits, targets)


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
    @parameterized.product(dtype=_DTYPES, jit=(False, True))
    def test_against_the_formula(self, dtype, jit):
        rng = np.random.default_rng(0)
        mean, log_var, epsilon = (
            tf.cast(rng.normal(size=(5, 3)), dtype) for _ in range(3)
        )
        z = tf.function(ops.reparameterize, jit_compile=jit)(mean, log_var, epsilon)
        self.assertEqual(z.dtype, tf.float32)
        wide = [tf.cast(x, tf.float64) for x in (mean, log_var, epsilon)]
        expected = wide[0] + tf.exp(wide[1] / 2) * wide[2]
        self.assertAllClose(z, expected, rtol=1e-6, atol=1e-6)

    @parameterized.parameters(*_DTYPES)
    def test_extreme_log_variances(self, dtype):
        log_var = tf.constant([[-30.0, 0.0, 30.0]], dtype)
        # Small enough that float16 holds the gradient.
        epsilon = tf.constant([[2.0, 2.0, 2.0**-8]])
        with tf.GradientTape() as tape:
            tape.watch(log_var)
            z = ops.reparameterize(tf.ones_like(log_var), log_var, epsilon)
        shift = np.exp([[-15.0, 0.0, 15.0]]) * epsilon.numpy()
        self.assertAllClose(z, 1 + shift, rtol=1e-6)
        gradient = tape.gradient(z, log_var)
        self.assertEqual(gradient.dtype, dtype)
        # One unit in the last place of bfloat16, and float16's smallest number.
        self.assertAllClose(gradient, shift / 2, rtol=2**-8, atol=1e-7)

    def test_gradient(self):
        rng = np.random.default_rng(0)
        mean, log_var, epsilon = rng.normal(size=(3, 5, 3)).astype(np.float32)
        theory, numeric = tf.test.compute_gradient(
            lambda a, b: ops.reparameterize(a, b, epsilon), [mean, log_var]
        )
        # Float32 differences with the default delta are good to a few 1e-3.
        self.assertAllClose(theory, numeric, atol=5e-3)

    def test_empty_batch(self):
        empty = tf.zeros([0, 3])
        self.assertAllEqual(ops.reparameterize(empty, empty, empty).shape, [0, 3])


class DiagonalGaussianKlTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(dtype=_DTYPES, jit=(False, True))
    def test_against_the_closed_form(self, dtype, jit):
        rng = np.random.default_rng(0)
        mean, log_var = (tf.cast(rng.normal(size=(5, 3)), dtype) for _ in range(2))
        kl = tf.function(ops.diagonal_gaussian_kl, jit_compile=jit)(mean, log_var)
        self.assertEqual(kl.dtype, tf.float32)
        expected = _kl(*(tf.cast(x, tf.float64).numpy() for x in (mean, log_var)))
        self.assertAllClose(kl, expected, rtol=1e-5, atol=1e-6)

    @parameterized.parameters(tf.float32, tf.bfloat16)
    def test_extreme_log_variances(self, dtype):
        log_var = tf.constant([[-30.0, -1e-6, 0.0, 30.0]], dtype)
        wide = tf.cast(log_var, tf.float64).numpy()
        with tf.GradientTape() as tape:
            tape.watch(log_var)
            kl = ops.diagonal_gaussian_kl(tf.zeros_like(log_var), log_var)
        # To half an epsilon of float32 where the terms cancel.
        self.assertAllClose(kl, _kl(0.0, wide), rtol=1e-6, atol=6e-8)
        gradient = tape.gradient(kl, log_var)
        self.assertEqual(gradient.dtype, dtype)
        half_ulp = 1e-6 if dtype == tf.float32 else 2**-8
        self.assertAllClose(gradient, np.expm1(wide) / 2, rtol=half_ulp)

    def test_gradient(self):
        rng = np.random.default_rng(0)
        inputs = list(rng.normal(size=(2, 4, 3)).astype(np.float32))
        theory, numeric = tf.test.compute_gradient(ops.diagonal_gaussian_kl, inputs)
        self.assertAllClose(theory, numeric, atol=5e-3)

    def test_empty_batch(self):
        empty = tf.zeros([0, 3])
        self.assertAllEqual(ops.diagonal_gaussian_kl(empty, empty).shape, [0, 3])


class LikelihoodTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        name=_LIKELIHOODS, mode=_MODES, targets_type=(np.uint8, np.float32)
    )
    def test_against_the_closed_form(self, name, mode, targets_type):
        size = np.append(0, np.logspace(-12, 4, 801))
        grey = np.array([0, 1, 17, 127, 128, 254, 255], np.uint8)
        logits, targets = np.meshgrid(np.append(-size, size).astype(np.float32), grey)
        exact = targets / 255
        if targets_type == np.float32:
            targets = exact = exact.astype(np.float32)
        # Every element is an image.
        value, gradient = _value_and_gradient(
            name, logits.reshape(-1, 1), targets.reshape(-1, 1), mode
        )
        expected, slope = _likelihood(name, logits, exact.astype(np.float64))
        # A binary cross-entropy keeps its digits down to the smallest float64 that
        # the reference keeps; the others cross zero, and are good to a few epsilon.
        atol = {"bernoulli_nll": 1e-11, "squared_error": 2e-7}.get(name, 1e-6)
        self.assertAllClose(value, expected.reshape(-1), rtol=1e-6, atol=atol)
        self.assertAllClose(gradient, slope.reshape(-1, 1), rtol=1e-6, atol=2e-7)

    @parameterized.product(name=_LIKELIHOODS, dtype=_DTYPES)
    def test_sums_every_precision_in_float32(self, name, dtype):
        logits, targets = _images(shape=(3, 96, 96, 3))
        logits = tf.cast(logits, dtype)
        value, gradient = _value_and_gradient(name, logits, targets)
        self.assertEqual(value.dtype, tf.float32)
        self.assertEqual(gradient.dtype, dtype)
        wide = tf.cast(logits, tf.float64).numpy()
        expected, slope = _likelihood(name, wide, targets / 255)
        self.assertAllClose(value, expected.sum((1, 2, 3)), rtol=1e-6)
        # Half a unit in the last place, and half of float16's smallest number.
        rtol = {tf.float32: 1e-6, tf.bfloat16: 2**-8, tf.float16: 2**-11}[dtype]
        self.assertAllClose(gradient, slope, rtol=1.01 * rtol, atol=2e-7)

    @parameterized.product(name=_LIKELIHOODS, dtype=_DTYPES)
    def test_extreme_logits_in_every_precision(self, name, dtype):
        logits, targets = np.meshgrid([-1e4, -30, 0, 30, 1e4], [0, 0.5, 1])
        logits, targets = (tf.cast(x, dtype) for x in (logits, targets))
        value, gradient = _value_and_gradient(name, logits, targets)
        wide = [tf.cast(x, tf.float64).numpy() for x in (logits, targets)]
        expected, slope = _likelihood(name, *wide)
        self.assertAllClose(value, expected.sum(-1), rtol=1e-6)
        self.assertAllClose(gradient, slope, rtol=2**-8, atol=1e-7)

    @parameterized.parameters(*_LIKELIHOODS)
    def test_gradient(self, name):
        logits, targets = _images(shape=(2, 2, 2, 1))
        theory, numeric = tf.test.compute_gradient(
            lambda x: getattr(ops, name)(x, targets), [logits], delta=2**-6
        )
        # Sums of about 10 differ by their rounding, 1e-6, over 2 delta.
        self.assertAllClose(theory, numeric, atol=1e-3)

    @parameterized.parameters(*_LIKELIHOODS)
    def test_upstream_is_per_image_and_ends_at_the_targets(self, name):
        logits, targets = (tf.constant(x, tf.float32) for x in _images())
        targets /= 255
        with tf.GradientTape() as tape:
            tape.watch([logits, targets])
            value = getattr(ops, name)(logits, targets)
        upstream = tf.constant([0.0, 1.0, -2.0, 1e3])
        gradient, none = tape.gradient(value, [logits, targets], upstream)
        self.assertIsNone(none)
        _, slope = _likelihood(name, logits, targets.numpy().astype(np.float64))
        expected = slope * upstream.numpy().reshape(-1, 1, 1, 1)
        self.assertAllClose(gradient, expected, rtol=1e-6, atol=2e-4)

    @parameterized.parameters(*_LIKELIHOODS)
    def test_keeps_nothing_but_its_inputs(self, name):
        def both(logits, targets):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = getattr(ops, name)(logits, targets)
            return tape.gradient(value, logits)

        specs = [
            tf.TensorSpec([None, 8, 8, 3], dtype) for dtype in (tf.bfloat16, tf.uint8)
        ]
        with mock.patch.object(target, "on_gpu", return_value=False):
            traced = tf.function(both).get_concrete_function(*specs)
        calls = [op for op in traced.graph.get_operations() if "Call" in op.type]
        self.assertLen(calls, 2)
        logits, targets, upstream = calls[1].inputs
        self.assertIs(logits, traced.inputs[0])
        self.assertIs(targets, traced.inputs[1])
        self.assertAllEqual(upstream.shape.rank, 1)

    @parameterized.product(name=_LIKELIHOODS, mode=("fused", "plain"))
    def test_not_a_number_is_told(self, name, mode):
        logits, targets = _images(shape=(2, 2, 2, 1))
        logits[0, 1, 1] = np.nan
        value, gradient = _value_and_gradient(name, logits, targets, mode)
        self.assertAllEqual(np.isnan(value), [True, False])
        self.assertAllEqual(np.isnan(gradient), np.isnan(logits))

    @parameterized.product(name=_LIKELIHOODS, mode=("fused", "plain"))
    def test_empty_batch(self, name, mode):
        logits, targets = _images(shape=(0, 8, 8, 3))
        value, gradient = _value_and_gradient(name, logits, targets, mode)
        self.assertAllEqual(value.shape, [0])
        self.assertAllEqual(gradient.shape, [0, 8, 8, 3])

    @parameterized.parameters(*_LIKELIHOODS)
    def test_images_must_be_alike(self, name):
        logits, targets = _images()
        with self.assertRaises(ValueError):
            _value_and_gradient(name, logits, targets[:, :5])


if __name__ == "__main__":
    tf.test.main()
