import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.serving import subpixel


def _apply(kernel, before, maps):
    """Convolve by hand, and put the neighbours beside each other."""
    size, _, _, factor, _, out = kernel.shape
    after = size - 1 - before
    padded = np.pad(maps, [(0, 0), (before, after), (before, after), (0, 0)])
    batch, height, width, _ = maps.shape
    result = np.zeros((batch, height * factor, width * factor, out))
    for row in range(height):
        for column in range(width):
            window = padded[:, row : row + size, column : column + size]
            found = np.einsum("befi,efirso->brso", window, kernel)
            rows = slice(row * factor, (row + 1) * factor)
            columns = slice(column * factor, (column + 1) * factor)
            result[:, rows, columns] = found
    return result


class SubpixelTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.maps = rng.normal(size=(2, 4, 5, 3))
        self.kernel = lambda size: rng.normal(size=(size, size, 3, 2))

    @parameterized.product(size=(1, 2, 3, 4, 5), factor=(2, 3))
    def test_transposed(self, size, factor):
        kernel = self.kernel(size)
        expected = tf.nn.conv2d_transpose(
            self.maps,
            np.swapaxes(kernel, 2, 3),
            [2, 4 * factor, 5 * factor, 2],
            factor,
            "SAME",
        )
        found = _apply(*subpixel.transposed(kernel, factor), self.maps)
        self.assertAllClose(found, expected, atol=1e-5)

    @parameterized.product(size=(1, 2, 3, 4, 5), factor=(2, 3))
    def test_upsampled(self, size, factor):
        kernel = self.kernel(size)
        large = self.maps.repeat(factor, axis=1).repeat(factor, axis=2)
        expected = tf.nn.conv2d(large, kernel, 1, "SAME")
        found = _apply(*subpixel.upsampled(kernel, factor), self.maps)
        self.assertAllClose(found, expected, atol=1e-5)

    @parameterized.parameters(
        ({"decoder": "conv2d_transpose"}, 2),
        ({"decoder": "upsampling", "decoder_output": "extra_conv"}, 2),
        ({"decoder": "upsampling", "upsampling": "bilinear"}, 0),
    )
    def test_a_decoder_stays_what_it_is(self, changes, replaced):
        model = tiny.model(**changes)
        other = subpixel.decoder(model.decoder)
        kinds = [type(layer).__name__ for layer in other.layers]
        self.assertEqual(kinds.count("_SubpixelConvolution"), replaced)
        z = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
        # Sums of some dozens of terms in another order.
        self.assertAllClose(other(z), model.decoder(z), atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
