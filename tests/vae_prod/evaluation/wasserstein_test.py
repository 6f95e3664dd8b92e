import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import ndimage

from vae_prod.evaluation import wasserstein

_BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256


def _scenes(num: int, size: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return uint8 images of squares of 4x4 pixels: flat, with sharp edges."""
    random = np.random.default_rng(seed)
    squares = random.integers(0, 200, (num, size // 4, size // 4, channels), np.uint8)
    return squares.repeat(4, axis=1).repeat(4, axis=2)


def _patches(images: np.ndarray, batch_size: int = 1000, **settings):
    patches = wasserstein.Patches(images.shape[1:], **settings)
    for start in range(0, len(images), batch_size):
        patches.add(images[start : start + batch_size])
    return patches


def _distance(first: np.ndarray, second: np.ndarray) -> wasserstein.Distance:
    return wasserstein.distance(_patches(first), _patches(second))


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
        sizes = wasserstein.level_sizes(*size)
        self.assertEqual([height for height, _ in sizes], heights)
        self.assertEqual(sizes[-1][1], size[1] // 2 ** (len(heights) - 1))

    def test_smaller_than_a_patch(self):
        with self.assertRaisesRegex(ValueError, r"at least 7x7.*received 32x6"):
            wasserstein.level_sizes(32, 6)

    def test_halving_is_the_mirrored_binomial_filter(self):
        images = _scenes(2).astype(np.float32) / 255
        expected = ndimage.convolve(images, _BINOMIAL, mode="mirror")[:, ::2, ::2]
        self.assertAllClose(wasserstein.halve(images), expected, atol=1e-6)

    def test_enlarging_is_the_filter_on_spread_pixels(self):
        images = _scenes(2, 16).astype(np.float32) / 255
        spread = np.zeros((2, 32, 32, 3))
        spread[:, ::2, ::2] = images
        expected = ndimage.convolve(spread, 4 * _BINOMIAL, mode="mirror")
        self.assertAllClose(wasserstein.enlarge(images), expected, atol=1e-6)

    def test_constant_is_in_the_last_band_alone(self):
        bands = wasserstein.laplacian_pyramid(np.full((1, 64, 64, 1), 0.7, "f4"), 3)
        for band in bands[:-1]:
            self.assertAllClose(band, np.zeros_like(band), atol=1e-6)
        self.assertAllClose(bands[-1], np.full((1, 16, 16, 1), 0.7))

    def test_bands_add_up_to_the_image(self):
        images = _scenes(2, 64).astype(np.float32) / 255
        *fine, total = wasserstein.laplacian_pyramid(images, 3)
        for band in reversed(fine):
            total = wasserstein.enlarge(total) + band
        self.assertAllClose(total, images, atol=1e-6)


class DistanceTest(tf.test.TestCase, parameterized.TestCase):
    def test_equal_sets_are_at_zero(self):
        images = _scenes(20)
        distance = _distance(images, images)
        self.assertEqual(distance.levels, {32: 0.0, 16: 0.0})
        self.assertEqual(distance.mean, 0.0)

    def test_mean_is_over_the_levels(self):
        self.assertEqual(wasserstein.Distance({32: 1.0, 16: 4.0}).mean, 2.5)

    @parameterized.parameters((1.0, 30.0), (0.5, 0.0))
    def test_brightness_and_contrast_of_all_are_not_seen(self, contrast, shift):
        images = _scenes(20) / 255
        distance = _distance(images, images * contrast + shift / 255)
        # Rounding of float32, amplified 1,000 times and by 1 / deviation.
        self.assertAllClose(distance.levels, {32: 0.0, 16: 0.0}, atol=0.02)

    def test_known_distance_of_two_distributions(self):
        # One level, pixels all alike within an image: after normalising, a patch is
        # +-1 everywhere in one set, N(0, 1) in the other, whose Wasserstein-1 distance
        # w is known; a direction u has |sum u| of it, and E|sum u| over unit vectors
        # is about sqrt(2 / pi).
        num = 2000
        quantiles = (np.arange(num) + 0.5) / num
        normal = tf.math.ndtri(quantiles).numpy()
        signs = np.where(quantiles < 0.5, -1.0, 1.0)
        flat = np.ones((1, 8, 8, 1), np.float32)
        sets = [
            _patches((0.5 + 0.1 * shades[:, None, None, None] * flat), per_image=2)
            for shades in (normal, signs)
        ]
        w = np.abs(normal - signs).mean()
        expected = 1e3 * w * np.sqrt(2 / np.pi)
        # |sum u| deviates by 0.6 from its mean of 0.8: four errors of 512 directions.
        tolerance = 4 * 1e3 * w * 0.6 / np.sqrt(512)
        measured = wasserstein.distance(*sets).mean
        self.assertAllClose(measured, expected, atol=tolerance)

    def test_blur_is_seen_at_the_fine_level(self):
        images, others = (_scenes(100, channels=1, seed=seed) for seed in (0, 1))
        floor = _distance(images, others).levels
        blurred = ndimage.gaussian_filter(images / 255, (0, 0.7, 0.7, 0))
        measured = _distance(images, blurred).levels
        self.assertGreater(measured[32], 3 * floor[32])
        self.assertLess(measured[16], floor[16])

    def test_noise_is_far_from_images(self):
        images, others = (_scenes(100, channels=1, seed=seed) for seed in (0, 1))
        noise = np.random.default_rng(2).integers(0, 256, images.shape, np.uint8)
        floor = _distance(images, others).levels
        for level, measured in _distance(images, noise).levels.items():
            self.assertGreater(measured, 1.5 * floor[level])

    def test_order_of_images_is_chance_alone(self):
        images = _scenes(60)
        measured = _distance(images, images[::-1]).levels
        floor = _distance(images, _scenes(60, seed=1)).levels
        for level in measured:
            self.assertBetween(measured[level], 0, floor[level])

    def test_symmetric_and_repeatable_whatever_the_batches(self):
        first, second = _scenes(20), _scenes(20, seed=1) // 2
        expected = _distance(first, second).levels
        self.assertEqual(_distance(first, second).levels, expected)
        self.assertAllClose(_distance(second, first).levels, expected)
        parts = _patches(first, 7), _patches(second, 3)
        self.assertAllClose(wasserstein.distance(*parts).levels, expected)

    def test_seeds_choose_places_and_directions(self):
        first, second = _scenes(20), _scenes(20, seed=1)
        expected = _distance(first, second).mean
        places = [_patches(images, seed=2) for images in (first, second)]
        self.assertNotEqual(wasserstein.distance(*places).mean, expected)
        same = [_patches(images) for images in (first, second)]
        self.assertNotEqual(wasserstein.distance(*same, seed=2).mean, expected)

    def test_types_of_images(self):
        images = _scenes(4)
        scaled = images.astype(np.float32) / 255
        self.assertAllClose(_distance(images, scaled).mean, 0.0, atol=1e-2)

    def test_images_without_any_structure(self):
        flat = np.full((4, 32, 32, 3), 90, np.uint8)
        # Rounding of float32, amplified by the floor of the deviation.
        self.assertAllClose(_distance(flat, flat + 20).mean, 0.0, atol=1.0)
        self.assertTrue(np.isfinite(_distance(flat, _scenes(4)).mean))

    def test_refuses_sets_that_do_not_compare(self):
        expected = "Sets to compare must have as many images of one shape"
        for first, second in (
            (_scenes(3), _scenes(2)),
            (_scenes(3), _scenes(3, channels=1)),
            (_scenes(0), _scenes(0)),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                _distance(first, second)
        with self.assertRaisesRegex(ValueError, r"must be \(32, 32, 3\), received"):
            wasserstein.Patches((32, 32, 3)).add(_scenes(2, 16))


if __name__ == "__main__":
    tf.test.main()
