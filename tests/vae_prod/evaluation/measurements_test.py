import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.evaluation import held_out, measurements, resampling
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import distances as distances_lib
from vae_prod.evaluation.features import extractor as extractor_lib
from vae_prod.model import codec as codec_lib

_SHAPE = (24, 24, 3)
_SETTINGS = measurements.EvaluationSettings(importance_samples=2)


def _batches(images, size, **more) -> list[dict]:
    data = {"image": images, **more}
    return [
        {name: tf.constant(values[i : i + size]) for name, values in data.items()}
        for i in range(0, len(images), size)
    ]


def _subject(**changes) -> subject_lib.Subject:
    model = tiny.model(image_shape=_SHAPE, **changes)
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.2 * random.normal(size=weight.shape))
    return subject_lib.Subject.from_model(model)


def _known(encode, decode, **changes) -> subject_lib.Subject:
    """Return a model that consists of two functions of arrays."""
    config = tiny.config(image_shape=_SHAPE, z_dim=2, **changes)
    codec = codec_lib.Codec(_SHAPE, 2, encode, decode, lambda: "")
    return subject_lib.Subject(codec, config)


def _means() -> extractor_lib.Extractor:
    def extract(images):
        return (images.mean(axis=(1, 2)) / 255).astype(np.float32)

    return extractor_lib.Extractor("means", "0" * 64, "saved_model", "none", extract)


