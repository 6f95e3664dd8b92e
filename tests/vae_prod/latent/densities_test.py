import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from pipelines import files
from vae_prod.latent import densities
from vae_prod.latent import fitted as fitted_lib

_MEAN = np.array([1.0, -2.0, 0.5])
_COVARIANCE = np.array([[2.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]])


def _normal(num: int = 20_000) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.multivariate_normal(_MEAN, _COVARIANCE, num).astype(np.float32)


def _blobs(num: int = 3000) -> np.ndarray:
    """Return three quarters of the points around -5, a quarter around 5."""
    random = np.random.default_rng(0)
    centres = np.where(np.arange(num) % 4 == 0, 5.0, -5.0)[:, None]
    return (centres + random.normal(size=(num, 2))).astype(np.float32)


def _mixture(covariance: str = "full", **settings) -> densities.Density:
    settings = {"components": 2, "covariance": covariance, **settings}
    return densities.fit_mixture(_blobs(), **settings)


class GaussianTest(tf.test.TestCase):
    def test_recovers_mean_and_covariance(self):
        points = _normal()
        fitted = densities.fit_gaussian(points)
        covariance = fitted.factors[0] @ fitted.factors[0].T
        exact = points.astype(np.float64)
        self.assertAllClose(fitted.means[0], exact.mean(axis=0), atol=1e-9)
        self.assertAllClose(covariance, np.cov(exact.T, bias=True), rtol=1e-5)
        self.assertAllClose(covariance, _COVARIANCE, atol=0.05)
        self.assertEqual(fitted.made, {"kind": "gaussian", "num_points": 20_000})

    def test_draws_have_its_moments(self):
        fitted = densities.fit_gaussian(_normal())
        drawn = fitted.sample(tf.range(20_000)).numpy()
        self.assertEqual(drawn.dtype, np.float32)
        self.assertAllClose(drawn.mean(axis=0), _MEAN, atol=0.05)
        self.assertAllClose(np.cov(drawn.T), _COVARIANCE, atol=0.06)

    def test_posteriors_add_their_variance(self):
        z_mean = _normal(1000)
        z_log_var = np.log(np.tile([0.5, 1.0, 2.0], (1000, 1)))
        without, fitted = (
            densities.fit_gaussian(z_mean, each) for each in (None, z_log_var)
        )
        covariances = [d.factors[0] @ d.factors[0].T for d in (without, fitted)]
        difference = covariances[1] - covariances[0]
        self.assertAllClose(difference, np.diag([0.5, 1.0, 2.0]), atol=1e-5)

    def test_log_prob_against_the_closed_form(self):
        fitted = densities.fit_gaussian(_normal())
        covariance = fitted.factors[0] @ fitted.factors[0].T
        z = np.random.default_rng(1).normal(size=(50, 3))
        expected = stats.multivariate_normal(fitted.means[0], covariance).logpdf(z)
        self.assertAllClose(fitted.log_prob(z), expected, rtol=1e-9)

    def test_fewer_points_than_dimensions(self):
        points = np.random.default_rng(0).normal(size=(5, 40))
        fitted = densities.fit_gaussian(points)
        self.assertTrue(np.isfinite(fitted.log_prob(points)).all())
        # Draws stay in the points' subspace.
        drawn = fitted.sample(tf.range(100)).numpy() - points.mean(axis=0)
        basis = np.linalg.svd(points - points.mean(axis=0))[2][:4]
        outside = drawn - drawn @ basis.T @ basis
        self.assertLess(np.abs(outside).max(), 0.01)

    def test_points_that_are_all_the_same(self):
        for points in (np.zeros((0, 3)), np.ones((1, 3)), np.ones((9, 3))):
            with self.assertRaisesRegex(files.UserError, "images that differ"):
                densities.fit_gaussian(points)


class MixtureTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("full", "tied", "diag", "spherical", "auto")
    def test_recovers_separate_blobs(self, covariance):
        fitted = _mixture(covariance)
        order = np.argsort(fitted.means[:, 0])
        self.assertAllClose(fitted.weights[order], [0.75, 0.25], atol=0.01)
        self.assertAllClose(fitted.means[order], [[-5, -5], [5, 5]], atol=0.15)
        for factor in fitted.factors:
            self.assertAllClose(factor @ factor.T, np.eye(2), atol=0.15)
        drawn = fitted.sample(tf.range(4000)).numpy()
        self.assertAllClose(np.mean(drawn[:, 0] > 0), 0.25, atol=0.03)
        for side in (drawn[drawn[:, 0] > 0], -drawn[drawn[:, 0] < 0]):
            self.assertAllClose(side.mean(axis=0), [5, 5], atol=0.15)
            self.assertAllClose(side.std(axis=0), [1, 1], atol=0.1)

    def test_log_prob_against_the_closed_form(self):
        fitted = _mixture()
        z = np.random.default_rng(1).normal(size=(50, 2)) * 5
        expected = sum(
            weight * stats.multivariate_normal(mean, factor @ factor.T).pdf(z)
            for weight, mean, factor in zip(
                fitted.weights, fitted.means, fitted.factors, strict=True
            )
        )
        self.assertAllClose(np.exp(fitted.log_prob(z)), expected, rtol=1e-6)

    def test_each_draw_is_a_function_of_its_seed_alone(self):
        fitted = _mixture()
        seeds = tf.constant([3, 4, 5, 3], tf.int64)
        together = fitted.sample(seeds)
        self.assertAllEqual(together[2], fitted.sample(seeds[2:3])[0])
        self.assertAllEqual(together[0], together[3])
        self.assertNotAllClose(together[0], together[1])
        signature = [tf.TensorSpec([None], tf.int64)]
        inside = tf.function(fitted.sample, input_signature=signature)
        self.assertAllEqual(inside(seeds), together)
        self.assertAllEqual(inside(seeds[:0]).shape, [0, 2])
        compiled = tf.function(fitted.sample, jit_compile=True)
        # XLA rounds products otherwise.
        self.assertAllClose(compiled(tf.range(40)), fitted.sample(tf.range(40)))

    def test_posteriors_widen_it(self):
        z_mean = _blobs()
        z_log_var = np.full_like(z_mean, np.log(3.0))
        fitted = densities.fit_mixture(z_mean, z_log_var, components=2)
        for factor in fitted.factors:
            self.assertAllClose(factor @ factor.T, 4 * np.eye(2), atol=0.6)

    def test_takes_every_seed(self):
        made = [
            densities.draw_points(np.zeros([4, 2]), np.zeros([4, 2]), 4, seed)
            for seed in (2**31 - 1, 2**31, 2**32 - 1)
        ]
        self.assertNotAllClose(made[0], made[1])
        self.assertNotAllClose(made[1], made[2])

    def test_says_how_it_was_made(self):
        made = _mixture("auto", num_points=15, seed=3, made={"model": "m"}).made
        expected = {
            "model": "m",
            "kind": "mixture",
            "num_points": 15,
            "components": 2,
            "covariance": "tied",  # 15 points are too few for two full ones.
            "seed": 3,
            "converged": True,
        }
        self.assertEqual(made, expected)
        self.assertEqual(_mixture("auto", num_points=20).made["covariance"], "full")

    @parameterized.parameters(0, 4000)
    def test_more_components_than_points(self, components):
        with self.assertRaisesRegex(files.UserError, "from 1 to 3000 components"):
            _mixture(components=components)


class FileTest(tf.test.TestCase):
    def test_round_trip(self):
        fitted = _mixture(made={"split": "train"})
        path = fitted_lib.folder(self.create_tempdir().full_path, "mixture")
        fitted.save(path)
        loaded = fitted_lib.load(path, "mixture", "")
        seeds = tf.range(9)
        self.assertAllEqual(loaded.sample(seeds), fitted.sample(seeds))
        self.assertEqual(loaded.made, fitted.made)
        with self.assertRaisesRegex(files.UserError, "found none. Fit one."):
            fitted_lib.load(os.path.join(path, "other"), "mixture", "Fit one.")


if __name__ == "__main__":
    tf.test.main()
