import itertools

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.model.kernels import normalization, target

# Of values of the size of 1: a few roundings of float32; one rounding of 8 or 11 bits,
# and what it does to the sums that follow.
TOLERANCES = {"float32": 1e-5, "mixed_bfloat16": 3e-2, "mixed_float16": 4e-3}
_SHAPE = [5, 4, 3, 4]


def _maps(dtype="float32", seed: int = 1) -> tf.Tensor:
    maps = tf.random.stateless_normal(_SHAPE, [seed, 2]) * 3.0 + 1.0
    return tf.cast(maps, dtype)


def _with_weights(layer: keras.Layer) -> keras.Layer:
    layer.build(_SHAPE)
    layer.gamma.assign([2.0, 0.5, -1.0, 1.5])
    layer.beta.assign([-1.0, 1.0, 0.5, 0.0])
    return layer


def _ours(kind, slope: float, dtype: str, **settings) -> keras.Layer:
    return _with_weights(kind(slope=slope, dtype=dtype, **settings))


class _Theirs:
    """Keras' normalisation, then Keras' leaky ReLU."""

    def __init__(self, kind, slope: float, dtype: str, **settings):
        self.norm = _with_weights(kind(dtype=dtype, **settings))
        self.activate = keras.layers.LeakyReLU(slope, dtype=dtype)

    def __call__(self, x, training: bool):
        return self.activate(self.norm(x, training=training))


def _step(layer, weights, jit: bool = False, dtype: str = "float32") -> list[tf.Tensor]:
    """Return maps, and gradients by the argument and the weights, in float32."""

    @tf.function(jit_compile=jit)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(tf.cast(y, tf.float32)))
        return y, *tape.gradient(loss, [x, *(weight.value for weight in weights)])

    values = step(_maps(dtype.removeprefix("mixed_")))
    return [tf.cast(value, tf.float32) for value in values]


class BatchNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *itertools.product(tiny.POLICIES, (0.3,), (False, True)),
        ("float32", 1.0, False),
        ("mixed_bfloat16", 0.0, False),
    )
    def test_trains_as_that_of_keras(self, dtype, slope, jit):
        settings = {"slope": slope, "dtype": dtype, "momentum": 0.9}
        ours = _ours(normalization.BatchNormalization, **settings)
        theirs = _Theirs(keras.layers.BatchNormalization, **settings)
        norm = theirs.norm
        mine = _step(ours, [ours.gamma, ours.beta], jit, dtype)
        other = _step(theirs, [norm.gamma, norm.beta], False, dtype)
        mine += [ours.moving_mean, ours.moving_variance]
        other += [norm.moving_mean, norm.moving_variance]
        tolerance = TOLERANCES[dtype]
        for one, two in zip(mine, other, strict=True):
            # A gradient of weights is a sum over all places, of either sign.
            scale = max(1.0, float(np.max(np.abs(two))))
            self.assertAllClose(one, two, rtol=tolerance, atol=tolerance * scale)

    @parameterized.product(dtype=tiny.POLICIES, jit=(False, True))
    def test_infers_as_that_of_keras(self, dtype, jit):
        ours = _ours(normalization.BatchNormalization, 0.3, dtype)
        theirs = _Theirs(keras.layers.BatchNormalization, 0.3, dtype)
        for norm in (ours, theirs.norm):
            norm.moving_mean.assign([1.0, 0.5, 2.0, -1.0])
            norm.moving_variance.assign([4.0, 9.0, 1.0, 0.25])
        x = _maps(ours.compute_dtype)
        infer = tf.function(lambda x: ours(x, training=False), jit_compile=jit)
        two = tf.cast(theirs(x, training=False), tf.float32)
        tolerance = TOLERANCES[dtype]
        one = tf.cast(infer(x), tf.float32)
        self.assertAllClose(one, two, rtol=tolerance, atol=tolerance)

    @parameterized.parameters(False, True)
    def test_is_composed_where_xla_would_take_the_kernels_apart(self, jit):
        if target.on_gpu():
            self.skipTest("on CPUs only")
        layer = _ours(normalization.BatchNormalization, 0.3, "float32")

        def step(x):
            y = layer(x, training=True)
            return tf.gradients(tf.reduce_sum(tf.sin(y)), x)

        step = tf.function(step, jit_compile=jit).get_concrete_function(_maps())
        kinds = {op.type for op in step.graph.get_operations()}
        kernels = {"FusedBatchNormV3", "FusedBatchNormGradV3"}
        self.assertEqual(kinds & kernels, set() if jit else kernels)

    @parameterized.parameters(False, True)
    def test_statistics_are_float32_whatever_the_maps(self, jit):
        # Far from zero, where sums or squares of low precision would lose everything.
        x = tf.cast(tf.random.stateless_normal([64, 8, 8, 4], [1, 2]) + 200, "bfloat16")
        layer = _ours(
            normalization.BatchNormalization, 1.0, "mixed_bfloat16", momentum=0.0
        )
        tf.function(lambda x: layer(x, training=True), jit_compile=jit)(x)
        wide = x.numpy().astype(np.float64)
        self.assertAllClose(layer.moving_mean, wide.mean((0, 1, 2)), rtol=1e-6)
        # XLA on a GPU takes the mean square less the squared mean, of 40,000 each.
        loses_digits = jit and target.on_gpu()
        tolerance = 2e-2 if loses_digits else 1e-3
        self.assertAllClose(layer.moving_variance, wide.var((0, 1, 2)), rtol=tolerance)

    @parameterized.parameters((True, False), (True, True), (False, False))
    def test_bias_acts_as_if_added_before(self, training, jit):
        bias = tf.constant([3.0, -2.0, 0.5, 10.0])
        apart = _ours(normalization.BatchNormalization, 0.3, "float32")
        before = _ours(normalization.BatchNormalization, 0.3, "float32")

        @tf.function(jit_compile=jit)
        def normalize(x):
            return apart(x, bias=bias, training=training)

        one = normalize(_maps())
        two = before(_maps() + bias, training=training)
        self.assertAllClose(one, two, rtol=1e-4, atol=1e-4)
        self.assertAllClose(apart.moving_mean, before.moving_mean, atol=1e-5)
        self.assertAllClose(apart.moving_variance, before.moving_variance, rtol=1e-4)

    @parameterized.parameters(False, True)
    def test_bias_has_a_gradient_of_exactly_zero_in_training(self, jit):
        layer = _ours(normalization.BatchNormalization, 0.3, "float32")

        @tf.function(jit_compile=jit)
        def step(bias):
            loss = tf.reduce_sum(tf.sin(layer(_maps(), bias=bias, training=True)))
            return tf.gradients(loss, bias)[0]

        self.assertAllEqual(step(tf.constant([3.0, -2.0, 0.5, 10.0])), [0.0] * 4)

    def test_gradient_against_finite_differences(self):
        def normalize(x, scale, offset):
            return normalization.batch_norm(x, scale, offset, offset, 1e-3, 0.3)[0]

        # Away from the kink, where differences of leaky ReLU mean nothing.
        x = tf.constant([[[[0.0], [3.0]]], [[[7.0], [1.0]]]])
        arguments = [x, tf.constant([1.5]), tf.constant([0.2])]
        for ours, reference in zip(
            *tf.test.compute_gradient(normalize, arguments, delta=1e-3), strict=True
        ):
            self.assertAllClose(ours, reference, rtol=2e-3, atol=2e-3)

    def test_frozen_layer_does_not_learn(self):
        layer = _ours(normalization.BatchNormalization, 1.0, "float32")
        layer.trainable = False
        layer(_maps(), training=True)
        self.assertAllEqual(layer.moving_mean, [0.0] * 4)

    def test_round_trip(self):
        layer = _ours(normalization.BatchNormalization, 0.3, "float32", momentum=0.5)
        copy = normalization.BatchNormalization.from_config(layer.get_config())
        copy.build(_SHAPE)
        copy.set_weights(layer.get_weights())
        self.assertAllEqual(layer(_maps()), copy(_maps()))
        self.assertEqual(copy.momentum, 0.5)


class GroupNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *itertools.product(tiny.POLICIES, (2,), (0.3,), (False, True)),
        ("float32", 1, 1.0, False),
        ("float32", 4, 0.0, False),
    )
    def test_acts_as_that_of_keras(self, dtype, groups, slope, jit):
        settings = {"slope": slope, "dtype": dtype, "groups": groups}
        ours = _ours(normalization.GroupNormalization, **settings)
        theirs = _Theirs(keras.layers.GroupNormalization, **settings)
        mine = _step(ours, [ours.gamma, ours.beta], jit, dtype)
        other = _step(theirs, [theirs.norm.gamma, theirs.norm.beta], False, dtype)
        tolerance = TOLERANCES[dtype]
        for one, two in zip(mine, other, strict=True):
            scale = max(1.0, float(np.max(np.abs(two))))
            self.assertAllClose(one, two, rtol=tolerance, atol=tolerance * scale)

    def test_gradient_against_finite_differences(self):
        def normalize(x, scale, offset):
            return normalization.group_norm(x, scale, offset, 2, 1e-3)

        x = tf.random.stateless_normal([2, 2, 1, 4], [5, 6])
        scale, offset = tf.constant([1.0, 2.0, -1.0, 0.5]), tf.constant([0.1] * 4)
        for ours, reference in zip(
            *tf.test.compute_gradient(normalize, [x, scale, offset], delta=1e-2),
            strict=True,
        ):
            self.assertAllClose(ours, reference, rtol=5e-3, atol=5e-3)

    def test_large_float16_maps_stay_finite(self):
        # Their squares are beyond float16.
        layer = _ours(normalization.GroupNormalization, 0.3, "mixed_float16", groups=2)
        maps = layer(_maps("float16") * tf.constant(3000.0, tf.float16))
        self.assertTrue(np.isfinite(maps.numpy()).all())

    def test_images_do_not_touch_each_other(self):
        layer = _ours(normalization.GroupNormalization, 0.3, "float32", groups=2)
        alone = [layer(_maps()[i : i + 1]) for i in range(_SHAPE[0])]
        self.assertAllClose(layer(_maps()), tf.concat(alone, 0), atol=1e-6)

    def test_round_trip(self):
        layer = _ours(normalization.GroupNormalization, 0.3, "float32", groups=2)
        copy = normalization.GroupNormalization.from_config(layer.get_config())
        copy.build(_SHAPE)
        copy.set_weights(layer.get_weights())
        self.assertAllEqual(layer(_maps()), copy(_maps()))


class LeakyReluTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        dtype=("float32", "bfloat16", "float16"), slope=(0.0, 0.3, 1.0)
    )
    def test_value_and_gradient(self, dtype, slope):
        x = tf.constant([-2.0, -0.5, 0.0, 0.5, 2.0], dtype)
        y = normalization.leaky_relu(x, slope)
        wide = x.numpy().astype(np.float32)
        low = np.float32(tf.constant(slope, dtype))
        expected = tf.cast(np.where(wide > 0, wide, wide * low), dtype)
        # One rounding of either way.
        self.assertAllClose(y, expected, rtol=1e-2 if dtype == "bfloat16" else 1e-3)
        upstream = tf.constant([1.0, 2.0, 3.0, 4.0, 5.0], dtype)
        gradient = normalization.leaky_relu_gradient(upstream, y, slope)
        factors = [slope, slope, slope, 1.0, 1.0]
        expected = np.arange(1.0, 6.0) * factors
        self.assertEqual(gradient.dtype, x.dtype)
        self.assertAllClose(
            tf.cast(gradient, tf.float32),
            expected,
            rtol=1e-2 if dtype == "bfloat16" else 1e-3,
        )


if __name__ == "__main__":
    tf.test.main()
