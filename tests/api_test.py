"""What is public: the lists, and a way through all of it on tiny data."""

import ast
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

import pipelines
import vae_prod
from tests.pipelines import shard_fixtures
from tests.tools.train_test import run_program
from tests.vae_prod import tiny
from tests.vae_prod.model import own_networks_test
from tools import evaluate as evaluate_program
from tools import generate
from vae_prod.evaluation import evaluation_file
from vae_prod.reporting import image_grids

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGES = ("pipelines", "vae_prod")


def _imports_for_types(package: str) -> dict[str, str]:
    """Return public name to definition, as type checkers are told."""
    tree = ast.parse((_ROOT / package / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname: f"{node.module}.{alias.name}".removeprefix(f"{package}.")
        for node in block.body
        for alias in node.names
    }


class ListTest(tf.test.TestCase, parameterized.TestCase):
    """These names stay: taking one away breaks the code of others."""

    @parameterized.parameters(
        (
            "pipelines",
            {
                *("ConvertConfig", "DataConfig", "DataSet", "UserError"),
                *("convert", "eval_batches", "open_data", "train_batches"),
            },
        ),
        (
            "vae_prod",
            {
                *("VAE", "ModelConfig", "TrainConfig", "Subject"),
                *("Evaluation", "EvaluationSettings"),
                *("train", "load_run", "load_export", "evaluate", "sample", "export"),
            },
        ),
    )
    def test_names(self, package, names):
        module = importlib.import_module(package)
        self.assertEqual(set(module.PUBLIC), names)
        self.assertEqual(module.PUBLIC, _imports_for_types(package))
        self.assertContainsSubset(names, dir(module))

    @parameterized.parameters(*_PACKAGES)
    def test_all_are_documented_and_on_the_page(self, package):
        page = (_ROOT / "docs" / "api.md").read_text()
        shown = re.findall(rf"^::: {package}\.([\w.]+)$", page, re.MULTILINE)
        public = importlib.import_module(package).PUBLIC
        self.assertCountEqual(shown, public)
        for name in public:
            defined = getattr(importlib.import_module(package), name)
            self.assertNotEmpty(inspect.getdoc(defined), name)

    def test_other_names_are_not_there(self):
        with self.assertRaisesRegex(AttributeError, "no attribute 'evalute'"):
            _ = vae_prod.evalute

    def test_nothing_waits_for_tensorflow(self):
        code = (
            "import sys, pipelines, vae_prod; "
            "vae_prod.ModelConfig(), vae_prod.TrainConfig(), pipelines.DataConfig(); "
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True)


class UseTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = cls.get_temp_dir(cls())
        cls.data_dir = os.path.join(cls.root, "data")
        os.makedirs(cls.data_dir)
        sizes = {"train": (12, 8), "validation": (8,), "test": (8,)}
        shard_fixtures.write(cls.data_dir, sizes, shape=(16, 16, 3))
        config = pipelines.DataConfig(batch_size=10)
        cls.data = pipelines.open_data(cls.data_dir, config)
        cls.config = tiny.config(image_shape=cls.data.image_shape)
        cls.run_dir = os.path.join(cls.root, "run")
        cls.trained = vae_prod.train(
            cls.run_dir, cls.config, cls.data, vae_prod.TrainConfig(epochs=1)
        )

    def test_a_run_is_that_of_the_programs(self):
        model = vae_prod.load_run(self.run_dir, "last")
        self.assertEqual(model.config, self.config)
        self.assertAllEqual(model.get_weights()[0], self.trained.get_weights()[0])
        code, _, err = run_program(
            generate, f"--run_dir={self.run_dir}", "--kinds=prior", "--weights=last"
        )
        self.assertEqual(code, 0, err)
        images = image_grids.to_uint8(vae_prod.sample(model, 28, seed=1))
        path = os.path.join(self.run_dir, "generated", "prior.png")
        drawn = keras.utils.img_to_array(keras.utils.load_img(path))
        self.assertAllEqual(drawn, image_grids.grid(images, 7))

    def test_an_evaluation_is_that_of_the_program(self):
        settings = vae_prod.EvaluationSettings(importance_samples=0)
        model = vae_prod.load_run(self.run_dir)
        taken = vae_prod.evaluate(
            model, self.data, settings=settings, judge="gradients", recognise="none"
        )
        argv = ("--importance_samples=0", "--judge=gradients", "--recognise=none")
        code, _, err = run_program(
            evaluate_program, f"--run_dir={self.run_dir}", "--copies_images=0", *argv
        )
        self.assertEqual(code, 0, err)
        path = os.path.join(self.run_dir, "evaluation", "test.json")
        written = evaluation_file.load(path)
        self.assertEqual(taken.protocols, written.protocols)
        self.assertAllClose(
            {name: row["value"] or 0.0 for name, row in taken.figures.items()},
            {name: row["value"] or 0.0 for name, row in written.figures.items()},
        )

    def test_resumes(self):
        config = vae_prod.TrainConfig(epochs=1)
        with self.assertRaisesRegex(pipelines.UserError, "holds a run already"):
            vae_prod.train(self.run_dir, self.config, self.data, config)
        again = vae_prod.train(
            self.run_dir, self.config, self.data, config, resume=True
        )
        self.assertEqual(again.step.numpy(), 2)

    def test_mistakes(self):
        for arguments, sentence in (
            ({"config": tiny.config()}, r"image_shape=\(8, 8, 3\)"),
            ({"train_config": vae_prod.TrainConfig(strategy="multi_worker")}, "launch"),
            ({"resume": True, "init_from": self.run_dir}, "received both"),
        ):
            given = {"config": self.config, "data": self.data} | arguments
            with self.assertRaisesRegex(pipelines.UserError, sentence):
                vae_prod.train(os.path.join(self.root, "other"), **given)

    def test_batches_are_those_of_the_data_set(self):
        config = self.data.config
        (one,) = pipelines.train_batches(self.data_dir, config, epoch=3).take(1)
        (two,) = self.data.train(3).take(1)
        self.assertAllEqual(one["image"], two["image"])
        batches = pipelines.eval_batches(self.data_dir, "test", fields=("key",))
        (batch,) = batches
        self.assertEqual(set(batch), {"image", "key"})

    def test_converts(self):
        out = os.path.join(self.root, "faces")
        config = pipelines.ConvertConfig(image_size=16, limit=4)
        manifest = pipelines.convert("faces", out, config)
        self.assertEqual(manifest.record.image_shape, (16, 16, 3))
        self.assertEqual(pipelines.convert("faces", out, config), manifest)


class OwnNetworksTest(tf.test.TestCase):
    """A model with networks of its own is evaluated, drawn from and exported."""

    def test_trained_on_a_plain_data_set(self):
        model = own_networks_test.model()
        model.compile(optimizer="adam")
        images = tf.data.Dataset.from_tensor_slices(tiny.images(8)).batch(4)
        model.fit(images, verbose=0)
        path = vae_prod.export(model, os.path.join(self.get_temp_dir(), "export"))
        exported = vae_prod.load_export(path)
        self.assertEqual(exported.config, model.config)
        self.assertAllClose(
            vae_prod.sample(exported, 3), vae_prod.sample(model, 3), atol=1e-5
        )
        settings = vae_prod.EvaluationSettings(importance_samples=0)
        evaluation = vae_prod.evaluate(exported, images, settings=settings)
        inputs = tiny.images(8) / np.float32(255)
        decoded = model.decode(model.encoder(inputs)["z_mean"])
        mse = np.mean(np.square(decoded - inputs))
        self.assertAllClose(evaluation.figures["mse"]["value"], mse, rtol=1e-3)


if __name__ == "__main__":
    tf.test.main()
