import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from pipelines import files
from vae_prod.latent import statistics


def _normal(num: int, z_dim: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(num, z_dim)).astype(np.float32)


def _blobs(num_blobs: int, each: int = 60) -> np.ndarray:
    """Return points around centres that are far apart, with unit variance in all."""
    random = np.random.default_rng(0)
    centres = 100.0 * np.eye(num_blobs)
    noise = random.normal(size=(num_blobs, each, num_blobs)) / np.sqrt(num_blobs)
    return (centres[:, None] + noise).reshape(-1, num_blobs).astype(np.float32)


class CovarianceTest(tf.test.TestCase):
    def test_is_exact_in_chunks_and_far_from_the_origin(self):
        points = _normal(9000, 5) * np.arange(1, 6) + 1e4
        found = statistics.covariance(points)
        exact = points.astype(np.float64)
        self.assertEqual(found.count, 9000)
        self.assertAllClose(found.mean, exact.mean(axis=0), rtol=1e-12)
        self.assertAllClose(found.matrix, np.cov(exact.T, bias=True), rtol=1e-8)

    def test_reads_arrays_on_disk(self):
        points = _normal(50, 3)
        path = os.path.join(self.create_tempdir().full_path, "z.npy")
        np.save(path, points)
        mapped = np.load(path, mmap_mode="r")
        expected = statistics.covariance(points).matrix
        self.assertAllEqual(statistics.covariance(mapped).matrix, expected)

    def test_spectrum_is_that_of_rotated_axes(self):
        rotation = stats.ortho_group(4, seed=0).rvs()
        points = _normal(20_000, 4) * [3.0, 2.0, 1.0, 0.0] @ rotation
        found = statistics.covariance(points)
        self.assertAllClose(found.spectrum(), [9, 4, 1, 0], rtol=0.05, atol=1e-6)
        self.assertAllClose(found.spectrum().sum(), np.trace(found.matrix))

    def test_mean_variance(self):
        z_log_var = np.log([[1.0, 2.0], [3.0, 4.0]])
        self.assertAllClose(statistics.mean_variance(z_log_var), [2.0, 3.0])


class RadiiTest(tf.test.TestCase):
    def test_of_the_standard_normal(self):
        found = statistics.radii(_normal(20_000, 64))
        edges = 0.5 * np.arange(len(found.counts) + 1)
        expected = 20_000 * np.diff(stats.chi(64).cdf(edges))
        # Five deviations of a count, and 5 for those of few.
        difference = np.abs(found.counts - expected)
        self.assertAllLess(difference - 5 * np.sqrt(expected), 5.0)
        self.assertEqual(found.counts.sum(), 20_000)
        self.assertAllClose(found.mean, stats.chi(64).mean(), atol=0.02)
        self.assertAllClose(found.deviation, stats.chi(64).std(), atol=0.02)
        self.assertIn(found.peak, (7.75, 8.25))

    def test_of_points_made_by_hand(self):
        points = np.array([[0, 0.2], [0, 0.5], [3, 4], [0, 4.99], [3e4, 0]])
        found = statistics.radii(points)
        self.assertAllEqual(found.counts[[0, 1, 9, 10, -1]], [1, 1, 1, 1, 1])
        self.assertEqual(len(found.counts), 2000)
        self.assertEqual((found.smallest, found.largest), (0.2, 3e4))

    def test_points_that_are_not_finite_or_not_there(self):
        with self.assertRaisesRegex(files.UserError, "finite latent points"):
            statistics.radii(np.array([[1.0, np.nan]]))
        with self.assertRaisesRegex(files.UserError, "received none"):
            statistics.radii(np.zeros((0, 3)))


