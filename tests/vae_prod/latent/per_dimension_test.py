import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.latent import per_dimension


def _dimensions(z_mean, z_log_var, batch_size=100) -> per_dimension.Dimensions:
    moments = per_dimension.Moments()
    for start in range(0, len(z_mean), batch_size):
        part = slice(start, start + batch_size)
        moments.add(z_mean[part], None if z_log_var is None else z_log_var[part])
    return moments.result()


class DimensionsTest(tf.test.TestCase, parameterized.TestCase):
    def test_gaussians_of_known_kl(self):
        # KL of N(m, s^2) from N(0, 1) is (m^2 + s^2 - 1) / 2 - log s.
        z_mean = np.float32([[0.0, 1.0, -2.0], [0.0, 1.0, 2.0]])
        deviation = np.float32([[1.0, 1.0, 0.5], [1.0, 2.0, 0.5]])
        measured = _dimensions(z_mean, 2 * np.log(deviation))
        second = ((1 + 1 - 1) / 2 + (1 + 4 - 1) / 2 - np.log(2)) / 2
        third = (4 + 0.25 - 1) / 2 - np.log(0.5)
        self.assertAllClose(measured.kl, [0.0, second, third])

    @parameterized.parameters(1, 3)
    def test_moments_are_those_of_draws(self, batch_size):
        random = np.random.default_rng(0)
        z_mean, log_var = random.normal(size=(2, 10, 4)).astype(np.float32)
        measured = _dimensions(z_mean, log_var, batch_size)
        noise = random.normal(size=(20_000, 10, 4))
        draws = (z_mean + np.exp(log_var / 2) * noise).reshape(-1, 4)
        # Four standard errors of 200,000 draws of deviations below 2.
        self.assertAllClose(measured.mean, draws.mean(axis=0), atol=0.02)
        self.assertAllClose(measured.deviation, draws.std(axis=0), rtol=0.02)
        share = np.exp(log_var).mean(0).sum() / np.square(measured.deviation).sum()
        self.assertAllClose(measured.noise_share, share, rtol=1e-6)

    def test_active_units_of_a_constructed_encoder(self):
        # Variances of 0.04 and 0.0025 over the images; the third has only noise.
        signs = np.float32([[-1.0], [1.0]]).repeat(3, axis=1)
        z_mean = signs * np.float32([0.2, 0.05, 0.0])
        measured = _dimensions(z_mean, np.float32([[0, 0, 3.0]] * 2))
        self.assertAllClose(measured.spread, [0.04, 0.0025, 0.0])
        self.assertEqual(measured.active_units, 1)

    def test_an_autoencoder_has_no_kl_and_no_noise(self):
        measured = _dimensions(np.float32([[1.0, 2.0], [3.0, 2.0]]), None)
        self.assertAllEqual(measured.kl, [0.0, 0.0])
        self.assertAllEqual(measured.deviation, [1.0, 0.0])
        self.assertEqual(measured.noise_share, 0.0)


if __name__ == "__main__":
    tf.test.main()
