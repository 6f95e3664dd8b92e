import itertools

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.model.kernels import convolution


def _textbook(maps: tf.Tensor, kernel: tf.Tensor, factor: int) -> tf.Tensor:
    """Enlarge, then convolve."""
    enlarged = tf.repeat(tf.repeat(maps, factor, axis=1), factor, axis=2)
    return tf.nn.conv2d(enlarged, kernel, 1, "SAME")


def _value_and_gradients(function, *arguments, jit: bool = False) -> list[tf.Tensor]:
    @tf.function(jit_compile=jit)
    def step(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            value = function(*arguments)
            loss = tf.reduce_sum(tf.sin(tf.cast(value, tf.float32)))
        return value, *tape.gradient(loss, arguments)

    return step(*arguments)


class UpsampledConvolutionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *itertools.product((1, 2, 3, 4, 5), (2, 3), (False,)), (3, 2, True)
    )
    def test_equals_the_textbook(self, size, factor, jit):
        maps = tf.random.stateless_normal([2, 5, 4, 3], [1, 2])
        kernel = tf.random.stateless_normal([size, size, 3, 2], [3, 4])
        expected = _value_and_gradients(
            lambda m, k: _textbook(m, k, factor), maps, kernel
        )
        ours = _value_and_gradients(
            lambda m, k: convolution.upsampled_convolution(m, k, factor),
            maps,
            kernel,
            jit=jit,
        )
        for one, two in zip(ours, expected, strict=True):
            # Sums of up to 100 terms of the size of 1, in another order.
            self.assertAllClose(one, two, rtol=1e-4, atol=1e-4)

    def test_border_is_padded_as_the_textbook_pads(self):
        maps, kernel = tf.ones([1, 2, 2, 1]), tf.ones([3, 3, 1, 1])
        corners = convolution.upsampled_convolution(maps, kernel, 2)[0, :, :, 0]
        expected = [[4, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]]
        self.assertAllEqual(corners, expected)

    @parameterized.parameters(("bfloat16", 2.0**-9), ("float16", 2.0**-12))
    def test_kernel_is_summed_before_it_is_rounded(self, dtype, little):
        # Added to 1 one by one, the little ones would be lost; three are enough.
        kernel = np.full([3, 3, 1, 1], little, np.float32)
        kernel[1, 1] = 1.0
        maps = tf.ones([1, 1, 1, 1], dtype)
        sums = convolution.upsampled_convolution(maps, tf.constant(kernel), 2)
        expected = np.full([1, 2, 2, 1], 1.0 + 4 * little)
        self.assertAllEqual(tf.cast(sums, tf.float32), expected)

    def test_no_sum_has_three_terms(self):
        def step(maps, kernel):
            value = convolution.upsampled_convolution(maps, kernel, 4)
            return tf.gradients(tf.reduce_sum(tf.sin(value)), [maps, kernel])

        function = tf.function(step).get_concrete_function(
            tf.zeros([1, 2, 2, 1]), tf.zeros([3, 3, 1, 1])
        )
        kinds = [op for op in function.graph.get_operations() if op.type == "AddN"]
        self.assertEmpty([op.name for op in kinds if len(op.inputs) > 2])


class LayerTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        dtype=tiny.POLICIES,
        layers=(
            (convolution.Conv2D, keras.layers.Conv2D),
            (convolution.Conv2DTranspose, keras.layers.Conv2DTranspose),
        ),
        stride=(1, 2),
    )
    def test_gives_what_that_of_keras_gives(self, dtype, layers, stride):
        x = tf.random.stateless_normal([2, 6, 4, 3], [1, 2])
        ours, theirs = (
            kind(5, 3, stride, padding="same", dtype=dtype) for kind in layers
        )
        one = ours(x)
        ours.bias.assign([1.0, 2.0, 3.0, 4.0, 5.0])
        theirs.build(x.shape)
        theirs.set_weights(ours.get_weights())
        one, two = ours(x), theirs(x)
        self.assertEqual(one.dtype, two.dtype)
        self.assertEqual(one.shape, theirs.compute_output_shape(x.shape))
        self.assertAllEqual(one, two)

    @parameterized.parameters(*tiny.POLICIES)
    def test_upsampling_gives_what_two_layers_of_keras_give(self, dtype):
        x = tf.random.stateless_normal([2, 3, 4, 3], [1, 2])
        ours = convolution.Conv2D(5, 3, upsampling=2, dtype=dtype)
        enlarge = keras.layers.UpSampling2D(2, dtype=dtype)
        theirs = keras.layers.Conv2D(5, 3, padding="same", dtype=dtype)
        one = ours(x)
        theirs.build((None, 6, 8, 3))
        theirs.set_weights(ours.get_weights())
        tolerance = {"float32": 1e-5, "mixed_bfloat16": 3e-2, "mixed_float16": 4e-3}
        two = theirs(enlarge(x))
        self.assertEqual(one.dtype, two.dtype)
        one, two = tf.cast(one, tf.float32), tf.cast(two, tf.float32)
        self.assertAllClose(one, two, rtol=tolerance[dtype], atol=tolerance[dtype])

    def test_weights_files_fit_those_of_keras(self):
        folder = self.create_tempdir()
        inputs = keras.Input((4, 4, 3))
        ours = keras.Model(inputs, convolution.Conv2D(2, 3, upsampling=2)(inputs))
        enlarged = keras.layers.UpSampling2D(2)(inputs)
        layer = keras.layers.Conv2D(2, 3, padding="same")
        theirs = keras.Model(inputs, layer(enlarged))
        path = f"{folder.full_path}/some.weights.h5"
        theirs.save_weights(path)
        ours.load_weights(path)
        x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
        self.assertAllClose(ours(x), theirs(x), atol=1e-5)

    @parameterized.parameters(convolution.Conv2D, convolution.Conv2DTranspose)
    def test_bias_apart_is_the_bias_not_added(self, kind):
        inputs = keras.Input((4, 4, 3))
        layer = kind(2, 3, 2, bias_apart=True)
        model = keras.Model(inputs, layer(inputs))
        layer.bias.assign([5.0, 6.0])
        x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
        maps, bias = model(x)
        layer.bias_apart = False
        self.assertAllClose(maps + bias, layer(x), atol=1e-6)
        self.assertAllEqual(bias, [5.0, 6.0])

    @parameterized.parameters(
        (convolution.Conv2D, {"upsampling": 2, "bias_apart": True}),
        (convolution.Conv2D, {"strides": 2}),
        (convolution.Conv2DTranspose, {"strides": 2, "bias_apart": True}),
    )
    def test_round_trip(self, kind, settings):
        x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
        layer = kind(2, 3, **settings)
        expected = layer(x)
        copy = kind.from_config(layer.get_config())
        copy.build(x.shape)
        copy.set_weights(layer.get_weights())
        tf.nest.map_structure(self.assertAllEqual, expected, copy(x))


if __name__ == "__main__":
    tf.test.main()
