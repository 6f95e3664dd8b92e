import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod.evaluation.features import sets
from vae_prod.evaluation.features import kernel


def _distance(first, second, **arguments) -> float:
    counts = sets.counts(len(first), len(second))
    return kernel.kernel_distance(first, second, counts, **arguments).value


def _by_subsets(first, second, subsets, size, random) -> float:
    """Average over random subsets of both, as published figures are taken."""
    values = []
    for _ in range(subsets):
        one, two = (
            each[random.choice(len(each), size, replace=False)]
            for each in (first, second)
        )
        matrices = [
            (a @ b.T / a.shape[1] + 1) ** 3
            for a, b in ((one, one), (two, two), (one, two))
        ]
        within = sum(m.sum() - np.trace(m) for m in matrices[:2]) / (size * (size - 1))
        values.append(within - 2 * matrices[2].mean())
    return np.mean(values), np.std(values) / np.sqrt(subsets)


class KernelDistanceTest(tf.test.TestCase):
    def test_by_hand(self):
        # One dimension: k(x, y) = (x y + 1)^3.
        first, second = np.float32([[0.0], [1.0]]), np.float32([[2.0], [-1.0]])
        within = (0 + 1) ** 3, (-2 + 1) ** 3
        across = (1 + 1 + 3**3 + 0) / 4
        self.assertAllClose(_distance(first, second), sum(within) - 2 * across)

    def test_is_divided_by_the_dimensions(self):
        first = np.float32([[1.0, 1.0], [1.0, -1.0]])
        second = np.float32([[0.0, 0.0], [0.0, 0.0]])
        # Products are 0 within the first set, and 0 wherever the second is met.
        self.assertAllClose(_distance(first, second), 0.0)
        # 2x2 + 2x0 = 4, over 2 dimensions: 3^3.
        self.assertAllClose(_distance(first + 1, second), 27 + 1 - 2)

    def test_is_unbiased(self):
        values = [_distance(*pair) for pair in sets.gaussians(1000, 8, 2)]
        error = np.std(values) / np.sqrt(len(values))
        self.assertLess(abs(np.mean(values)), 4 * error)
        ((shifted, other),) = sets.gaussians(1, 8, 2, 3.0)
        self.assertGreater(_distance(shifted, other), 10.0)

    def test_is_the_mean_over_subsets(self):
        ((first, second),) = sets.gaussians(1, 300, 8, 0.5)
        random = np.random.default_rng(1)
        mean, error = _by_subsets(first, second, 400, 100, random)
        measured = _distance(first, second)
        self.assertAllClose(measured, mean, atol=4 * error, rtol=0)
        self.assertLess(error, measured / 20)

    def test_many_rows_are_as_few(self):
        random = np.random.default_rng(0)
        first, second = random.normal(size=(2, 1500, 3))
        whole = (first @ first.T / 3 + 1) ** 3
        other = (second @ second.T / 3 + 1) ** 3
        across = (first @ second.T / 3 + 1) ** 3
        expected = sum(
            (kernel.sum() - np.trace(kernel)) / (1500 * 1499)
            for kernel in (whole, other)
        )
        measured = _distance(first, second)
        self.assertAllClose(measured, expected - 2 * across.mean(), atol=1e-9)
        partners = (across.sum() - np.trace(across)) / (1500 * 1499)
        measured = _distance(first, second, is_paired=True)
        self.assertAllClose(measured, expected - 2 * partners, atol=1e-9)

    def test_of_pairs_is_0_for_copies_and_unbiased(self):
        ((features, _),) = sets.gaussians(1, 30, 4)
        measured = _distance(features, features, is_paired=True)
        self.assertAllClose(measured, 0.0, atol=1e-9)
        # Partners are alike, their distributions equal.
        values = [
            _distance(0.6 * one + 0.8 * two, two, is_paired=True)
            for one, two in sets.gaussians(1000, 8, 2)
        ]
        error = np.std(values) / np.sqrt(len(values))
        self.assertLess(abs(np.mean(values)), 4 * error)


class ReplicatesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((0.5, 1.0), (0.0, 1.5))
    def test_intervals_cover_as_often_as_they_say(self, shift, scale):
        pairs = sets.gaussians(400, 300, 16, shift, scale)
        measured = sets.coverage(kernel.kernel_distance, pairs)
        self.assertBetween(measured, 0.92, 0.98)


if __name__ == "__main__":
    tf.test.main()
