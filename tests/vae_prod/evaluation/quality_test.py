import math

import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.evaluation import quality
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


class EvaluateTest(tf.test.TestCase, parameterized.TestCase):
    def assert_same_quality(self, first, second):
        first, second = (
            {name: -1.0 if value is None else value for name, value in fields.items()}
            for fields in (attrs.asdict(first), attrs.asdict(second))
        )
        self.assertAllClose(first, second, rtol=1e-4, atol=1e-4)

    @parameterized.parameters(1, 4, 7)
    def test_batches_of_any_size_give_the_same(self, size):
        model, images = _moved(batch_norm=False), tiny.images(10)
        settings = {"distance_images": 7, "importance_samples": 2}
        expected = quality.evaluate(model, _batches(images, 10), **settings)
        measured = quality.evaluate(model, _batches(images, size), **settings)
        self.assertEqual(measured.num_images, 10)
        self.assertEqual(measured.distance_images, 7)
        self.assert_same_quality(measured, expected)

    def test_seed_decides_what_is_random(self):
        model, batches = _moved(), _batches(tiny.images(10), 4)
        first = quality.evaluate(model, batches, seed=3)
        self.assertEqual(quality.evaluate(model, batches, seed=3), first)
        other = quality.evaluate(model, batches, seed=2**40)
        self.assertNotEqual(other.elbo, first.elbo)
        self.assertNotEqual(other.sample_distance, first.sample_distance)
        self.assertEqual(other.psnr, first.psnr)

    @parameterized.parameters(
        *((name, "vae") for name in config_lib.LIKELIHOODS),
        ("continuous_bernoulli", "ae"),
    )
    def test_figures_against_their_definitions(self, likelihood, mode):
        model = _moved(reconstruction=likelihood, mode=mode)
        elbo = model.config.has_elbo
        bits = elbo and model.config.likelihood.is_density
        images = tiny.images(6)
        measured = quality.evaluate(model, _batches(images, 4), importance_samples=3)
        posterior = model.encoder(ops.scale_images(tf.constant(images)))
        z_mean, shift, kl = posterior["z_mean"], 0.0, 0.0
        if mode == "vae":
            # The stream of the latent noise is the first one of seed 1.
            noise = sampling.prior(4 * 2**40 + np.arange(6), 3).numpy()
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
        self.assertAllClose(measured.reconstruction_nats, nats, rtol=1e-5)
        self.assertAllClose(measured.kl, kl, atol=1e-5)
        self.assertAllClose(measured.psnr, psnr, rtol=1e-5)
        self.assertAllClose(measured.radius, np.linalg.norm(z_mean, axis=1).mean())
        sampled = np.linalg.norm(z_mean + shift, axis=1).mean()
        self.assertAllClose(measured.sampled_radius, sampled)
        self.assertEqual(measured.elbo is not None, elbo)
        self.assertEqual(measured.importance_bound is not None, elbo)
        self.assertEqual(measured.bits_per_dim is not None, bits)
        if elbo:
            self.assertAllClose(measured.elbo, -nats - kl, rtol=1e-5)
        if bits:
            expected = (nats + kl) / (192 * math.log(2)) + 8
            self.assertAllClose(measured.bits_per_dim, expected, rtol=1e-5)

    def test_no_bound_unless_asked_for(self):
        measured = quality.evaluate(tiny.model(), _batches(tiny.images(2), 2))
        self.assertIsNone(measured.importance_bound)

    def test_bound_is_above_the_elbo(self):
        # A wide posterior, so that the bound is far from tight at K = 1.
        z_mean, z_log_var = np.ones((20, 3)), np.ones((20, 3))
        model = _with_posteriors(tiny.model(), z_mean, z_log_var)
        batches = _batches(_numbered(20), 8)
        measured = quality.evaluate(model, batches, importance_samples=20)
        self.assertGreater(measured.importance_bound, measured.elbo + 1.0)

    def test_active_units_of_known_posteriors(self):
        # The first two of four dimensions differ between images, the third too little,
        # the fourth not at all, whatever its noise.
        random = np.random.default_rng(0)
        z_mean = random.normal(size=(30, 4)) * [1.0, 0.2, 0.05, 0.0] + [0, 0, 0, 3]
        z_log_var = np.tile([0.0, 0.0, 0.0, 5.0], (30, 1))
        model = _with_posteriors(tiny.model(z_dim=4), z_mean, z_log_var)
        measured = quality.evaluate(model, _batches(_numbered(30), 7))
        self.assertEqual((measured.active_units, measured.z_dim), (2, 4))
        self.assertEqual(measured.prior_radius, 2.0)
        expected = np.linalg.norm(z_mean, axis=1).mean()
        self.assertAllClose(measured.radius, expected, rtol=1e-5)

    def test_perfect_reconstructions(self):
        # The decoder's images are the data, rounded to grey levels.
        model = tiny.model()
        z = np.random.default_rng(0).normal(size=(12, 3)).astype("f4")
        images = tf.sigmoid(model.decoder(z)).numpy()
        images = np.rint(images * 255).astype(np.uint8)
        images[:, 0, 0, 0] = np.arange(12)
        model = _with_posteriors(model, z, np.zeros_like(z))
        measured = quality.evaluate(model, _batches(images, 5))
        self.assertLess(
            measured.reconstruction_distance.mean, measured.sample_distance.mean
        )
        other = quality.evaluate(model, _batches(_numbered(12), 5))
        self.assertLess(
            measured.reconstruction_distance.mean, other.reconstruction_distance.mean
        )
        self.assertGreater(measured.psnr, other.psnr + 5)

    def test_clean_targets_are_what_counts(self):
        model, images = tiny.model(), tiny.images(6)
        noisy = tiny.images(6, seed=1)
        same = quality.evaluate(model, _batches(noisy, 4, target=noisy))
        self.assert_same_quality(quality.evaluate(model, _batches(noisy, 4)), same)
        measured = quality.evaluate(model, _batches(noisy, 4, target=images))
        self.assertNotEqual(measured.psnr, same.psnr)
        self.assertNotEqual(measured.sample_distance, same.sample_distance)
        self.assertEqual(measured.kl, same.kl)

    def test_float_images(self):
        model, images = tiny.model(), tiny.images(6)
        scaled = images.astype(np.float32) / 255
        expected = quality.evaluate(model, _batches(images, 4))
        measured = quality.evaluate(model, _batches(scaled, 4))
        self.assert_same_quality(measured, expected)

    def test_averaged_weights_are_used_and_put_back(self):
        model = tiny.model(batch_norm=False)
        model.compile(adam_lib.Adam(0.1, ema=0.9))
        model.optimizer.build(model.trainable_variables)
        for average in model.optimizer.averages:
            average.assign(0.9 * average + 0.1)
        own, batches = model.get_weights(), _batches(tiny.images(4), 4)
        measured = quality.evaluate(model, batches)
        self.assertAllEqual(own[0], model.get_weights()[0])
        with adam_lib.averaged(model):
            copy = tiny.model(batch_norm=False)
            copy.set_weights(model.get_weights())
        self.assert_same_quality(quality.evaluate(copy, batches), measured)
        copy.set_weights(own)
        self.assertNotEqual(quality.evaluate(copy, batches).psnr, measured.psnr)

    def test_low_precision_and_models_never_compiled(self):
        model, batches = tiny.model(batch_norm=False), _batches(tiny.images(6), 4)
        expected = quality.evaluate(model, batches)
        low = quality.evaluate(model.with_precision("mixed_bfloat16"), batches)
        # Maps of bfloat16 have 8 bits.
        self.assertAllClose(low.elbo, expected.elbo, rtol=1e-2)
        self.assertAllClose(low.psnr, expected.psnr, rtol=1e-2)

    def test_logits_are_recovered_from_images(self):
        random = np.random.default_rng(0)
        subject, targets = quality.Subject.of(tiny.model()), tiny.images(5)
        # Near 1 float32 has the coarser logits the larger they are.
        for largest, nats in ((6, 1e-4), (12, 0.02)):
            logits = random.uniform(-largest, largest, (5, 8, 8, 3)).astype(np.float32)
            for likelihood in config_lib.LIKELIHOODS:
                config = tiny.config(reconstruction=likelihood)
                codec = attrs.evolve(subject.codec, variance=0.5)
                changed = attrs.evolve(subject, codec=codec, config=config)
                measured = quality._nats(changed, tf.sigmoid(logits), targets)
                expected = likelihoods.reconstruction_nats(
                    config, logits, targets, lambda _: tf.constant(0.5)
                )
                self.assertAllClose(measured, expected, rtol=1e-6, atol=nats)

    def test_saturated_pixels_cost_what_float32_tells(self):
        subject = quality.Subject.of(tiny.model())
        images = np.zeros((2, 8, 8, 3), np.float32)
        images[1] = 1.0
        right = quality._nats(subject, images, images)
        self.assertAllClose(right, [0.0, 0.0], atol=192 * 2.0**-23)
        wrong = quality._nats(subject, images, 1 - images)
        each = [-math.log(np.finfo(np.float32).tiny), 24 * math.log(2)]
        self.assertAllClose(wrong, 192 * np.array(each), rtol=1e-6)

    def test_what_else_is_measured_sees_every_batch(self):
        seen, model = [], _moved()
        batches = _batches(tiny.images(5), 2)
        subject = quality.Subject.of(model)
        measured = quality.measure(subject, batches, 1, 3, also=[seen.append])
        self.assertEqual([batch.first for batch in seen], [0, 2, 4])
        z_mean = np.concatenate([batch.z_mean for batch in seen])
        radius = np.linalg.norm(z_mean, axis=1).mean()
        self.assertAllClose(measured.radius, radius)
        # A sample depends on its number alone.
        samples = np.concatenate([batch.samples(len(batch)) for batch in seen])
        fresh = []
        quality.measure(subject, _batches(tiny.images(5), 5), 1, 1, also=[fresh.append])
        self.assertAllClose(fresh[0].samples(1), samples[:1], atol=1e-6)
        self.assertAllClose(fresh[0].samples(5), samples, atol=1e-6)

    def test_no_images(self):
        with self.assertRaisesRegex(files.UserError, "Expected held-out images"):
            quality.evaluate(tiny.model(), [])


class CombinedTest(tf.test.TestCase):
    def test_is_the_weighted_sum(self):
        self.assertEqual(quality.combined(50.0, 40.0), 90.0)
        self.assertEqual(quality.combined(50.0, 40.0, weight=0.5), 70.0)

    def test_of_a_quality(self):
        keras.utils.set_random_seed(0)
        measured = quality.evaluate(tiny.model(), _batches(tiny.images(4), 4))
        expected = measured.sample_distance.mean
        expected += 2 * measured.reconstruction_distance.mean
        self.assertEqual(measured.combined(2.0), expected)


if __name__ == "__main__":
    tf.test.main()
