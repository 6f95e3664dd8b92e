import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.evaluation import bounds


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
        return bounds.importance_weighted_bound(
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
        means = [self._bound(*wrong, k).mean() for k in (1, 10, 100)]
        self.assertLess(means[0], means[1] - 0.3)
        self.assertLess(means[1], means[2] - 0.04)
        self.assertAllClose(means[2], self.evidence.mean(), atol=0.05)

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
        bound = bounds.importance_weighted_bound(
            self.mean,
            self.log_var,
            lambda z: self._log_normal(self.x - z, self.variance) - 1e5,
            3,
            tf.zeros([len(self.mean)], tf.int64),
        )
        self.assertAllClose(bound + 1e5, self.evidence, atol=1e-4)


if __name__ == "__main__":
    tf.test.main()
