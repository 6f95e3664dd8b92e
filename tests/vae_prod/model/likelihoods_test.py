import math
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.model import likelihoods


def _random(seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    targets = rng.uniform(size=logits.shape).astype(np.float32)
    return logits, targets


class ReconstructionTest(tf.test.TestCase, parameterized.TestCase):
    def test_bce(self):
        logits, targets = _random()
        nats = likelihoods.reconstruction_nats(tiny.config(), logits, targets)
        p = 1 / (1 + np.exp(-logits.astype(np.float64)))
        expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
        self.assertAllClose(nats, expected.sum((1, 2, 3)), rtol=1e-5)

    def test_mse(self):
        logits, targets = _random()
        settings = tiny.config(reconstruction="mse")
        nats = likelihoods.reconstruction_nats(settings, logits, targets)
        expected = (1 / (1 + np.exp(-logits)) - targets) ** 2
        self.assertAllClose(nats, expected.sum((1, 2, 3)), rtol=1e-5)

    @parameterized.parameters("gaussian_sigma", "gaussian_learned")
    def test_gaussian(self, reconstruction):
        logits, targets = _random()
        settings = tiny.config(reconstruction=reconstruction)
        nats = likelihoods.reconstruction_nats(
            settings, logits, targets, lambda error: tf.constant(0.3)
        )
        error = (1 / (1 + np.exp(-logits)) - targets) ** 2
        density = np.exp(-error / 0.6) / math.sqrt(2 * math.pi * 0.3)
        self.assertAllClose(nats, -np.log(density).sum((1, 2, 3)), rtol=1e-5)

    def test_gaussian_variance_is_of_the_squared_error(self):
        logits, targets = _random()
        settings = tiny.config(reconstruction="gaussian_sigma")
        nats = likelihoods.reconstruction_nats(
            settings, logits, targets, lambda error: tf.reduce_mean(error) / 192
        )
        variance = np.mean((1 / (1 + np.exp(-logits)) - targets) ** 2)
        # At the optimum, the mean of the squared errors is the variance.
        expected = 96 * (math.log(2 * math.pi * variance) + 1)
        self.assertAllClose(tf.reduce_mean(nats), expected, rtol=1e-5)

    @parameterized.parameters(-8.0, -1.0, -0.09, -1e-4, 0.0, 1e-4, 0.11, 3.0)
    def test_continuous_bernoulli_integrates_to_one(self, logit):
        settings = tiny.config(reconstruction="continuous_bernoulli")
        x = ((np.arange(20_000) + 0.5) / 20_000).reshape(-1, 1, 1, 1)
        nats = likelihoods.reconstruction_nats(
            settings, tf.fill(x.shape, logit), tf.constant(x, tf.float32)
        )
        self.assertAllClose(np.mean(np.exp(-nats.numpy())), 1.0, rtol=1e-5)


class ConventionTest(tf.test.TestCase):
    def test_summed_convention_averages_channels(self):
        settings = tiny.config(fact=5.0)
        self.assertAllClose(likelihoods.training_scale(settings), 1 / 3)
        self.assertAllClose(likelihoods.equivalent_beta(settings), 15.0)

    def test_weighted_convention_averages_elements(self):
        settings = tiny.config(fact=1.0, reconstruction_weight=500.0)
        self.assertAllClose(likelihoods.training_scale(settings), 500 / 192)
        self.assertAllClose(likelihoods.equivalent_beta(settings), 192 / 500)

    def test_a_uniform_density_costs_eight_bits(self):
        settings = tiny.config(reconstruction="continuous_bernoulli")
        logits = tf.zeros([2, 8, 8, 3])
        nats = likelihoods.reconstruction_nats(settings, logits, logits + 0.3)
        self.assertAllClose(nats, [0.0, 0.0], atol=1e-3)
        self.assertAllClose(likelihoods.bits_per_dim(settings, 0.0), 8.0)
        one_bit_more = 192 * math.log(2.0)
        self.assertAllClose(likelihoods.bits_per_dim(settings, one_bit_more), 9.0)


class CompletenessTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_likelihood_of_the_table_is_computed(self):
        self.assertEqual(list(likelihoods.LIKELIHOODS), list(config_lib.LIKELIHOODS))

    @parameterized.parameters(*config_lib.LIKELIHOODS)
    def test_is_per_example(self, reconstruction):
        logits, targets = _random()
        settings = tiny.config(reconstruction=reconstruction)
        together, alone = (
            likelihoods.reconstruction_nats(settings, a, b, lambda _: tf.constant(0.1))
            for a, b in ((logits, targets), (logits[2:3], targets[2:3]))
        )
        self.assertAllClose(together[2:3], alone, rtol=1e-6)

    @parameterized.parameters(*config_lib.LIKELIHOODS)
    def test_a_density_integrates_to_one_and_no_other_does(self, reconstruction):
        settings = tiny.config(reconstruction=reconstruction, image_shape=(8, 8, 1))
        # Of a single pixel; over the unit interval, or over all there is.
        totals = []
        for low, high in ((0, 1), (-3, 4)):
            x = np.linspace(low, high, (high - low) * 10_000 + 1, dtype=np.float32)
            logits = tf.fill([len(x), 1, 1, 1], 0.4)
            with mock.patch.object(likelihoods, "num_elements", return_value=1):
                nats = likelihoods.reconstruction_nats(
                    settings,
                    logits,
                    x.reshape(-1, 1, 1, 1),
                    lambda _: tf.constant(0.05),
                )
            totals.append(np.sum(np.exp(-nats.numpy().astype(np.float64))) * 1e-4)
        integrates = any(abs(total - 1) < 1e-3 for total in totals)
        self.assertEqual(integrates, settings.likelihood.is_density, totals)

    @parameterized.parameters(*config_lib.LIKELIHOODS)
    def test_only_what_has_a_variance_asks_for_it(self, reconstruction):
        logits, targets = _random()
        asked = mock.Mock(return_value=tf.constant(0.1))
        settings = tiny.config(reconstruction=reconstruction)
        likelihoods.reconstruction_nats(settings, logits, targets, asked)
        self.assertEqual(asked.called, settings.likelihood.has_variance)


if __name__ == "__main__":
    tf.test.main()
