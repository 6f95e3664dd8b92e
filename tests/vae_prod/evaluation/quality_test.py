import math

import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.evaluation import quality, resampling, wasserstein
from vae_prod.evaluation import subject as subject_lib
from vae_prod.latent import sampling
from vae_prod.model import likelihoods
from vae_prod.model.kernels import ops
from vae_prod.optim import adam as adam_lib


def _batches(images: np.ndarray, size: int, **more) -> list[dict]:
    data = {"image": images, **more}
    return [
        {name: tf.constant(values[i : i + size]) for name, values in data.items()}
        for i in range(0, len(images), size)
    ]


def _moved(**changes):
    """Return a model whose posterior is neither the prior nor a point."""
    model = tiny.model(**changes)
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.2 * random.normal(size=weight.shape))
    return model


def _evaluate(model, batches, **settings) -> quality.Quality:
    """Evaluate a model in memory."""
    subject = subject_lib.Subject.from_model(model)
    return quality.evaluate_quality(subject, batches, **settings)


class _Encoder:
    """Gives images their posteriors by the grey level of their first pixel."""

    def __init__(self, z_mean, z_log_var):
        self.tables = {"z_mean": z_mean, "z_log_var": z_log_var}

    def __call__(self, images, training):
        del training
        numbers = tf.cast(tf.round(images[:, 0, 0, 0] * 255), tf.int32)
        return {name: tf.gather(rows, numbers) for name, rows in self.tables.items()}


def _numbered(num: int) -> np.ndarray:
    images = tiny.images(num)
    images[:, 0, 0, 0] = np.arange(num)
    return images


def _with_posteriors(model, z_mean, z_log_var):
    model.encoder = _Encoder(z_mean.astype("f4"), z_log_var.astype("f4"))
    return model


