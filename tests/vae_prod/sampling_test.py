import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod import sampling


def _uniform(seeds, z_dim):
    return sampling.uniform(seeds, z_dim, 2.0)


class DrawTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(sampling.prior, _uniform)
    def test_each_draw_is_a_function_of_its_seed_alone(self, draw):
        together = draw(tf.constant([3, 4, 5, 3], tf.int64), 8)
        alone = draw(tf.constant([5], tf.int64), 8)
        self.assertAllEqual(together[2], alone[0])
        self.assertAllEqual(together[0], together[3])
        self.assertNotAllClose(together[0], together[1])

    @parameterized.parameters(sampling.prior, _uniform)
    def test_no_seeds_no_draws(self, draw):
        self.assertAllEqual(draw(tf.zeros([0], tf.int64), 8).shape, [0, 8])

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


class InterpolateTest(tf.test.TestCase):
    def test_goes_straight_from_end_to_end(self):
        start, end = tf.constant([[0.0, 0.0]]), tf.constant([[2.0, -4.0]])
        path = sampling.interpolate(start, end, 3)
        self.assertAllClose(path, [[[0.0, 0.0], [1.0, -2.0], [2.0, -4.0]]])


if __name__ == "__main__":
    tf.test.main()