class CoordinatesTest(tf.test.TestCase):
    def test_moments_and_histograms_of_each(self):
        scales, shifts = np.array([0.1, 1.0, 2.0]), np.array([0.0, 1.0, -1.0])
        points = _normal(10_000, 3) * scales + shifts
        found = statistics.coordinates(points)
        self.assertAllClose(found.mean, points.mean(axis=0))
        self.assertAllClose(found.deviation, points.std(axis=0))
        self.assertAllEqual(found.smallest, points.min(axis=0))
        self.assertAllEqual(found.largest, points.max(axis=0))
        self.assertAllClose(found.edges[-1], np.abs(points).max())
        for column, counts in zip(points.T, found.counts, strict=True):
            expected, _ = np.histogram(column, found.edges)
            # A value on an edge may fall to either side.
            self.assertLessEqual(np.abs(counts - expected).sum(), 4)

    def test_what_is_far_away_is_in_the_last_bin(self):
        points = np.concatenate([_normal(5000, 2), [[1000.0, 0.0]]])
        found = statistics.coordinates(points)
        self.assertLess(found.edges[-1], 100)
        self.assertEqual(found.counts[0, -1], 1)
        self.assertAllEqual(found.counts.sum(axis=1), [5001, 5001])

    def test_points_at_the_origin(self):
        found = statistics.coordinates(np.zeros((4, 2)))
        self.assertAllEqual(found.counts[:, 50], [4, 4])


class ChooseRowsTest(tf.test.TestCase):
    def test_picks_each_at_most_once(self):
        rows = statistics.choose_rows(100, 30, 1, "a plot")
        self.assertLen(set(rows.tolist()), 30)
        self.assertAllEqual(rows, np.sort(rows))
        self.assertAllEqual(rows, statistics.choose_rows(100, 30, 1, ""))
        self.assertNotAllEqual(rows, statistics.choose_rows(100, 30, 2, ""))

    def test_more_than_there_are(self):
        with self.assertRaisesRegex(
            files.UserError, "at most 9 points for t-SNE, .* received 10"
        ):
            statistics.choose_rows(9, 10, 1, "t-SNE")


class ClusterTest(tf.test.TestCase, parameterized.TestCase):
    def test_inertia_falls_to_the_blobs_own_variance(self):
        calls = []
        clusters = (2, 4, 6, 8)
        found = statistics.inertia_curve(
            _blobs(6), clusters, on_progress=lambda *done: calls.append(done)
        )
        self.assertAllLess(np.diff(found), 0.0)
        self.assertAllClose(found[2], 1.0, atol=0.1)  # One cluster a blob.
        self.assertGreater(found[1], 1000.0)
        self.assertEqual(calls, [(1, 4), (2, 4), (3, 4), (4, 4)])

    def test_more_clusters_than_points(self):
        with self.assertRaisesRegex(files.UserError, "at most 30 clusters, .* 31"):
            statistics.inertia_curve(_normal(30, 2), (2, 31))

    @parameterized.parameters((12.0, 30.0), (16.0, 10.0))
    def test_tsne_keeps_blobs_apart(self, exaggeration, perplexity):
        points = _blobs(3, each=40)
        placed = statistics.tsne(points, exaggeration, perplexity, 300)
        self.assertEqual(placed.shape, (120, 2))
        middles = placed.reshape(3, 40, 2).mean(axis=1)
        nearest = np.linalg.norm(placed[:, None] - middles, axis=2).argmin(axis=1)
        self.assertAllEqual(nearest, np.repeat(np.arange(3), 40))

    def test_perplexity_of_too_few_points(self):
        with self.assertRaisesRegex(files.UserError, "perplexity below 30, .* 30"):
            statistics.tsne(_normal(30, 2))

    @parameterized.parameters(2.0**-100, 2.0**100)
    def test_tsne_takes_points_of_any_size(self, size):
        points = _normal(12, 3)
        placed = statistics.tsne(size * points, perplexity=4.0, iterations=250)
        expected = statistics.tsne(points, perplexity=4.0, iterations=250)
        self.assertAllEqual(placed, expected)

    def test_tsne_places_equal_points_at_one_place(self):
        self.assertAllEqual(statistics.tsne(np.full([40, 3], 7.5)), np.zeros([40, 2]))

    def test_tsne_refuses_points_that_are_not_finite(self):
        points = _normal(40, 3)
        points[7, 1] = np.nan
        with self.assertRaisesRegex(files.UserError, "Expected finite latent points"):
            statistics.tsne(points)


if __name__ == "__main__":
    tf.test.main()
