import numpy as np
import scipy.linalg
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod.evaluation.features import sets
from vae_prod.evaluation.features import frechet


def _distance(first, second) -> float:
    counts = sets.counts(len(first), len(second))
    return frechet.frechet_distance(first, second, counts).value


def _with_moments(mean, covariance) -> np.ndarray:
    """Return features of exactly these moments."""
    size = len(mean)
    # Rows of mean 0 whose outer products add up to the identity.
    basis = np.linalg.qr(np.eye(size + 1) - 1 / (size + 1))[0][:, :size]
    return mean + np.sqrt(size) * basis @ np.linalg.cholesky(covariance).T


class FrechetDistanceTest(tf.test.TestCase, parameterized.TestCase):
    def test_gaussians_of_diagonal_covariances(self):
        # |m1 - m2|^2 + sum of (s1 - s2)^2.
        measured = _distance(
            _with_moments([1.0, 2.0], np.diag([4.0, 9.0])),
            _with_moments([0.0, 0.0], np.diag([1.0, 0.25])),
        )
        self.assertAllClose(measured, 1 + 4 + (2 - 1) ** 2 + (3 - 0.5) ** 2)

    def test_gaussians_whose_covariances_do_not_commute(self):
        # Of two dimensions tr (A B)^(1/2) is sqrt(tr AB + 2 sqrt(det AB)).
        first, second = np.array([[2.0, 1.0], [1.0, 3.0]]), np.diag([5.0, 1.0])
        product = first @ second
        overlap = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
        expected = np.trace(first + second) - 2 * overlap
        one, two = (_with_moments([0.0, 0.0], each) for each in (first, second))
        self.assertAllClose(_distance(one, two), expected)
        self.assertAllClose(_distance(two, one), expected)

    def test_features_of_known_moments(self):
        # Mean 1 and variance 2 (n - 1 in the divisor), mean 5 and variance 8.
        first, second = np.float32([[0.0], [2.0]]), np.float32([[3.0], [7.0]])
        expected = 16 + (np.sqrt(8) - np.sqrt(2)) ** 2
        self.assertAllClose(_distance(first, second), expected)

    @parameterized.parameters((200, 150), (20, 30))  # Dimensions: 40.
    def test_is_what_the_root_of_the_product_gives(self, size, other_size):
        # As the authors' program computes it, by a root that isn't symmetric.
        random = np.random.default_rng(0)
        mixing = random.normal(size=(40, 40))
        first = random.gamma(2.0, size=(size, 40)) @ mixing
        second = random.normal(size=(other_size, 40)) * random.uniform(size=40)
        offset = first.mean(axis=0) - second.mean(axis=0)
        one, two = (np.cov(each, rowvar=False) for each in (first, second))
        root = scipy.linalg.sqrtm(one @ two).real
        expected = offset @ offset + np.trace(one + two - 2 * root)
        self.assertAllClose(_distance(first, second), expected, rtol=1e-5)

    def test_shifted_copy_and_equal_sets_of_fewer_features_than_dimensions(self):
        features = np.random.default_rng(0).normal(size=(10, 30)).astype(np.float32)
        self.assertAllClose(_distance(features, features), 0.0, atol=1e-6)
        self.assertAllClose(_distance(features, features + 2), 30 * 4.0, rtol=1e-5)


class ReplicatesTest(tf.test.TestCase, parameterized.TestCase):
    def test_are_those_of_weighted_images(self):
        # Repeating an image moves the distance as the expansion says.
        ((first, second),) = sets.gaussians(1, 2000, 4, 0.3, 1.5)
        for repeats in (0, 1):
            weights = [np.ones((2000, 200), np.float32) for _ in range(2)]
            weights[repeats][:40] = 2.0
            estimate = frechet.frechet_distance(first, second, weights)
            repeated = [first, second]
            more = repeated[repeats]
            repeated[repeats] = np.concatenate([more, more[:40]])
            change = _distance(*repeated) - estimate.value
            expected = estimate.replicates[0] - estimate.value
            self.assertAllClose(change, expected, rtol=0.1)

    @parameterized.parameters((0.5, 1.0), (0.0, 1.5))
    def test_intervals_cover_as_often_as_they_say(self, shift, scale):
        pairs = sets.gaussians(400, 500, 16, shift, scale)
        measured = sets.coverage(frechet.frechet_distance, pairs)
        self.assertBetween(measured, 0.92, 0.98)


if __name__ == "__main__":
    tf.test.main()