class EvaluateTest(tf.test.TestCase, parameterized.TestCase):
    def assert_same(self, first, second):
        for one, two in zip(*map(_flat, (first, second)), strict=True):
            self.assertAllClose(one, two, rtol=1e-4, atol=1e-4)

    def test_batches_of_any_size_give_the_same(self):
        subject, images = _subject(), tiny.images(11, _SHAPE)
        settings = attrs.evolve(_SETTINGS, distance_images=7, feature_images=9)
        expected = measurements.evaluate(
            subject, _batches(images, 11), settings, extractors=[_means()]
        )
        measured = measurements.evaluate(
            subject, _batches(images, 4), settings, extractors=[_means()]
        )
        self.assert_same(measured, expected)
        self.assertEqual(measured.images_digest, expected.images_digest)
        self.assertEqual(measured.quality.num_images, 11)
        self.assertEqual(measured.quality.distance_images, 7)
        self.assertEqual(measured.features["means"].num_images, 9)

    def test_holds_the_figures_that_rank(self):
        subject, batches = _subject(), _batches(tiny.images(8, _SHAPE), 4)
        measured = measurements.evaluate(subject, batches, _SETTINGS)
        expected = quality_lib.evaluate_quality(subject, batches, importance_samples=2)
        self.assertEqual(measured.quality, expected)

    @parameterized.parameters(("bce", 0.0, 1 / 3), ("mse", 50.0, 50 / 1728))
    def test_losses_are_those_of_validation(self, likelihood, weight, scale):
        settings = {"reconstruction": likelihood, "reconstruction_weight": weight}
        model = tiny.model(image_shape=_SHAPE, fact=2.0, **settings)
        batches = _batches(tiny.images(8, _SHAPE), 8)
        measured = measurements.evaluate(
            subject_lib.Subject.from_model(model), batches, _SETTINGS
        )
        quality = measured.quality
        nats = quality.reconstruction_nats
        self.assertAllClose(measured.reco_loss.value, scale * nats.value)
        self.assertAllClose(measured.reco_loss.replicates, scale * nats.replicates)
        self.assertAllClose(measured.kl_loss.value, 2.0 * quality.kl.value)
        self.assertAllClose(measured.kl_loss.replicates, 2.0 * quality.kl.replicates)
        logs = model.evaluate(
            tf.data.Dataset.from_tensors(batches[0]), verbose=0, return_dict=True
        )
        # Other draws of the noise.
        self.assertAllClose(measured.total_loss.value, logs["total_loss"], rtol=0.01)
        self.assertAllClose(measured.kl_loss.value, logs["kl_loss"], rtol=1e-4)

    def test_free_bits_are_charged(self):
        subject = _subject(free_bits=100.0, fact=2.0)
        batches = _batches(tiny.images(8, _SHAPE), 8)
        measured = measurements.evaluate(subject, batches, _SETTINGS)
        self.assertAllClose(measured.kl_loss.interval, (600.0, 600.0))

    def test_a_perfect_autoencoder(self):
        # Images of one shade each, which is also their latent point.
        shades = np.linspace(0.1, 0.9, 9, dtype=np.float32)
        images = np.broadcast_to(shades[:, None, None, None], (9, *_SHAPE))

        def encode(images):
            return {"z_mean": np.repeat(images[:, :1, 0, 0], 2, axis=1)}

        def decode(z):
            shade = np.clip(np.asarray(z)[:, :1, None, None], 0, 1)
            return np.broadcast_to(shade, (len(z), *_SHAPE))

        subject = _known(encode, decode, mode="ae")
        measured = measurements.evaluate(subject, _batches(images, 4), _SETTINGS)
        self.assertAllClose(measured.explained_variance.value, 1.0)
        self.assertAllClose(measured.ssim.value, 1.0)
        self.assertEqual(measured.kl_loss.interval, (0.0, 0.0))
        self.assertEqual(measured.quality.psnr.interval, (100.0, 100.0))
        self.assertAllClose(measured.dimensions.mean, [0.5, 0.5])
        self.assertIsNone(measured.posteriors.z_log_var)

    def test_the_mean_image_explains_nothing(self):
        images = tiny.images(10, _SHAPE)
        mean = (images / 255).mean(axis=0, dtype=np.float32)

        def encode(images):
            zeros = np.zeros((len(images), 2), np.float32)
            return {"z_mean": zeros, "z_log_var": zeros}

        def decode(z):
            return np.repeat(mean[None], len(z), axis=0)

        subject = _known(encode, decode)
        measured = measurements.evaluate(subject, _batches(images, 4), _SETTINGS)
        explained = measured.explained_variance
        self.assertAllClose(explained.value, 0.0, atol=1e-5)
        # Of images drawn anew it is not the mean any more.
        self.assertLess(explained.replicates.max(), 1e-5)
        self.assertLess(explained.replicates.mean(), -0.01)
        self.assertEqual(measured.quality.active_units.interval, (0.0, 0.0))
        self.assertEqual(measured.quality.kl.interval, (0.0, 0.0))

    def test_a_pattern_at_the_stride_is_told(self):
        images = tiny.images(8, _SHAPE)
        pattern = np.indices(_SHAPE[:2]).sum(axis=0) % 2 * 0.4

        def encode(images):
            return {"z_mean": images[:, 0, 0, :2] / np.float32(255)}

        def decode(z):
            noise = np.random.default_rng(1).random((len(z), *_SHAPE)) * 0.2
            return (0.3 + noise + pattern[..., None]).astype(np.float32)

        subject = _known(encode, decode, mode="ae")
        measured = measurements.evaluate(subject, _batches(images, 4), _SETTINGS)
        two, four = measured.checkerboards
        self.assertEqual((two.period, four.period), (2, 4))
        self.assertGreater(two.excess.value, 20.0)
        self.assertLess(abs(four.excess.value), 3.0)

    def test_samples_in_an_extractors_eyes(self):
        subject, images = _subject(), tiny.images(10, _SHAPE)
        batches = list(held_out.batches(subject.codec, _batches(images, 4), seed=1))
        samples = np.concatenate([batch.samples(len(batch)) for batch in batches])
        decoded = np.concatenate([batch.reconstructions for batch in batches])
        expected = quality_lib.evaluate_quality(subject, _batches(images, 4))
        measured = measurements.evaluate(
            subject, _batches(images, 4), None, extractors=[_means()]
        )
        self.assertEqual(measured.quality.sample_distance, expected.sample_distance)
        expected = distances_lib.compare(
            *map(_means().features, (images, samples, decoded)),
            [resampling.counts(1, stream, 0, 10) for stream in (0, 1)],
        )
        self.assertEqual(measured.features["means"].num_images, 10)
        for one, two in zip(
            *(
                tf.nest.flatten(attrs.asdict(each))
                for each in (measured.features["means"], expected)
            ),
            strict=True,
        ):
            self.assertAllEqual(one, two)

    def test_digest_is_of_targets_and_of_other_inputs(self):
        subject, images = _subject(), tiny.images(8, _SHAPE)
        other = tiny.images(8, _SHAPE, seed=1)
        digests = [
            measurements.evaluate(subject, batches, _SETTINGS).images_digest
            for batches in (
                _batches(images, 2),
                _batches(other, 2),
                _batches(other, 2, target=images),
                _batches(images, 2, target=other),
            )
        ]
        self.assertLen(set(digests), 4)

    def test_progress_is_told(self):
        counts = []
        batches = _batches(tiny.images(8, _SHAPE), 2)
        measurements.evaluate(_subject(), batches, _SETTINGS, on_progress=counts.append)
        self.assertEqual(counts, [2, 4, 6, 8])

    def test_refuses_models_that_diverged(self):
        def encode(images):
            return {"z_mean": np.full((len(images), 2), np.nan, np.float32)}

        subject = _known(encode, lambda z: np.zeros((len(z), *_SHAPE), "f4"), mode="ae")
        with self.assertRaisesRegex(files.UserError, "gives NaN or infinity"):
            measurements.evaluate(subject, _batches(tiny.images(8, _SHAPE), 4))

    def test_refuses_too_few_images_for_features(self):
        batches = _batches(tiny.images(3, _SHAPE), 2)
        with self.assertRaisesRegex(files.UserError, "at least 7 images"):
            measurements.evaluate(_subject(), batches, _SETTINGS, extractors=[_means()])


def _flat(measured: measurements.Measurements) -> list:
    """Return all numbers of an evaluation, in order."""
    ignored = ("images_digest", "judge", "judged")
    values = attrs.asdict(measured, filter=lambda a, _: a.name not in ignored)
    values["settings"] = None
    return [x for x in tf.nest.flatten(values) if x is not None]


if __name__ == "__main__":
    tf.test.main()
