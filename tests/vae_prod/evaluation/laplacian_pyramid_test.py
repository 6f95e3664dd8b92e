import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import ndimage

from tests.vae_prod.evaluation import image_sets
from vae_prod.evaluation import laplacian_pyramid

_BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256


class PyramidTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ((128, 128), [128, 64, 32, 16]),
        ((96, 96), [96, 48, 24]),
        ((64, 64), [64, 32, 16]),
        ((48, 64), [48, 24]),
        ((32, 32), [32, 16]),
        ((28, 28), [28]),
        ((8, 8), [8]),
    )
    def test_sizes(self, size, heights):
        sizes = laplacian_pyramid.level_sizes(*size)
        self.assertEqual([height for height, _ in sizes], heights)
        self.assertEqual(sizes[-1][1], size[1] // 2 ** (len(heights) - 1))

    def test_halving_is_the_mirrored_binomial_filter(self):
        images = image_sets.scenes(2).astype(np.float32) / 255
        expected = ndimage.convolve(images, _BINOMIAL, mode="mirror")[:, ::2, ::2]
        self.assertAllClose(laplacian_pyramid.halve(images), expected, atol=1e-6)

    def test_enlarging_is_the_filter_on_spread_pixels(self):
        images = image_sets.scenes(2, 16).astype(np.float32) / 255
        spread = np.zeros((2, 32, 32, 3))
        spread[:, ::2, ::2] = images
        expected = ndimage.convolve(spread, 4 * _BINOMIAL, mode="mirror")
        self.assertAllClose(laplacian_pyramid.enlarge(images), expected, atol=1e-6)

    def test_constant_is_in_the_last_band_alone(self):
        bands = laplacian_pyramid.bands(np.full((1, 64, 64, 1), 0.7, "f4"), 3)
        for band in bands[:-1]:
            self.assertAllClose(band, np.zeros_like(band), atol=1e-6)
        self.assertAllClose(bands[-1], np.full((1, 16, 16, 1), 0.7))

    def test_bands_add_up_to_the_image(self):
        images = image_sets.scenes(2, 64).astype(np.float32) / 255
        *fine, total = laplacian_pyramid.bands(images, 3)
        for band in reversed(fine):
            total = laplacian_pyramid.enlarge(total) + band
        self.assertAllClose(total, images, atol=1e-6)


if __name__ == "__main__":
    tf.test.main()
