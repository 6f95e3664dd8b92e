"""Evaluations of a tiny run and of its export."""

import json
import os
import shutil

import keras
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as data_config_lib
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from tools import evaluate, export
from vae_prod import config as config_lib
from vae_prod.evaluation import table
from vae_prod.model import vae as vae_lib
from vae_prod.training import run_directory

_ROUNDING = 1e-4  # Of the same sums in another order.


def _load(path: str) -> dict:
    with open(path) as file:
        return json.load(file)


def write_run(run_dir, data_dir, digest, shape=(8, 8, 3)):
    """Write a run without training it; its last weights are not its best."""
    keras.utils.set_random_seed(3)
    model = vae_lib.VAE(tiny.config(image_shape=shape))
    run = run_directory.Run(
        model.config,
        config_lib.TrainConfig(),
        data_config_lib.DataConfig(batch_size=4),
        data_dir,
        digest,
    )
    os.makedirs(run_dir)
    run_directory.write(run_dir, run, "")
    for which in ("best", "last"):
        folder = os.path.join(run_dir, "weights", which)
        os.makedirs(folder)
        model.save_weights(os.path.join(folder, "vae.weights.h5"))
        for weight in model.trainable_variables:
            weight.assign(1.5 * weight)


class EvaluateTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = os.path.join(cls.get_temp_dir(cls()), "evaluate")
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.data_dir, cls.run_dir = (
            os.path.join(cls.root, name) for name in ("data", "run")
        )
        os.makedirs(cls.data_dir)
        sizes = {"train": (24,), "validation": (), "test": (5, 4)}
        manifest, _ = shard_fixtures.write(cls.data_dir, sizes, shape=(8, 8, 3))
        write_run(cls.run_dir, cls.data_dir, manifest.digest())

    def _evaluate(self, *argv, code=0):
        got, out, err = train_test.run_program(evaluate, *argv)
        self.assertEqual(got, code, err)
        return out, err

    def _to_file(self, *argv):
        path = os.path.join(self.create_tempdir().full_path, "new", "file.json")
        self._evaluate(f"--out={path}", *argv)
        return path

    def test_prints_and_writes(self):
        out, _ = self._evaluate(f"--run_dir={self.run_dir}")
        path = os.path.join(self.run_dir, "evaluation", "test.json")
        self.assertRegex(out, r"\n  PSNR +\d+\.\d+ ± \d")
        for words in (
            "9 images of 8x8x3, split test of",
            "ELBO",
            "verdict: ",
            "give --features=ttur:PATH",
            "judged by gradients: ",
            f"written: {path}",
        ):
            self.assertIn(words, out)
        written = _load(path)
        self.assertEqual(written["model"]["weights"], "best")
        self.assertEqual(written["model"]["settings"]["z_dim"], 3)
        self.assertContainsSubset({"tensorflow", "vae_prod"}, written["made_by"])
        psnr = written["figures"]["psnr"]
        low, high = psnr["interval"]
        self.assertAllClose((low + high) / 2, psnr["value"])
        self.assertGreater(high, low)
        self.assertLen(written["replicates"]["psnr"], 200)
        images = written["protocols"]["images"]
        self.assertEqual((images["split"], images["num_images"]), ("test", 9))
        self.assertEqual(images["stored"], "lossless")
        self.assertLen(written["per_dimension"]["kl"], 3)
        self.assertEqual(written["posteriors"]["num_images"], 9)

    def test_run_and_export_agree(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        shutil.copytree(self.run_dir, run_dir)
        with tiny_exports.little():
            code, _, err = train_test.run_program(export, f"--run_dir={run_dir}")
        self.assertEqual(code, 0, err)
        version = os.path.join(run_dir, "export", "1")
        paths = [
            self._to_file(f"--run_dir={run_dir}"),
            self._to_file(f"--export_dir={version}"),
        ]
        own, exported = map(_load, paths)
        self.assertEqual(*(x["model"]["weights_digest"] for x in (own, exported)))
        self.assertNotIn("weights", exported["model"])
        self.assertEqual(own["protocols"], exported["protocols"])
        for name, figure in own["figures"].items():
            values = figure["value"], exported["figures"][name]["value"]
            if values[0] is None:
                self.assertIsNone(values[1])
            else:
                self.assertAllClose(*values, rtol=_ROUNDING, atol=_ROUNDING, msg=name)
        self.assertIsNotNone(own["figures"]["importance_bound"]["value"])
        out, _ = self._evaluate(f"--compare={','.join(paths)}")
        self.assertIn("unlike: weights: best, None", out)
        self.assertIn(f"2: {paths[1]}", out)
        self.assertRegex(out, r"PSNR .* ± .* dB, no difference shown\n")

    def test_settings_are_kept_and_compared(self):
        run = f"--run_dir={self.run_dir}"
        paths = [
            self._to_file(run, "--importance_samples=0"),
            self._to_file(run, "--weights=last", "--recompute_batch_norm=1"),
            self._to_file(run, "--seed=2", "--distance_images=8", "--split=train"),
        ]
        files = [_load(path) for path in paths]
        self.assertEqual(files[1]["model"]["recompute_batch_norm"], 1)
        protocols = files[0]["protocols"]
        self.assertNotIn("bound", protocols)
        for figure in files[0]["figures"].values():
            self.assertIn(figure["protocol"], protocols)
        psnr = [each["figures"]["psnr"]["value"] for each in files]
        self.assertNotEqual(psnr[0], psnr[1])
        out, _ = self._evaluate(f"--compare={paths[0]},{paths[1]}")
        self.assertIn("unlike: weights: best, last", out)
        difference = table.number(psnr[1] - psnr[0])
        self.assertRegex(out, rf"PSNR +\S+ +\S+ +{difference} ± \S+ +dB, higher is")
        again = os.path.join(os.path.dirname(paths[0]), "again.json")
        shutil.copy(paths[0], again)
        out, _ = self._evaluate(f"--compare={paths[0]},{paths[1]},{again}")
        self.assertIn("dB, higher is better, no difference from 1 shown: 3\n", out)
        _, err = self._evaluate(f"--compare={paths[0]},{paths[2]}", code=1)
        self.assertIn("split (test and train), num_images (9 and 24)", err)
        self.assertIn("seed (1 and 2), distance_images (9 and 8)", err)
        self.assertLen(err.strip().splitlines(), 1)

    def test_copies_and_attributes(self):
        run = f"--run_dir={self.run_dir}"
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        out, _ = self._evaluate(run, f"--out={path}")
        self.assertIn("copies, looked for among 24 training images", out)
        self.assertNotIn("No copies were looked for", out)
        copies = _load(path)["copies"]
        counts = copies["samples"], copies["held_out_images"], copies["copied"]
        self.assertEqual(counts, (9, 9, 0))
        self.assertLen(copies["nearest"], 8)
        self.assertEqual(_load(path)["attribute_gaps"], [])  # Of 9 images.

        other = f"{path}.other"
        out, _ = self._evaluate(run, f"--out={other}", "--copies_images=10")
        self.assertEqual(_load(other)["copies"]["training_images"], 8)
        self.assertIn("one in 3 training images: --copies_images=24 takes all", out)
        out, _ = self._evaluate(f"--compare={path},{other}")
        self.assertIn("0 of 9 (0.00%) samples are copies", out)

        out, _ = self._evaluate(run, f"--out={path}", "--split=train")
        self.assertIn("that takes a held-out --split", out)
        written = _load(path)
        self.assertIsNone(written["copies"])
        (gap,) = written["attribute_gaps"]
        self.assertEqual((gap["name"], gap["num_images"]), ("Smiling", 12))
        self.assertIn(f"Smiling {gap['gap']:+.2f}", " ".join(out.split()))

    def test_copies_are_of_the_data_it_was_trained_on(self):
        data_dir = self.create_tempdir().full_path
        sizes = {"train": (5,), "test": (8,)}
        shard_fixtures.write(data_dir, sizes, shape=(8, 8, 3), annotated=False)
        path = os.path.join(data_dir, "test.json")
        argv = (f"--run_dir={self.run_dir}", f"--data_dir={data_dir}")
        out, _ = self._evaluate(*argv, f"--out={path}")
        self.assertIn("isn't the data set that the model was trained on", out)
        written = _load(path)
        self.assertIsNone(written["copies"])
        self.assertIsNone(written["attribute_gaps"])

    def test_features_of_samples(self):
        extractor = self._extractor(
            "means", lambda image: tf.reduce_mean(image, [1, 2])
        )
        argv = (f"--run_dir={self.run_dir}", f"--features={extractor}")
        argv += ("--copies_images=0",)
        written = _load(self._to_file(*argv, "--feature_images=8"))
        self.assertIsNone(written["copies"])
        protocol = written["protocols"]["features/means"]
        self.assertEqual(protocol["feature_images"], 8)
        self.assertLen(protocol["extractor"], 64)
        self.assertGreater(written["figures"]["means/fid"]["value"], 0.0)
        _, err = self._evaluate(f"{argv[0]}", f"{argv[1]},{extractor}", code=1)
        self.assertIn("extractors of different names", err)

    def _extractor(self, name, features):
        """Save a function of float images [B, H, W, 3]; return its folder."""
        module = tf.Module()
        spec = tf.TensorSpec([None, None, None, 3], tf.float32, "image")
        module.features = tf.function(features, input_signature=[spec])
        path = os.path.join(self.create_tempdir().full_path, name)
        tf.saved_model.save(module, path, signatures=module.features)
        return path

    def test_who_judges_and_who_recognises(self):
        judge = self._extractor("corner", lambda image: image[:, 0, 0])
        sure = self._extractor("sure", lambda image: tf.ones_like(image[:, 0, 0, :1]))
        argv = (f"--judge={judge}", f"--recognise={sure}", "--copies_images=0")
        written = _load(self._to_file(f"--run_dir={self.run_dir}", *argv))
        figures = written["figures"]
        judged = figures["sample_frechet"]
        self.assertGreater(judged["value"], 0.0)
        protocol = written["protocols"][judged["protocol"]]
        self.assertEqual(protocol["extractor_kind"], "saved_model")
        self.assertEqual(figures["samples_recognised"]["value"], 1.0)

    @parameterized.parameters(
        ((), 1, "Expected one of --run_dir and --export_dir, received neither"),
        (("--run_dir={run}", "--export_dir={run}"), 1, "received both"),
        (("--run_dir={run}", "--split=exam"), 1, "'validation'], received 'exam'"),
        (("--run_dir={run}", "--split=validation"), 1, "found none. Choose another"),
        (("--run_dir={run}", "--features=/nowhere"), 1, "Mend --features"),
        (("--run_dir={run}", "--out={run}/config.json/x"), 1, "Expected to use "),
        (("--run_dir=/nowhere",), 1, "Expected a run directory with config.json"),
        (("--export_dir={run}",), 1, "made by tools.export"),
        (("--run_dir={run}", "--distance_images=6"), 2, "expected numbers from 7"),
        (("--run_dir={run}", "--feature_images=6"), 2, "expected numbers from 7"),
        (("--run_dir={run}", "--importance_samples=-1"), 2, "expected numbers from 0"),
        (("--run_dir={run}", "--copies_images=-1"), 2, "expected numbers from 0"),
        (("--compare={run}",), 2, "two or more different files"),
        (("--compare=a,a",), 2, "received a,a"),
        (("--compare=/a,/b",), 1, "Expected an evaluation made by tools.evaluate"),
    )
    def test_refuses_in_a_sentence(self, argv, code, message):
        argv = [each.format(run=self.run_dir) for each in argv]
        _, err = self._evaluate(*argv, code=code)
        self.assertIn(message, err)
        self.assertLen(err.strip().splitlines(), 1)

    def test_refuses_a_run_without_weights(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        shutil.copytree(
            self.run_dir,
            run_dir,
            ignore=shutil.ignore_patterns("weights", "evaluation"),
        )
        _, err = self._evaluate(f"--run_dir={run_dir}", code=1)
        self.assertIn("Expected saved weights in", err)
        self.assertLen(err.strip().splitlines(), 1)
        self.assertFalse(os.path.exists(os.path.join(run_dir, "evaluation")))

    def test_refuses_images_of_another_size(self):
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(data_dir, {"test": (3,)}, shape=(4, 4, 3))
        argv = (f"--run_dir={self.run_dir}", f"--data_dir={data_dir}")
        _, err = self._evaluate(*argv, code=1)
        self.assertIn("Expected images of shape (8, 8, 3)", err)

    def test_refuses_images_smaller_than_what_is_compared(self):
        data_dir, shape = self.create_tempdir().full_path, (4, 4, 3)
        sizes = {"train": (9,), "test": (9,)}
        manifest, _ = shard_fixtures.write(data_dir, sizes, shape=shape)
        run_dir = os.path.join(data_dir, "run")
        write_run(run_dir, data_dir, manifest.digest(), shape)
        _, err = self._evaluate(f"--run_dir={run_dir}", code=1)
        self.assertIn("Expected images of at least 7x7", err)
        self.assertLen(err.strip().splitlines(), 1)


if __name__ == "__main__":
    tf.test.main()
