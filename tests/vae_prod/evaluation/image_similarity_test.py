import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.evaluation import image_similarity


class PsnrTest(tf.test.TestCase):
    def test_known_errors(self):
        errors = np.array([1.0, 0.01, 0.25**2, 0.0])
        expected = [0.0, 20.0, 20 * np.log10(4.0), 100.0]
        self.assertAllClose(image_similarity.psnr(errors), expected)


class SsimTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 3)
    def test_flat_images_by_hand(self, channels):
        # Without any structure, eq. 13 is (2 a b + C1) / (a^2 + b^2 + C1).
        images = np.full((2, 12, 14, channels), 0.2, np.float32)
        targets = np.full_like(images, 0.5)
        expected = (2 * 0.2 * 0.5 + 1e-4) / (0.2**2 + 0.5**2 + 1e-4)
        # Variances are differences of squares, rounded, beside C2 = 9e-4.
        self.assertAllClose(
            image_similarity.ssim(images, targets), [expected] * 2, atol=1e-3
        )

    def test_one_window_by_hand(self):
        random = np.random.default_rng(0)
        images, targets = random.random((2, 11, 11)).astype(np.float32)
        places = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
        weights = np.outer(places, places) / places.sum() ** 2
        means = [(weights * array).sum() for array in (images, targets)]
        shifted = images - means[0], targets - means[1]
        variances = [(weights * array**2).sum() for array in shifted]
        covariance = (weights * shifted[0] * shifted[1]).sum()
        c1, c2 = 0.01**2, 0.03**2
        expected = (2 * means[0] * means[1] + c1) * (2 * covariance + c2)
        expected /= (means[0] ** 2 + means[1] ** 2 + c1) * (sum(variances) + c2)
        measured = image_similarity.ssim(
            images[None, ..., None], targets[None, ..., None]
        )
        self.assertAllClose(measured, [expected], rtol=1e-4)

    def test_equal_images_and_images_below_the_window(self):
        images = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
        self.assertAllClose(image_similarity.ssim(images, images), [1.0] * 3)
        self.assertIsNone(image_similarity.ssim(images[:, :10], images[:, :10]))


if __name__ == "__main__":
    tf.test.main()
