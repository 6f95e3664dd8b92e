"""From a run to encodings, from these to fitted samplers, from these to pictures."""

import contextlib
import io
import os
import shutil

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import config as data_config_lib
from tests.pipelines import shard_fixtures
from tests.vae_prod import tiny
from tools import encode, fit_sampler, generate
from tools import program as program_lib
from vae_prod import config as config_lib
from vae_prod.latent import encodings
from vae_prod.latent import fitted as fitted_lib
from vae_prod.model import vae as vae_lib
from vae_prod.training import run_directory


def _run(program, *argv) -> tuple[int, str, str]:
    """Run a program; return its exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program_lib.run(program, argv)
    return code, out.getvalue(), err.getvalue()


def _save_weights(run_dir: str, which: str, config: config_lib.ModelConfig) -> None:
    keras.utils.set_random_seed(3)
    model = vae_lib.VAE(config, seed=5)
    first = model.trainable_variables[0]
    first.assign(first * (1.0 if which == "best" else 1.1))
    folder = os.path.join(run_dir, "weights", which)
    os.makedirs(folder)
    model.save_weights(os.path.join(folder, "vae.weights.h5"))


class FitSamplerTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = os.path.join(cls.get_temp_dir(cls()), "fit_sampler")
        shutil.rmtree(root, ignore_errors=True)
        data_dir = os.path.join(root, "data")
        os.makedirs(data_dir)
        sizes = {"train": (12, 8), "validation": (5,)}
        manifest, _ = shard_fixtures.write(data_dir, sizes, shape=(8, 8, 3))
        cls.run_dir = os.path.join(root, "run")
        config = tiny.config(mode="ae")
        for which in ("best", "last"):
            _save_weights(cls.run_dir, which, config)
        run = run_directory.Run(
            config,
            config_lib.TrainConfig(),
            data_config_lib.DataConfig(batch_size=8),
            data_dir,
            manifest.digest(),
        )
        run_directory.write(cls.run_dir, run, "")
        for split in sizes:
            code, _, err = _run(encode, f"--run_dir={cls.run_dir}", f"--split={split}")
            if code:
                raise AssertionError(err)

    def _draw(self, *argv):
        out = self.create_tempdir().full_path
        code, _, err = _run(
            generate, f"--run_dir={self.run_dir}", f"--out={out}", *argv
        )
        return code, err, out

    def test_encodings_keep_annotations_and_how_they_were_made(self):
        path = os.path.join(self.run_dir, "encodings", "train")
        encoding = encodings.open_encoding(path, "")
        self.assertAllEqual(encoding.label, np.arange(20) % 3)
        self.assertAllEqual(encoding.attributes[:, 0], np.arange(20) % 2)
        self.assertEqual(encoding.made["attribute_names"], ["Smiling", "Young"])
        self.assertEqual(encoding.made["label_names"], ["a", "b", "c"])
        self.assertEqual(encoding.made["split"], "train")

    @parameterized.parameters(
        ("gaussian", 20, "--points=15"),  # Which takes all of them.
        ("two_stage", 20, "--epochs=2", "--units=4", "--layers=1"),
        ("mixture", 15, "--points=15", "--components=2", "--covariance=diag"),
    )
    def test_draws_from_what_was_fitted(self, kind, count, *argv):
        run_dir = f"--run_dir={self.run_dir}"
        code, out, err = _run(fit_sampler, run_dir, f"--kind={kind}", *argv)
        self.assertEqual(code, 0, err)
        for text in (f"fitted to {count} images", "of train: ", "of validation: "):
            self.assertIn(text, out)
        fitted = fitted_lib.load(fitted_lib.folder(self.run_dir, kind), kind, "")
        self.assertEqual(fitted.made["weights"], "best")
        code, err, out = self._draw(f"--kinds={kind}", "--rows=2", "--columns=3")
        self.assertEqual(code, 0, err)
        picture = np.asarray(Image.open(os.path.join(out, f"{kind}.png")))
        self.assertEqual(picture.shape, (18, 28, 3))
        self.assertGreater(picture.std(), 1.0)
        # Of other weights the points would mean something else.
        code, err, _ = self._draw(f"--kinds={kind}", "--weights=last")
        self.assertEqual(code, 1)
        self.assertIn("Expected a sampler fitted to these weights", err)
        self.assertIn(f"{run_dir} --weights=last, then python -m", err)

    def test_how_a_mixture_is_fitted(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        shutil.copytree(self.run_dir, run_dir)
        argv = [f"--run_dir={run_dir}", "--kind=mixture", "--points=12"]
        fitted = []
        for more in (
            ("--components=2", "--covariance=diag"),
            ("--components=3", "--covariance=diag"),
            ("--components=2", "--covariance=tied"),
            ("--components=2", "--covariance=diag", "--seed=9"),
        ):
            code, _, err = _run(fit_sampler, *argv, *more)
            self.assertEqual(code, 0, err)
            path = fitted_lib.folder(run_dir, "mixture")
            fitted.append(fitted_lib.load(path, "mixture", ""))
        two, three, tied, other = fitted
        self.assertLen(two.weights, 2)
        self.assertLen(three.weights, 3)
        self.assertAllEqual(two.factors, two.factors * np.eye(two.z_dim))
        self.assertAllEqual(tied.factors[0], tied.factors[1])
        self.assertNotAllEqual(tied.factors, tied.factors * np.eye(two.z_dim))
        self.assertNotAllClose(np.sort(two.means, 0), np.sort(other.means, 0))

    def test_encodes_with_the_weights_that_are_asked_for(self):
        points = []
        for weights in ("best", "last"):
            out = os.path.join(self.create_tempdir().full_path, weights)
            argv = (f"--run_dir={self.run_dir}", f"--weights={weights}")
            code, _, err = _run(encode, *argv, f"--out={out}")
            self.assertEqual(code, 0, err)
            points.append(encodings.open_encoding(out, ""))
        best, last = points
        self.assertEqual((best.made["weights"], last.made["weights"]), ("best", "last"))
        self.assertNotAllClose(best.z_mean[:], last.z_mean[:])

    def test_truncated(self):
        code, err, out = self._draw("--kinds=truncated", "--limits=0.5,2")
        self.assertEqual(code, 0, err)
        names = ["truncated_0.5.png", "truncated_2.png"]
        self.assertCountEqual(os.listdir(out), names)

    @parameterized.parameters(
        ((), 2, "--run_dir is required"),
        (("--run_dir=RUN", "--split=exam"), 1, "tools.encode --run_dir="),
        (("--run_dir=RUN", "--components=0"), 2, "expected numbers from 1"),
        (("--run_dir=RUN", "--kind=mixture", "--components=21"), 1, "from 1 to 20 co"),
        (("--run_dir=RUN", "--kind=uniform"), 2, "--kind=uniform: value should be one"),
    )
    def test_refuses_in_a_sentence(self, argv, code, message):
        got, _, err = _run(fit_sampler, *(a.replace("RUN", self.run_dir) for a in argv))
        self.assertIn(message, err)
        self.assertEqual(got, code)
        self.assertLen(err.strip().splitlines(), 1)

    def test_a_sampler_that_is_missing(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        shutil.copytree(self.run_dir, run_dir)
        shutil.rmtree(os.path.join(run_dir, "samplers"), ignore_errors=True)
        code, _, err = _run(generate, f"--run_dir={run_dir}", "--kinds=gaussian")
        self.assertEqual(code, 1)
        for text in ("a fitted sampler", f"tools.fit_sampler --run_dir={run_dir} --k"):
            self.assertIn(text, err)


if __name__ == "__main__":
    tf.test.main()
