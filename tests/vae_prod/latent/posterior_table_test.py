import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.latent import posterior_table


def _table(z_mean, z_log_var, z, batch_size=100) -> posterior_table.Table:
    posteriors = posterior_table.Posteriors()
    for start in range(0, len(z), batch_size):
        part = slice(start, start + batch_size)
        log_var = None if z_log_var is None else z_log_var[part]
        posteriors.add(z_mean[part], log_var, z[part])
    return posteriors.result()


class PosteriorTableTest(tf.test.TestCase, parameterized.TestCase):
    def test_two_images_by_hand(self):
        z_mean = np.float32([[3.0, 4.0], [0.0, 1.0]])  # |z_mean| is 5 and 1.
        z = np.float32([[3.0, 4.0], [0.0, 1.25]])  # |z| is 5 and 1.25.
        z_log_var = np.float32([[-6.0, -2.0], [-1.0, 1.0]])
        table = _table(z_mean, z_log_var, z)
        extent = posterior_table.Extent
        self.assertEqual((table.num_images, table.z_dim, table.far), (2, 2, 1))
        self.assertEqual(table.z_log_var, extent(-2.0, -6.0, 1.0))
        self.assertEqual(table.shift, extent(0.0625, 0.0, 0.25))
        self.assertEqual(table.radius, extent(3.125, 1.25, 5.0))
        self.assertEqual(table.mean_radius, extent(3.0, 1.0, 5.0))
        self.assertEqual(table.difference, extent(0.125, 0.0, 0.25))
        self.assertEqual(table.relative_difference, extent(0.1, 0.0, 0.2))

    @parameterized.parameters(1, 7)
    def test_whatever_the_batches(self, batch_size):
        random = np.random.default_rng(0)
        z_mean, z_log_var, z = random.normal(size=(3, 20, 5)).astype(np.float32)
        expected = _table(z_mean, z_log_var, z)
        measured = _table(z_mean, z_log_var, z, batch_size)
        self.assertEqual(measured.far, expected.far)
        self.assertGreater(measured.far, 90)
        for name in ("z_log_var", "shift", "radius", "relative_difference"):
            one, two = (getattr(each, name) for each in (measured, expected))
            self.assertAllClose(one.mean, two.mean, rtol=1e-12)
            self.assertEqual(one.largest, two.largest)
            self.assertEqual(one.smallest, two.smallest)

    def test_an_autoencoder_has_no_distance(self):
        z_mean = np.float32([[0.0, 0.0], [3.0, 4.0]])
        table = _table(z_mean, None, z_mean)
        self.assertIsNone(table.z_log_var)
        self.assertEqual(table.far, 0)
        self.assertEqual(table.relative_difference, posterior_table.Extent(0, 0, 0))
        self.assertEqual(table.radius, posterior_table.Extent(2.5, 0.0, 5.0))


if __name__ == "__main__":
    tf.test.main()
