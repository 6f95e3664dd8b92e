"""A tiny run and its export, in other formats."""

import contextlib
import io
import json
import os
import shutil
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as data_config_lib
from pipelines import files
from tests.pipelines import shard_fixtures
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from tools.exporting import other_formats
from vae_prod import config as config_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import formats, onnx_format
from vae_prod.training import run_directory


class PortableTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = os.path.join(cls.get_temp_dir(cls()), "other_formats")
        shutil.rmtree(root, ignore_errors=True)
        data_dir, cls.run_dir = (os.path.join(root, name) for name in ("data", "run"))
        os.makedirs(data_dir)
        sizes = {"train": (12,), "validation": (), "test": (5, 4)}
        manifest, images = shard_fixtures.write(data_dir, sizes, shape=(8, 8, 3))
        cls.images = images["test"]
        keras.utils.set_random_seed(3)
        cls.model = vae_lib.VAE(tiny.config())
        cls.settings = run_directory.Run(
            cls.model.config,
            config_lib.TrainConfig(),
            data_config_lib.DataConfig(batch_size=4),
            data_dir,
            manifest.digest(),
        )
        os.makedirs(cls.run_dir)
        run_directory.write(cls.run_dir, cls.settings, "")
        cls.export_dir = os.path.join(cls.run_dir, "export")
        # A newer version of other weights, and one that is damaged.
        tiny_exports.export_little(cls.model, cls.export_dir)
        tiny_exports.export_little(vae_lib.VAE(tiny.config()), cls.export_dir)
        os.makedirs(os.path.join(cls.export_dir, "3"))

    def _write(self, kind, **options):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            path = other_formats.write(
                self.run_dir, self.settings, self.model, kind, **options
            )
        return path, printed.getvalue()

    @parameterized.parameters(*other_formats.FORMATS)
    def test_writes_verifies_and_tells(self, kind):
        path, printed = self._write(kind, split="test", num_images=6)
        self.assertEqual(path, os.path.join(self.run_dir, kind, "1"))
        self.assertCountEqual(os.listdir(os.path.join(self.run_dir, kind)), ["1"])
        with open(os.path.join(path, formats.VERIFIED)) as file:
            verified = json.load(file)
        variants = other_formats.FORMATS[kind].VARIANTS
        self.assertEqual(tuple(verified["variants"]), variants)
        self.assertEqual(verified["saved_model"], "1")
        self.assertEqual((verified["split"], verified["num_images"]), ("test", 6))
        for variant, found in verified["variants"].items():
            self.assertIn(variant, printed)
            self.assertIn(f"{found['largest']['image']:.1e}", printed)
            for name in formats.NETWORKS:
                file_name = other_formats.FORMATS[kind].file_name(name, variant)
                size = os.path.getsize(os.path.join(path, file_name))
                self.assertEqual(found[f"{name}_bytes"], size)
            if variant == "float16":  # It may differ, and does.
                self.assertGreater(found["largest"]["z_mean"], 1e-6)
        exact = verified["variants"]["float32"]
        self.assertCountEqual(exact["largest"], ["z_mean", "z_log_var", "image"])
        self.assertLess(max(exact["largest"].values()), 1e-5)
        self.assertLess(abs(exact["psnr_change"]), 1e-3)
        own = codec_lib.from_model(self.model)
        opened = other_formats.FORMATS[kind].open_codec(path)
        self.assertEqual(opened.weights_digest(), own.weights_digest())
        found, expected = opened.encode(self.images), own.encode(self.images)
        self.assertAllClose(found["z_mean"], expected["z_mean"], atol=1e-5)

    def test_goes_where_it_is_told_and_replaces(self):
        out = os.path.join(self.create_tempdir().full_path, "new", "models")
        for seed in (1, 2):
            path, _ = self._write("onnx", out=out, seed=seed, num_images=100)
            self.assertEqual(path, os.path.join(out, "1"))
            with open(os.path.join(path, formats.VERIFIED)) as file:
                verified = json.load(file)
            self.assertEqual((verified["seed"], verified["num_images"]), (seed, 9))

    def test_wants_a_saved_model_of_the_same_weights(self):
        with (
            mock.patch.object(self, "model", vae_lib.VAE(tiny.config())),
            self.assertRaisesRegex(files.UserError, "first: python -m tools.export"),
        ):
            self._write("tflite")
        missing = self.create_tempdir().full_path
        with self.assertRaisesRegex(files.UserError, f"same weights in {missing}"):
            self._write("tflite", export_dir=os.path.join(missing, "none"))

    def test_wants_images(self):
        with self.assertRaisesRegex(files.UserError, "split 'validation'"):
            self._write("onnx", split="validation")

    @parameterized.parameters(
        (0.01, "found z_(mean|log_var) 0.01, z_.* 0.01; it is not"),
        (np.nan, "found z_(mean|log_var) nan, z_.* nan; it is not"),
    )
    def test_refuses_what_computes_something_else(self, error, message):
        out = self.create_tempdir().full_path
        open_codec = onnx_format.open_codec

        def open_wrong(*arguments):
            codec = open_codec(*arguments)
            encode = codec.encode

            def wrong(images):
                return {k: v + np.float32(error) for k, v in encode(images).items()}

            object.__setattr__(codec, "encode", wrong)
            return codec

        with (
            mock.patch.object(onnx_format, "open_codec", open_wrong),
            self.assertRaisesRegex(files.UserError, message),
        ):
            self._write("onnx", out=out)
        self.assertEmpty(os.listdir(out))


if __name__ == "__main__":
    tf.test.main()