class EvaluateQualityTest(tf.test.TestCase, parameterized.TestCase):
    def assert_same_quality(self, first, second):
        first, second = (
            {name: -1.0 if value is None else value for name, value in fields.items()}
            for fields in (attrs.asdict(first), attrs.asdict(second))
        )
        # Which of near neighbours is nearer can turn with the last bit.
        del first["judged"], second["judged"]
        self.assertAllClose(first, second, rtol=1e-4, atol=1e-4)

    @parameterized.parameters(1, 4, 7)
    def test_batches_of_any_size_give_the_same(self, size):
        model, images = _moved(batch_norm=False), tiny.images(10)
        settings = {"distance_images": 7, "importance_samples": 2}
        expected = _evaluate(model, _batches(images, 10), **settings)
        measured = _evaluate(model, _batches(images, size), **settings)
        self.assertEqual(measured.num_images, 10)
        self.assertEqual(measured.distance_images, 7)
        self.assert_same_quality(measured, expected)

    def test_seed_decides_what_is_random(self):
        model, batches = _moved(), _batches(tiny.images(10), 4)
        first = _evaluate(model, batches, seed=3)
        self.assertEqual(_evaluate(model, batches, seed=3), first)
        other = _evaluate(model, batches, seed=2**40)
        self.assertNotEqual(other.elbo.value, first.elbo.value)
        self.assertNotEqual(other.sample_distance, first.sample_distance)
        self.assertEqual(other.psnr.value, first.psnr.value)

    @parameterized.parameters(
        *((name, "vae") for name in config_lib.LIKELIHOODS),
        ("continuous_bernoulli", "ae"),
    )
    def test_figures_against_their_definitions(self, likelihood, mode):
        model = _moved(reconstruction=likelihood, mode=mode)
        elbo = model.config.has_elbo
        bits = elbo and model.config.likelihood.is_density
        images = tiny.images(8)
        measured = _evaluate(model, _batches(images, 4), importance_samples=3)
        posterior = model.encoder(ops.scale_images(tf.constant(images)))
        z_mean, shift, kl = posterior["z_mean"], 0.0, 0.0
        if mode == "vae":
            # The stream of the latent noise is the first one of seed 1.
            noise = sampling.prior(4 * 2**40 + np.arange(8), 3).numpy()
            shift = tf.exp(posterior["z_log_var"] / 2) * noise
            kl = ops.diagonal_gaussian_kl(z_mean, posterior["z_log_var"])
            kl = np.sum(kl, axis=1).mean()
        nats = np.mean(
            likelihoods.reconstruction_nats(
                model.config,
                model.decoder(z_mean + shift),
                images,
                lambda _: model.variance,
            )
        )
        errors = tf.sigmoid(model.decoder(z_mean)) - images / np.float32(255)
        psnr = -10 * np.log10(np.mean(np.square(errors), axis=(1, 2, 3))).mean()
        self.assertAllClose(measured.reconstruction_nats.value, nats, rtol=1e-5)
        self.assertAllClose(measured.kl.value, kl, atol=1e-5)
        self.assertAllClose(measured.psnr.value, psnr, rtol=1e-5)
        self.assertAllClose(
            measured.radius.value, np.linalg.norm(z_mean, axis=1).mean()
        )
        sampled = np.linalg.norm(z_mean + shift, axis=1)
        self.assertAllClose(measured.sampled_radius.value, sampled.mean())
        # Of eight images, drawn anew by the counts of seed 1.
        counts = resampling.counts(1, resampling.REAL, 0, 8)
        drawn = (sampled @ counts) / np.maximum(counts.sum(axis=0), 1.0)
        drawn[counts.sum(axis=0) == 0] = sampled.mean()
        self.assertAllClose(measured.sampled_radius.replicates, drawn)
        self.assertEqual(measured.elbo is not None, elbo)
        self.assertEqual(measured.importance_bound is not None, elbo)
        self.assertEqual(measured.bits_per_dim is not None, bits)
        if elbo:
            self.assertAllClose(measured.elbo.value, -nats - kl, rtol=1e-5)
        if bits:
            expected = (nats + kl) / (192 * math.log(2)) + 8
            self.assertAllClose(measured.bits_per_dim.value, expected, rtol=1e-5)

    def test_no_bound_unless_asked_for(self):
        measured = _evaluate(tiny.model(), _batches(tiny.images(8), 4))
        self.assertIsNone(measured.importance_bound)

    def test_bound_is_above_the_elbo(self):
        # A wide posterior, so that the bound is far from tight at K = 1.
        z_mean, z_log_var = np.ones((20, 3)), np.ones((20, 3))
        model = _with_posteriors(tiny.model(), z_mean, z_log_var)
        batches = _batches(_numbered(20), 8)
        measured = _evaluate(model, batches, importance_samples=20)
        self.assertGreater(measured.importance_bound.value, measured.elbo.value + 1.0)

    def test_active_units_of_known_posteriors(self):
        # The first two of four dimensions differ between images, the third too little,
        # the fourth not at all, whatever its noise.
        random = np.random.default_rng(0)
        z_mean = random.normal(size=(30, 4)) * [1.0, 0.2, 0.05, 0.0] + [0, 0, 0, 3]
        z_log_var = np.tile([0.0, 0.0, 0.0, 5.0], (30, 1))
        model = _with_posteriors(tiny.model(z_dim=4), z_mean, z_log_var)
        measured = _evaluate(model, _batches(_numbered(30), 7))
        self.assertEqual((measured.active_units.value, measured.z_dim), (2, 4))
        self.assertEqual(measured.prior_radius, 2.0)
        expected = np.linalg.norm(z_mean, axis=1).mean()
        self.assertAllClose(measured.radius.value, expected, rtol=1e-5)

    def test_perfect_reconstructions(self):
        # The decoder's images are the data, rounded to grey levels.
        model = tiny.model()
        z = np.random.default_rng(0).normal(size=(12, 3)).astype("f4")
        images = tf.sigmoid(model.decoder(z)).numpy()
        images = np.rint(images * 255).astype(np.uint8)
        images[:, 0, 0, 0] = np.arange(12)
        model = _with_posteriors(model, z, np.zeros_like(z))
        measured = _evaluate(model, _batches(images, 5))
        self.assertLess(
            measured.reconstruction_distance.mean.value,
            measured.sample_distance.mean.value,
        )
        other = _evaluate(model, _batches(_numbered(12), 5))
        self.assertLess(
            measured.reconstruction_distance.mean.value,
            other.reconstruction_distance.mean.value,
        )
        self.assertGreater(measured.psnr.value, other.psnr.value + 5)

    def test_clean_targets_are_what_counts(self):
        model, images = tiny.model(), tiny.images(8)
        noisy = tiny.images(8, seed=1)
        same = _evaluate(model, _batches(noisy, 4, target=noisy))
        self.assert_same_quality(_evaluate(model, _batches(noisy, 4)), same)
        measured = _evaluate(model, _batches(noisy, 4, target=images))
        self.assertNotEqual(measured.psnr.value, same.psnr.value)
        self.assertNotEqual(measured.sample_distance, same.sample_distance)
        self.assertEqual(measured.kl.value, same.kl.value)

    def test_float_images(self):
        model, images = tiny.model(), tiny.images(8)
        scaled = images.astype(np.float32) / 255
        expected = _evaluate(model, _batches(images, 4))
        measured = _evaluate(model, _batches(scaled, 4))
        self.assert_same_quality(measured, expected)

    def test_weights_are_those_of_the_moment(self):
        model = tiny.model(batch_norm=False)
        model.compile(adam_lib.Adam(0.1, ema=0.9))
        model.optimizer.build(model.trainable_variables)
        for average in model.optimizer.averages:
            average.assign(0.9 * average + 0.1)
        trained, batches = model.get_weights(), _batches(tiny.images(8), 8)
        with adam_lib.averaged(model):
            measured = _evaluate(model, batches)
            copy = tiny.model(batch_norm=False)
            copy.set_weights(model.get_weights())
        self.assert_same_quality(_evaluate(copy, batches), measured)
        copy.set_weights(trained)
        self.assertNotEqual(_evaluate(copy, batches).psnr.value, measured.psnr.value)

    def test_low_precision_and_models_never_compiled(self):
        model, batches = tiny.model(batch_norm=False), _batches(tiny.images(8), 4)
        expected = _evaluate(model, batches)
        low = _evaluate(model.with_precision("mixed_bfloat16"), batches)
        # Maps of bfloat16 have 8 bits.
        self.assertAllClose(low.elbo.value, expected.elbo.value, rtol=1e-2)
        self.assertAllClose(low.psnr.value, expected.psnr.value, rtol=1e-2)

    def test_no_images(self):
        with self.assertRaisesRegex(files.UserError, "Expected held-out images"):
            _evaluate(tiny.model(), [])


def _estimate(value: float) -> resampling.Estimate:
    """Return a figure that other images don't change."""
    return resampling.Estimate(value, np.full(resampling.REPLICATES, value))


class DistanceTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1.0, 90.0), (0.5, 70.0))
    def test_are_weighted_sums(self, weight, expected):
        keras.utils.set_random_seed(0)
        measured = attrs.evolve(
            _evaluate(tiny.model(), _batches(tiny.images(8), 8)),
            sample_distance=wasserstein.Distance({8: _estimate(50.0)}),
            reconstruction_distance=wasserstein.Distance({8: _estimate(40.0)}),
        )
        self.assertEqual(measured.distance(weight), _estimate(expected))
        judged = measured.judged
        total = judged.fid.value + weight * judged.reconstruction_fid.value
        self.assertAllClose(measured.frechet(weight).value, total)


if __name__ == "__main__":
    tf.test.main()
