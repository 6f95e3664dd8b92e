import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from vae_prod.latent import sampling
from vae_prod.model.kernels import ops


def _uniform(seeds, z_dim):
    return sampling.uniform(seeds, z_dim, 2.0)


def _truncated(seeds, z_dim):
    return sampling.truncated(seeds, z_dim, 1.0)


class DrawTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(sampling.prior, _uniform, _truncated)
    def test_each_draw_is_a_function_of_its_seed_alone(self, draw):
        # 37 coordinates: TensorFlow rounds the last of a row, beyond whole registers,
        # in another way.
        together = draw(tf.constant([3, 4, 5, 3], tf.int64), 37)
        alone = draw(tf.constant([5], tf.int64), 37)
        self.assertAllEqual(together[2], alone[0])
        self.assertAllEqual(together[0], together[3])
        self.assertNotAllClose(together[0], together[1])

    @parameterized.parameters(sampling.prior, _uniform, _truncated)
    def test_no_seeds_no_draws(self, draw):
        self.assertAllEqual(draw(tf.zeros([0], tf.int64), 8).shape, [0, 8])

    @parameterized.parameters(sampling.prior, _uniform, _truncated)
    def test_graphs_draw_the_same(self, draw):
        seeds = tf.constant([3, 4], tf.int64)
        signature = [tf.TensorSpec([None], tf.int64)]
        inside = tf.function(lambda s: draw(s, 8), input_signature=signature)
        self.assertAllEqual(inside(seeds), draw(seeds, 8))

    def test_prior_is_the_noise_of_its_seed(self):
        # What was drawn once is drawn for ever: pictures are made again by their seed.
        noise = ops.limited_normal([8], tf.constant([7, 101], tf.int64), 0.0)
        self.assertAllEqual(sampling.prior(np.array([7]), 8)[0], noise)

    def test_prior_is_standard_normal(self):
        z = sampling.prior(tf.range(500), 200).numpy()
        # Four standard errors over 100,000 coordinates.
        self.assertAllClose(z.mean(), 0.0, atol=4 / np.sqrt(1e5))
        self.assertAllClose(z.std(), 1.0, atol=4 / np.sqrt(2e5))
        radius = np.linalg.norm(z, axis=1).mean()
        self.assertAllClose(radius, np.sqrt(200), atol=0.2)

    def test_uniform_fills_its_box(self):
        z = sampling.uniform(tf.range(500), 200, 2.0).numpy()
        self.assertBetween(z.min(), -2.0, -1.99)
        self.assertBetween(z.max(), 1.99, 2.0)
        self.assertAllClose(z.std(), 2 / np.sqrt(3), atol=0.01)

    @parameterized.parameters(0.5, 1.0, 3.0)
    def test_truncated_is_the_normal_of_its_interval(self, limit):
        z = sampling.truncated(tf.range(500), 200, limit).numpy()
        self.assertLessEqual(np.abs(z).max(), limit)
        expected = stats.truncnorm(-limit, limit)
        for quantile in (0.05, 0.25, 0.5, 0.9):
            share = np.mean(z < expected.ppf(quantile))
            self.assertAllClose(share, quantile, atol=0.006)

    def test_truncated_is_near_the_prior_of_the_same_seed(self):
        # What is given up is of the tails' rounding.
        seeds = tf.range(20)
        far = sampling.truncated(seeds, 50, 8.0)
        self.assertAllClose(far, sampling.prior(seeds, 50), atol=1e-2)


class PosteriorTest(tf.test.TestCase):
    def test_has_the_posterior_s_moments(self):
        z_mean = np.tile(np.float32([1.0, -2.0]), (4000, 1))
        z_log_var = np.tile(np.float32([0.0, -4.0]), (4000, 1))
        z = sampling.posterior(np.arange(4000), z_mean, z_log_var)
        self.assertAllClose(z.mean(axis=0), [1.0, -2.0], atol=0.06)
        self.assertAllClose(z.std(axis=0), np.exp([0.0, -2.0]), rtol=0.05)
        other = sampling.prior(np.arange(4000), 2)
        self.assertLess(abs(np.corrcoef(z[:, 0], other[:, 0])[0, 1]), 0.06)

    def test_noise_is_limited(self):
        zeros = np.zeros((300, 20), np.float32)
        z = sampling.posterior(np.arange(300), zeros, zeros, limit=1.5)
        self.assertEqual(np.abs(z).max(), 1.5)


class PlaneTest(tf.test.TestCase):
    def test_rows_go_down_the_picture(self):
        z = sampling.plane(np.array([0, 1, 2]), np.array([10, 20]))
        expected = [[0, 20], [1, 20], [2, 20], [0, 10], [1, 10], [2, 10]]
        self.assertAllEqual(z, expected)
        self.assertEqual(z.dtype, np.float32)

    def test_quantiles_part_the_normal_evenly(self):
        values = sampling.normal_quantiles(5, outside=0.1)
        self.assertAllClose(stats.norm.cdf(values), [0.1, 0.3, 0.5, 0.7, 0.9])


class InterpolateTest(tf.test.TestCase):
    def test_goes_straight_from_end_to_end(self):
        start, end = tf.constant([[0.0, 0.0]]), tf.constant([[2.0, -4.0]])
        path = sampling.interpolate(start, end, 3)
        self.assertAllClose(path, [[[0.0, 0.0], [1.0, -2.0], [2.0, -4.0]]])


if __name__ == "__main__":
    tf.test.main()
