import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import ndimage

from pipelines import files
from tests.vae_prod.evaluation import image_sets
from vae_prod.evaluation import resampling, wasserstein


def _patches(images: np.ndarray, batch_size: int = 1000, **settings):
    patches = wasserstein.Patches(images.shape[1:], **settings)
    for start in range(0, len(images), batch_size):
        patches.add(images[start : start + batch_size])
    return patches


def _shades(shades: np.ndarray) -> np.ndarray:
    """Return images of one shade each: float32 [N, 7, 7, 1]."""
    flat = np.ones((1, 7, 7, 1), np.float32)
    return shades[:, None, None, None].astype(np.float32) * flat


def _distance(images: np.ndarray, real: np.ndarray) -> wasserstein.Distance:
    return wasserstein.distance(_patches(images), _patches(real))


def _levels(images: np.ndarray, real: np.ndarray) -> dict[int, float]:
    return _values(_distance(images, real))


def _values(distance: wasserstein.Distance) -> dict[int, float]:
    return {height: level.value for height, level in distance.levels.items()}


class DistanceTest(tf.test.TestCase, parameterized.TestCase):
    def test_smaller_than_a_patch(self):
        with self.assertRaisesRegex(files.UserError, "at least 7x7.*received 32x6"):
            wasserstein.Patches((32, 6, 3))

    def test_equal_sets_are_at_zero(self):
        images = image_sets.scenes(20)
        distance = _distance(images, images)
        self.assertEqual(_values(distance), {32: 0.0, 16: 0.0})
        self.assertEqual(distance.mean.interval, (0.0, 0.0))

    def test_mean_is_over_the_levels(self):
        replicates = np.zeros(resampling.REPLICATES)
        levels = {
            32: resampling.Estimate(1.0, replicates + 1.0),
            16: resampling.Estimate(4.0, replicates + 2.0),
        }
        mean = wasserstein.Distance(levels).mean
        self.assertEqual(mean, resampling.Estimate(2.5, replicates + 1.5))

    def test_brightness_and_contrast_of_all_are_seen(self):
        real = image_sets.scenes(20) / 255
        brighter, duller = _levels(real + 0.2, real), _levels(0.5 * real, real)
        # A constant is in the last band alone.
        self.assertAllClose(brighter[32], 0.0, atol=0.02)
        self.assertGreater(brighter[16], 200.0)
        self.assertGreater(duller[32], 200.0)
        self.assertGreater(duller[16], 200.0)

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
        measured = wasserstein.distance(*sets).mean.value
        self.assertAllClose(measured, expected, atol=tolerance)

    def test_blur_is_seen_at_the_fine_level(self):
        images, others = (
            image_sets.scenes(100, channels=1, seed=seed) for seed in (0, 1)
        )
        floor = _levels(images, others)
        blurred = ndimage.gaussian_filter(images / 255, (0, 0.7, 0.7, 0))
        measured = _levels(blurred, images)
        self.assertGreater(measured[32], 3 * floor[32])
        self.assertLess(measured[16], measured[32] / 2)

    def test_noise_is_far_from_images(self):
        images, others = (
            image_sets.scenes(100, channels=1, seed=seed) for seed in (0, 1)
        )
        noise = np.random.default_rng(2).integers(0, 256, images.shape, np.uint8)
        floor = _levels(images, others)
        for level, measured in _levels(images, noise).items():
            self.assertGreater(measured, 1.5 * floor[level])

    def test_order_of_images_is_chance_alone(self):
        images = image_sets.scenes(60)
        measured = _levels(images, images[::-1])
        floor = _levels(images, image_sets.scenes(60, seed=1))
        for level in measured:
            self.assertBetween(measured[level], 0, floor[level])

    def test_the_same_whatever_the_batches_and_beside_others(self):
        images, real = image_sets.scenes(20), image_sets.scenes(20, seed=1) // 2
        expected = _distance(images, real)
        self.assertEqual(_distance(images, real), expected)
        parts = _patches(images, 7), _patches(real, 3)
        again = wasserstein.distance(*parts)
        self.assertAllClose(_values(again), _values(expected))
        self.assertAllClose(again.mean.replicates, expected.mean.replicates)
        both = wasserstein.distances([parts[1], parts[0]], parts[1])
        self.assertEqual(both[0].mean.value, 0.0)
        self.assertEqual(both[1], again)

    @parameterized.parameters(resampling.REAL, resampling.GENERATED)
    def test_replicates_spread_as_other_images(self, stream):
        # Images of one shade each, in one dimension: real ones N(0.5, 0.1), and the
        # same with noise and a shift, or others as far away.
        random, values, errors = np.random.default_rng(0), [], []
        for seed in range(100):
            real, other = random.normal(0.5, 0.1, (2, 60))
            if stream == resampling.REAL:
                other = real + random.normal(0.0, 0.05, 60)
            sets = (
                _patches(_shades(shades), per_image=1, stream=of)
                for shades, of in ((1.2 * other, stream), (real, resampling.REAL))
            )
            distance = wasserstein.distance(*sets, seed=seed).mean
            values.append(distance.value)
            errors.append(distance.standard_error)
        # A deviation of 100 has an error of 7 %; those of the errors are alike.
        self.assertAllClose(np.mean(errors), np.std(values), rtol=0.2)

    def test_seeds_choose_places_and_directions(self):
        first, second = image_sets.scenes(20), image_sets.scenes(20, seed=1)
        expected = _distance(first, second).mean.value
        places = [_patches(images, seed=2) for images in (first, second)]
        self.assertNotEqual(wasserstein.distance(*places).mean.value, expected)
        same = [_patches(images) for images in (first, second)]
        other = wasserstein.distance(*same, seed=2).mean.value
        self.assertNotEqual(other, expected)

    def test_types_of_images(self):
        images = image_sets.scenes(4)
        scaled = images.astype(np.float32) / 255
        self.assertAllClose(_distance(images, scaled).mean.value, 0.0, atol=1e-2)

    def test_images_without_any_structure(self):
        flat = np.full((4, 32, 32, 3), 90, np.uint8)
        self.assertEqual(_distance(flat, flat).mean.value, 0.0)
        for images in (flat + 20, image_sets.scenes(4)):
            for pair in ((images, flat), (flat, images)):
                self.assertTrue(np.isfinite(_distance(*pair).mean.interval).all())

    def test_refuses_sets_that_do_not_compare(self):
        expected = "Sets to compare must have as many images of one shape"
        for first, second in (
            (image_sets.scenes(3), image_sets.scenes(2)),
            (image_sets.scenes(3), image_sets.scenes(3, channels=1)),
            (image_sets.scenes(0), image_sets.scenes(0)),
        ):
            with self.assertRaisesRegex(ValueError, expected):
                _distance(first, second)
        with self.assertRaisesRegex(ValueError, r"must be \(32, 32, 3\), received"):
            wasserstein.Patches((32, 32, 3)).add(image_sets.scenes(2, 16))


if __name__ == "__main__":
    tf.test.main()
