import itertools
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.model.kernels import blocks, convolution, target


def _with_gradients(function, *arguments) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
        loss = tf.reduce_sum(tf.sin(value))
    return [value, *tape.gradient(loss, arguments)]


class BlocksTest(tf.test.TestCase, parameterized.TestCase):
    def _check_equal(self, one, other):
        for ours, expected in zip(one, other, strict=True):
            # Sums of up to some hundred terms of the size of 1, in another order.
            self.assertAllClose(ours, expected, rtol=1e-4, atol=1e-4)

    @parameterized.parameters(*itertools.product((1, 2, 3, 4, 5, 7, 8), (2, 3, 4)))
    def test_are_the_convolution_with_a_stride(self, size, stride):
        maps = tf.random.stateless_normal([2, 3 * stride, 2 * stride, 3], [1, 2])
        kernel = tf.random.stateless_normal([size, size, 3, 5], [3, 4])
        self._check_equal(
            _with_gradients(
                lambda m, k: blocks.convolution(m, k, stride), maps, kernel
            ),
            _with_gradients(
                lambda m, k: tf.nn.conv2d(m, k, stride, "SAME"), maps, kernel
            ),
        )

    @parameterized.parameters(*itertools.product((1, 2, 3, 4, 5, 7, 8), (2, 3, 4)))
    def test_are_the_transposed_convolution_with_a_bias(self, size, stride):
        maps = tf.random.stateless_normal([2, 3, 2, 5], [1, 2])
        kernel = tf.random.stateless_normal([size, size, 3, 5], [3, 4])
        bias = tf.constant([1.0, 2.0, 3.0])
        shape = [2, 3 * stride, 2 * stride, 3]
        self._check_equal(
            _with_gradients(
                lambda m, k, b: blocks.transposed_convolution(m, k, stride, b),
                maps,
                kernel,
                bias,
            ),
            _with_gradients(
                lambda m, k, b: tf.nn.conv2d_transpose(m, k, shape, stride, "SAME") + b,
                maps,
                kernel,
                bias,
            ),
        )


class ChoiceTest(tf.test.TestCase, parameterized.TestCase):
    """Which convolutions of a model are computed by blocks, and that none changes."""

    def _traced(self, decoder: str, gpu: bool):
        """Return the kinds of a traced step's operations, losses and gradients."""
        with mock.patch.object(target, "on_gpu", return_value=gpu):
            model = tiny.model(decoder=decoder)
            batch = next(iter(tiny.batches(4)))

            @tf.function(jit_compile=True, autograph=False)
            def step(batch):
                with tf.GradientTape() as tape:
                    losses = model.losses(batch, tf.constant([1, 2]), 1.0, True)
                    loss = losses["total_loss"]
                weights = [weight.value for weight in model.trainable_weights]
                return losses, tape.gradient(loss, weights)

            graph = step.get_concrete_function(batch).graph
            losses, gradients = step(batch)
        return [op.type for op in graph.get_operations()], losses, gradients

    @parameterized.parameters(*config_lib.DECODERS)
    def test_both_ends_of_a_model_on_a_gpu(self, decoder):
        kinds, losses, gradients = self._traced(decoder, gpu=True)
        plain, expected, as_expected = self._traced(decoder, gpu=False)
        # Forward; backward each is the other.
        for kind in ("SpaceToDepth", "DepthToSpace"):
            self.assertEqual(plain.count(kind), 0)
            self.assertGreater(kinds.count(kind), 0)
        for name, value in expected.items():
            self.assertAllClose(losses[name], value, rtol=1e-4)
        for ours, other in zip(gradients, as_expected, strict=True):
            self.assertAllClose(ours, other, rtol=1e-3, atol=1e-3)

    @parameterized.parameters((3, 2, 6, True), (8, 2, 6, False), (3, 1, 6, False))
    def test_few_channels_and_a_stride(self, channels, stride, size, by_blocks):
        kernel = tf.zeros([3, 3, channels, 5])

        @tf.function(jit_compile=True)
        def convolve(maps):
            return convolution.convolution(maps, kernel, stride)

        with mock.patch.object(target, "on_gpu", return_value=True):
            graph = convolve.get_concrete_function(
                tf.zeros([1, size, size, channels])
            ).graph
        kinds = [op.type for op in graph.get_operations()]
        self.assertEqual("SpaceToDepth" in kinds, by_blocks)

    def test_maps_that_the_stride_does_not_divide(self):
        @tf.function(jit_compile=True)
        def convolve(maps):
            return convolution.convolution(maps, tf.zeros([3, 3, 3, 5]), 2)

        with mock.patch.object(target, "on_gpu", return_value=True):
            shape = convolve(tf.zeros([1, 7, 6, 3])).shape
        self.assertEqual(shape, [1, 4, 3, 5])


if __name__ == "__main__":
    tf.test.main()
