import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from pipelines import files
from vae_prod.latent import fitted as fitted_lib
from vae_prod.latent import second_stage, second_stage_training


def _ring(num: int = 2048) -> np.ndarray:
    """Return points near a circle of radius 4 about (10, 0); no Gaussian fits them."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, num)
    circle = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (circle + [10, 0] + 0.1 * rng.normal(size=(num, 2))).astype(np.float32)


def _by_hand(z_dim: int = 2, sigma: float = 0.5) -> second_stage.SecondStage:
    """Return one whose networks are linear: z = 10 + 2 (u + sigma epsilon)."""
    eye, zeros = np.eye(z_dim, dtype=np.float32), np.zeros(z_dim, np.float32)
    nothing = [np.zeros([z_dim, 1], np.float32), np.zeros(1, np.float32)]
    kernel = np.concatenate([eye, np.zeros([1, z_dim], np.float32)])
    # The posterior of u, given z standardised to variance 1 + sigma^2.
    gain = np.float32(1 / (1 + sigma**2))
    log_var = np.full(z_dim, np.log(sigma**2 * gain), np.float32)
    encoder = np.concatenate([kernel * gain, np.zeros_like(kernel)], axis=1)
    return second_stage.SecondStage(
        np.full(z_dim, 10, np.float32),
        np.full(z_dim, 2, np.float32),
        np.float32(np.log(sigma)),
        (*nothing, encoder, np.concatenate([zeros, log_var])),
        (*nothing, kernel, zeros),
    )


class SecondStageTest(tf.test.TestCase):
    def test_bound_is_the_density_where_the_posterior_is_exact(self):
        z = np.array([[10.0, 10.0], [12.0, 9.0], [4.0, 15.0]])
        deviation = 2 * np.sqrt(1.25)
        expected = stats.norm.logpdf(z, 10, deviation).sum(axis=1)
        self.assertAllClose(_by_hand().log_prob(z), expected, rtol=1e-5)

    def test_models_of_several_sizes_in_one_process(self):
        for z_dim in (2, 3, 5):
            z = np.full([4, z_dim], 10.0)
            deviation = 2 * np.sqrt(1.25)
            expected = stats.norm.logpdf(z, 10, deviation).sum(axis=1)
            bounds = _by_hand(z_dim=z_dim).log_prob(z)
            self.assertAllClose(bounds, expected, rtol=1e-5)

    def test_draws_have_the_moments_of_the_model(self):
        z = _by_hand().sample(np.arange(4000)).numpy()
        self.assertAllClose(z.mean(axis=0), [10, 10], atol=0.15)
        covariance = np.diag([5.0, 5.0])  # 2^2 (1 + 1/2^2)
        self.assertAllClose(np.cov(z.T), covariance, atol=0.4)

    def test_a_draw_is_its_seeds_alone_and_temperature_moves_it_to_the_middle(self):
        model = _by_hand()
        z = model.sample(np.arange(5))
        self.assertAllEqual(model.sample([3])[0], z[3])
        arrays = model.arrays()
        seed = tf.constant(3, tf.int64)
        self.assertAllClose(model.draw(seed, arrays, 0.0), [10, 10])
        half = model.draw(seed, arrays, 0.5)
        self.assertAllClose(half - 10, (z[3] - 10) / 2, rtol=1e-5)

    def test_round_trip(self):
        model = second_stage_training.fit(
            _ring(64), units=3, layers=2, epochs=1, made={"split": "train"}
        )
        path = fitted_lib.folder(self.create_tempdir().full_path, "two_stage")
        model.save(path)
        loaded = fitted_lib.load(path, "two_stage", "")
        self.assertAllEqual(loaded.sample(np.arange(3)), model.sample(np.arange(3)))
        self.assertAllEqual(loaded.log_prob(_ring(4)), model.log_prob(_ring(4)))
        self.assertEqual(loaded.made["split"], "train")
        self.assertEqual(loaded.made["epochs"], 1)
        with self.assertRaisesRegex(files.UserError, r"\(mixture\) in .* Fit it."):
            fitted_lib.load(path, "mixture", "Fit it.")

    def test_networks_that_do_not_fit_are_refused(self):
        model = _by_hand()
        kernel, *rest = model.decoder
        for broken in ((kernel.T, *rest), rest, (), (kernel[:1], *rest)):
            with self.assertRaisesRegex(ValueError, "decoder"):
                second_stage.SecondStage(
                    model.mean, model.scale, model.log_sigma, model.encoder, broken
                )


class FitTest(tf.test.TestCase, parameterized.TestCase):
    def test_learns_where_points_are_and_where_none_is(self):
        points = _ring()
        settings = {"units": 64, "layers": 2, "epochs": 40, "learning_rate": 3e-3}
        model = second_stage_training.fit(points, **settings)
        drawn = model.sample(np.arange(300)).numpy() - [10, 0]
        radius = np.linalg.norm(drawn, axis=1)
        # A Gaussian has a third of its points nearer to the middle than half way.
        self.assertLess(np.mean(radius < 2.5), 0.12)
        self.assertAllClose(np.median(radius), 4.0, atol=0.3)
        bound = model.log_prob(_ring(100)).mean()
        gaussian = stats.multivariate_normal(points.mean(axis=0), np.cov(points.T))
        self.assertGreater(bound, gaussian.logpdf(_ring(100)).mean() + 0.5)

    def test_fits_the_posteriors_not_their_means(self):
        z_mean = np.zeros([512, 2], np.float32)
        z_log_var = np.full([512, 2], np.log(9.0), np.float32)
        settings = {"units": 8, "layers": 1, "epochs": 1}
        model = second_stage_training.fit(z_mean, z_log_var, **settings)
        self.assertAllClose(model.scale, [3, 3], rtol=1e-3)

    def test_same_seed_same_bits(self):
        settings = {"units": 4, "layers": 1, "epochs": 2}
        models = [
            second_stage_training.fit(_ring(300), seed=seed, **settings)
            for seed in (1, 1, 2)
        ]
        kernels = [model.decoder[0] for model in models]
        self.assertAllEqual(kernels[0], kernels[1])
        self.assertNotAllClose(kernels[0], kernels[2])

    @parameterized.parameters(([[1.0, 2.0]],), ([[1.0, 2.0]] * 5,))
    def test_points_that_do_not_differ_are_refused(self, points):
        with self.assertRaisesRegex(files.UserError, "Encode more images"):
            second_stage_training.fit(np.array(points, np.float32))

    def test_a_loss_that_is_not_finite_ends_it(self):
        log_var = np.full([8, 2], 200.0, np.float32)
        with self.assertRaisesRegex(
            files.UserError, "stay finite, it didn't in epoch 1"
        ):
            second_stage_training.fit(_ring(8), log_var, units=2, epochs=1)


if __name__ == "__main__":
    tf.test.main()
