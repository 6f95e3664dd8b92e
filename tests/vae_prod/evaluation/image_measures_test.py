import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.evaluation import image_measures


class PsnrTest(tf.test.TestCase):
    def test_known_errors(self):
        errors = np.array([1.0, 0.01, 0.25**2, 0.0])
        expected = [0.0, 20.0, 20 * np.log10(4.0), 100.0]
        self.assertAllClose(image_measures.psnr(errors), expected)


class SsimTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 3)
    def test_flat_images_by_hand(self, channels):
        # Without any structure, eq. 13 is (2 a b + C1) / (a^2 + b^2 + C1).
        images = np.full((2, 12, 14, channels), 0.2, np.float32)
        targets = np.full_like(images, 0.5)
        expected = (2 * 0.2 * 0.5 + 1e-4) / (0.2**2 + 0.5**2 + 1e-4)
        # Variances are differences of squares, rounded, beside C2 = 9e-4.
        self.assertAllClose(
            image_measures.ssim(images, targets), [expected] * 2, atol=1e-3
        )

    def test_one_window_by_hand(self):
        random = np.random.default_rng(0)
        images, targets = random.random((2, 11, 11)).astype(np.float32)
        places = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
        weights = np.outer(places, places) / places.sum() ** 2
        means = [(weights * each).sum() for each in (images, targets)]
        shifted = images - means[0], targets - means[1]
        variances = [(weights * each**2).sum() for each in shifted]
        covariance = (weights * shifted[0] * shifted[1]).sum()
        c1, c2 = 0.01**2, 0.03**2
        expected = (2 * means[0] * means[1] + c1) * (2 * covariance + c2)
        expected /= (means[0] ** 2 + means[1] ** 2 + c1) * (sum(variances) + c2)
        measured = image_measures.ssim(
            images[None, ..., None], targets[None, ..., None]
        )
        self.assertAllClose(measured, [expected], rtol=1e-4)

    def test_equal_images_and_images_below_the_window(self):
        images = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
        self.assertAllClose(image_measures.ssim(images, images), [1.0] * 3)
        self.assertIsNone(image_measures.ssim(images[:, :10], images[:, :10]))


class ImportanceWeightedBoundTest(tf.test.TestCase, parameterized.TestCase):
    """On a model whose answer is known: z ~ N(0, I), x ~ N(z, s^2 I).

    Then x ~ N(0, (1 + s^2) I), and the posterior is normal with mean x / (1 + s^2) and
    variance s^2 / (1 + s^2).
    """

    dim, variance = 4, 0.5

    def setUp(self):
        super().setUp()
        total = 1 + self.variance
        self.x = np.random.default_rng(0).normal(0, np.sqrt(total), (200, self.dim))
        self.evidence = self._log_normal(self.x, total)
        self.mean = (self.x / total).astype(np.float32)
        self.log_var = np.full_like(self.mean, np.log(self.variance / total))

    def _log_normal(self, error, variance):
        terms = np.log(2 * np.pi * variance) + np.square(error) / variance
        return -0.5 * terms.sum(axis=1)

    def _bound(self, mean, log_var, num_samples):
        return image_measures.importance_weighted_bound(
            mean,
            log_var,
            lambda z: self._log_normal(self.x - z, self.variance),
            num_samples,
            tf.range(len(mean), dtype=tf.int64) * num_samples,
        )

    @parameterized.parameters(1, 2, 7)
    def test_is_the_evidence_with_the_true_posterior(self, num_samples):
        bound = self._bound(self.mean, self.log_var, num_samples)
        # z is rounded to float32 for the likelihood.
        self.assertAllClose(bound, self.evidence, atol=1e-4)

    def test_rises_with_the_samples_towards_the_evidence(self):
        wrong = self.mean + 0.5, self.log_var + 0.5
        bounds = [self._bound(*wrong, k).mean() for k in (1, 10, 100)]
        self.assertLess(bounds[0], bounds[1] - 0.3)
        self.assertLess(bounds[1], bounds[2] - 0.04)
        self.assertAllClose(bounds[2], self.evidence.mean(), atol=0.05)

    def test_one_sample_gives_the_elbo(self):
        shift, log_var = 0.5, self.log_var + 0.5
        bound = self._bound(self.mean + shift, log_var, 1)
        # The evidence less the KL between the two normals.
        ratio = np.exp(0.5)
        true_variance = self.variance / (1 + self.variance)
        kl = 0.5 * self.dim * (ratio + shift**2 / true_variance - 1 - 0.5)
        error = 4 * (bound - self.evidence).std() / np.sqrt(len(bound))
        self.assertAllClose((bound - self.evidence).mean(), -kl, atol=error)

    def test_survives_densities_beyond_the_range_of_floats(self):
        bound = image_measures.importance_weighted_bound(
            self.mean,
            self.log_var,
            lambda z: self._log_normal(self.x - z, self.variance) - 1e5,
            3,
            tf.zeros([len(self.mean)], tf.int64),
        )
        self.assertAllClose(bound + 1e5, self.evidence, atol=1e-4)


if __name__ == "__main__":
    tf.test.main()
