import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.evaluation.features import distances


class FrechetDistanceTest(tf.test.TestCase, parameterized.TestCase):
    def test_gaussians_of_diagonal_covariances(self):
        # |m1 - m2|^2 + sum of (s1 - s2)^2.
        measured = distances.gaussian_frechet_distance(
            np.array([1.0, 2.0]), np.diag([4.0, 9.0]), np.zeros(2), np.diag([1.0, 0.0])
        )
        self.assertAllClose(measured, 1 + 4 + (2 - 1) ** 2 + 3**2)

    def test_gaussians_whose_covariances_do_not_commute(self):
        # Of two dimensions tr (A B)^(1/2) is sqrt(tr AB + 2 sqrt(det AB)).
        first, second = np.array([[2.0, 1.0], [1.0, 3.0]]), np.diag([5.0, 1.0])
        product = first @ second
        overlap = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
        expected = np.trace(first + second) - 2 * overlap
        for pair in ((first, second), (second, first)):
            measured = distances.gaussian_frechet_distance(
                np.zeros(2), pair[0], np.zeros(2), pair[1]
            )
            self.assertAllClose(measured, expected)

    def test_features_of_known_moments(self):
        # Mean 1 and variance 2 (n - 1 in the divisor), mean 5 and variance 8.
        first, second = np.float32([[0.0], [2.0]]), np.float32([[3.0], [7.0]])
        expected = 16 + (np.sqrt(8) - np.sqrt(2)) ** 2
        measured = distances.frechet_distance(first, second)
        self.assertAllClose(measured, expected)

    def test_shifted_copy_and_equal_sets_of_fewer_features_than_dimensions(self):
        features = np.random.default_rng(0).normal(size=(10, 30)).astype(np.float32)
        distance = distances.frechet_distance
        self.assertAllClose(distance(features, features), 0.0, atol=1e-6)
        self.assertAllClose(distance(features, features + 2), 30 * 4.0, rtol=1e-5)


class KernelDistanceTest(tf.test.TestCase):
    def test_by_hand(self):
        # One dimension: k(x, y) = (x y + 1)^3.
        first, second = np.float32([[0.0], [1.0]]), np.float32([[2.0], [-1.0]])
        within = (0 + 1) ** 3, (-2 + 1) ** 3
        across = (1 + 1 + 3**3 + 0) / 4
        measured = distances.kernel_distance(first, second)
        self.assertAllClose(measured, sum(within) - 2 * across)

    def test_is_divided_by_the_dimensions(self):
        first = np.float32([[1.0, 1.0], [1.0, -1.0]])
        second = np.float32([[0.0, 0.0], [0.0, 0.0]])
        # Products are 0 within the first set, and 0 wherever the second is met.
        self.assertAllClose(distances.kernel_distance(first, second), 0.0)
        measured = distances.kernel_distance(first + 1, second)
        # 2x2 + 2x0 = 4, over 2 dimensions: 3^3.
        self.assertAllClose(measured, 27 + 1 - 2)

    def test_is_unbiased(self):
        random = np.random.default_rng(0)
        values = [
            distances.kernel_distance(*random.normal(size=(2, 8, 2)))
            for _ in range(1000)
        ]
        error = np.std(values) / np.sqrt(len(values))
        self.assertLess(abs(np.mean(values)), 4 * error)
        shifted = random.normal(size=(8, 2)) + 3
        measured = distances.kernel_distance(shifted, random.normal(size=(8, 2)))
        self.assertGreater(measured, 10.0)

    def test_many_rows_are_as_few(self):
        random = np.random.default_rng(0)
        first, second = random.normal(size=(2, 1500, 3))
        whole = (first @ first.T / 3 + 1) ** 3
        other = (second @ second.T / 3 + 1) ** 3
        expected = sum(
            (kernel.sum() - np.trace(kernel)) / (1500 * 1499)
            for kernel in (whole, other)
        )
        expected -= 2 * ((first @ second.T / 3 + 1) ** 3).mean()
        measured = distances.kernel_distance(first, second)
        self.assertAllClose(measured, expected, atol=1e-9)


class PrecisionRecallTest(tf.test.TestCase):
    def test_equal_sets(self):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        measured = distances.precision_recall(features, features)
        self.assertEqual(measured, (1.0, 1.0))

    def test_sets_apart(self):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        measured = distances.precision_recall(features, features + 100)
        self.assertEqual(measured, (0.0, 0.0))

    def test_on_a_line_by_hand(self):
        # Their third neighbours are 3, 2, 2, 3 away from the real ones, and 5, 4, 4, 5
        # from the samples. So the real ones reach to 6, the samples to -2.5.
        real = np.float32([[0.0], [1.0], [2.0], [3.0]])
        samples = np.float32([[2.5], [3.5], [6.5], [7.5]])
        measured = distances.precision_recall(samples, real)
        self.assertEqual(measured, (0.5, 1.0))

    def test_one_mode_is_precise_and_recalls_little(self):
        random = np.random.default_rng(0)
        modes = random.normal(size=(4, 50, 2)) + np.float32(
            [[[0, 0]], [[50, 0]], [[0, 50]], [[50, 50]]]
        )
        real = modes.reshape(-1, 2)
        samples = np.concatenate([modes[0] + 1e-3 * random.normal(size=(50, 2))] * 4)
        precision, recall = distances.precision_recall(samples, real)
        self.assertGreater(precision, 0.95)
        self.assertLess(recall, 0.26)


class CompareTest(tf.test.TestCase):
    def test_holds_all_of_them(self):
        random = np.random.default_rng(0)
        samples, real = random.normal(size=(2, 30, 4)).astype(np.float32)
        measured = distances.compare(samples, real)
        self.assertEqual(measured.num_images, 30)
        self.assertEqual(measured.fid, distances.frechet_distance(samples, real))
        self.assertEqual(measured.kid, distances.kernel_distance(samples, real))
        expected = distances.precision_recall(samples, real)
        self.assertEqual((measured.precision, measured.recall), expected)

    def test_refuses_sets_that_do_not_compare(self):
        four, three = np.zeros((4, 2)), np.zeros((3, 2))
        for first, second in ((four, three), (three, three), (four, np.zeros((4, 3)))):
            with self.assertRaisesRegex(ValueError, "as many features, at least 4"):
                distances.compare(first, second)


if __name__ == "__main__":
    tf.test.main()
