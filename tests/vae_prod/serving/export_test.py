import os
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.attack import changes
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod.model import codec
from vae_prod.serving import description, opening, record, replay, versions


class ExportTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = tiny_exports.exported()
        cls.description = description.load(cls.path)

    def test_answers_as_the_model_of_training(self):
        loaded = tf.saved_model.load(self.path)
        found = codec.from_model(tiny.model())
        images = tiny.images(3).astype(np.float32) / 255
        expected = found.encode(images)
        encoded = replay.ask(loaded.signatures["encode"], {"image": images})
        self.assertAllClose(encoded, expected, atol=1e-5)
        for name in ("serving_default", "reconstruct"):
            rebuilt = replay.ask(loaded.signatures[name], {"image": images})
            decoded = found.decode(expected["z_mean"])
            self.assertAllClose(rebuilt["image"], decoded, atol=1e-5)

    def test_opens_as_a_codec_of_the_same_weights(self):
        opened, own = opening.open_export(self.path), codec.from_model(tiny.model())
        self.assertEqual(opened.weights_digest(), own.weights_digest())
        self.assertEqual(opened.image_shape, (8, 8, 3))
        self.assertEqual(opened.z_dim, 3)
        # More than a request may have: sent in parts.
        images = tiny.images(65 + 64)
        self.assertAllClose(opened.encode(images), own.encode(images), atol=1e-5)
        z = np.zeros((130, 3), np.float32)
        self.assertAllClose(opened.decode(z), own.decode(z), atol=1e-5)

    def test_describes_itself(self):
        self.assertEqual(self.description.default, "reconstruct")
        self.assertEqual(self.description.samplers, ["prior", "gaussian"])
        self.assertEqual(self.description.attributes, ["Smiling", "Young"])
        edit = self.description.signatures["edit_jpeg"]
        self.assertEqual(
            {
                name: (each["dtype"], each["shape"])
                for name, each in edit["inputs"].items()
            },
            {
                "image_bytes": ("string", [None]),
                "attribute": ("string", [None]),
                "strength": ("float32", [None]),
            },
        )
        for each in self.description.signatures.values():
            for tensor in (*each["inputs"].values(), *each["outputs"].values()):
                self.assertNotEqual(tensor["dtype"], "bfloat16")
                self.assertNotEmpty(tensor["meaning"])

    def test_files_are_those_that_were_written(self):
        self.assertEmpty(description.damage(self.path, self.description))
        self.assertLen(self.description.fingerprint, 64)
        for name in ("config.json", "deeper/file", record.GOLDEN, record.WARMUP):
            self.assertIn(f"assets.extra/{name}", self.description.files)

    def test_golden_has_every_signature(self):
        path = os.path.join(self.path, description.EXTRA, record.GOLDEN)
        golden = replay.read(path)
        self.assertCountEqual(golden, self.description.signatures)
        given, expected = golden["generate"]
        self.assertAllEqual(given["sampler"], [b"prior", b"gaussian"])
        self.assertAllEqual(expected["image"].shape, (2, 8, 8, 3))

    def test_warmup_requests_are_tensorflow_servings(self):
        from tensorflow_serving.apis import prediction_log_pb2

        loaded = tf.saved_model.load(self.path)
        path = os.path.join(self.path, description.EXTRA, record.WARMUP)
        asked = []
        for data in tf.data.TFRecordDataset(path).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(data)
            request = log.predict_log.request
            self.assertEqual(request.model_spec.name, "faces")
            asked.append(request.model_spec.signature_name)
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            replay.ask(loaded.signatures[asked[-1]], inputs)
        self.assertCountEqual(asked, self.description.signatures)

    def test_variance_of_a_likelihood_that_has_one(self):
        model = tiny.model(reconstruction="gaussian_sigma")
        model.average_variance.assign(0.25)
        directory = self.create_tempdir().full_path
        path = tiny_exports.export_little(model, directory)
        self.assertEqual(opening.open_export(path).variance, 0.25)
        self.assertIsNone(opening.open_export(self.path).variance)

    def test_nothing_is_published_that_answers_differently(self):
        directory = self.create_tempdir().full_path
        golden = record.golden

        def other(functions, traced):
            made = golden(functions, traced)
            made["decode"][1]["image"][0] += 0.1
            return made

        self.enter_context(mock.patch.object(record, "golden", other))
        with self.assertRaisesRegex(files.UserError, "signature decode to answer"):
            tiny_exports.export_little(tiny.model(), directory)
        self.assertEmpty(versions.listed(directory))

    def test_not_an_export(self):
        missing = self.create_tempdir().full_path
        with self.assertRaisesRegex(files.UserError, "made by tools.export"):
            opening.open_export(missing)

    def test_unwritable_folder(self):
        blocked = self.create_tempfile().full_path
        directory = os.path.join(blocked, "faces")
        with self.assertRaisesRegex(files.UserError, "Expected to use "):
            tiny_exports.export_little(tiny.model(), directory)


class KilledTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((record, "save_warmup"), (files, "_replace_folder"))
    def test_earlier_versions_stay(self, module, function):
        directory = self.create_tempdir().full_path
        first = os.path.join(directory, "1")
        shutil.copytree(tiny_exports.exported(), first)
        with changes.at(changes.NEVER, directory) as killed:

            def kill(*_):
                killed.number = 0  # Nothing changes from here on.
                raise changes.Killed

            with mock.patch.object(module, function, kill):
                tiny_exports.export_little(tiny.model(), directory)
        self.assertTrue(killed.reached)
        self.assertEqual(versions.listed(directory), [1])
        self.assertTrue(versions.is_good(first))
        (leftover,) = set(os.listdir(directory)) - {"1", ".lock"}
        self.assertRegex(leftover, r"^2\.\d+-[\w-]+\.tmp$")
        self.assertNotEmpty(os.listdir(os.path.join(directory, leftover)))
        with versions.new(directory) as (aside, _):
            self.assertEmpty(os.listdir(aside))
        self.assertEqual(versions.listed(directory), [1, 2])
        self.assertCountEqual(os.listdir(directory), ["1", "2"])


if __name__ == "__main__":
    tf.test.main()
