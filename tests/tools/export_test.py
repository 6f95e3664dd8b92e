"""From a run with all that can be served to an export, and this one tried out."""

import functools
import json
import os
import shutil
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import config as data_config_lib
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from tools import (
    encode,
    evaluate,
    export,
    fit_attributes,
    fit_sampler,
    generate,
    verify_export,
)
from vae_prod import config as config_lib
from vae_prod.core import seals
from vae_prod.latent import sampling
from vae_prod.model import vae as vae_lib
from vae_prod.reporting import image_grids
from vae_prod.serving import description, record, replay, versions
from vae_prod.training import run_directory

_run = train_test.run_program
# A limit that shows wherever it is taken for one of the prior.
_CONFIG = tiny.config(epsilon_limit=0.5)


def _make_run(root: str) -> str:
    """Make a run with weights, and all that is fitted to it."""
    data_dir, run_dir = os.path.join(root, "data"), os.path.join(root, "run")
    os.makedirs(data_dir)
    sizes = {"train": (12, 8), "validation": (8,)}
    manifest, _ = shard_fixtures.write(data_dir, sizes, shape=(8, 8, 3))
    keras.utils.set_random_seed(3)
    for which in ("best", "last"):
        folder = os.path.join(run_dir, "weights", which)
        os.makedirs(folder)
        model = vae_lib.VAE(_CONFIG, seed=5)  # Of other weights each time.
        model.save_weights(os.path.join(folder, "vae.weights.h5"))
    settings = config_lib.TrainConfig(), data_config_lib.DataConfig(batch_size=8)
    digest = manifest.digest()
    run_directory.write(
        run_dir, run_directory.Run(_CONFIG, *settings, data_dir, digest), ""
    )
    with open(os.path.join(run_dir, "history.csv"), "w") as file:
        file.write("epoch\n1\n2\n")
    own = f"--run_dir={run_dir}"
    for program, *argv in (
        (encode,),
        (fit_sampler,),
        (fit_attributes,),
        (evaluate, "--split=validation", "--importance_samples=0"),
    ):
        code, _, err = _run(program, own, *argv)
        if code:
            raise AssertionError(err)
    return run_dir


def _save(path: str, array: np.ndarray | None) -> None:
    """Change an array of a sealed folder, or take it away, and seal it again."""
    os.remove(path)
    if array is not None:
        np.save(path, array)
    folder = os.path.dirname(path)
    os.remove(os.path.join(folder, seals.NAME))
    seals.write(folder)


class ExportTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = os.path.join(cls.get_temp_dir(cls()), "export")
        shutil.rmtree(root, ignore_errors=True)
        cls.run_dir = _make_run(root)
        code, cls.printed, err = _run(export, f"--run_dir={cls.run_dir}")
        if code:
            raise AssertionError(err)
        cls.version = os.path.join(cls.run_dir, "export", "1")

    @classmethod
    @functools.cache
    def _little(cls) -> str:
        """Return an export of few signatures, for all tests."""
        out = os.path.join(os.path.dirname(cls.run_dir), "little")
        limits = ("--max_batch=4", "--max_pixels=2000", "--max_request_pixels=4000")
        limits += ("--sharpness=2",)
        with tiny_exports.little():
            argv = (f"--run_dir={cls.run_dir}", f"--out={out}", *limits)
            code, _, err = _run(export, *argv)
        if code:
            raise AssertionError(err)
        return os.path.join(out, "1")

    def test_pictures_have_limits(self):
        self.assertEqual(description.load(self._little()).sharpness, 2.0)
        encode = tf.saved_model.load(self._little()).signatures["encode_jpeg"]

        def ask(*sides):
            pixels = [tf.zeros([side, side, 3], tf.uint8) for side in sides]
            files = [tf.io.encode_jpeg(picture).numpy() for picture in pixels]
            return encode(image_bytes=tf.constant(files))["z_mean"]

        self.assertAllEqual(ask(31, 31, 31, 31).shape, [4, 3])
        for sides, told in (((8, 45), r"2000 pixels.*\[1\]"), ((44,) * 3, "4000")):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, told):
                ask(*sides)
        for flag, value in (("max_pixels", 10), ("max_request_pixels", 1000)):
            out = f"--out={self.create_tempdir().full_path}"
            argv = (f"--run_dir={self.run_dir}", out, f"--{flag}={value}")
            code, _, err = _run(export, *argv)
            self.assertEqual(code, 1)
            self.assertRegex(err, f"Expected --max_pixels of at least .* {value}")

    def _copy(self) -> str:
        """Return a copy of it, to be damaged, and quick to try out."""
        path = os.path.join(self.create_tempdir().full_path, "1")
        shutil.copytree(self._little(), path)
        return path

    def _verify(self, version, *argv):
        return _run(verify_export, f"--export_dir={version}", "--seconds=0", *argv)

    def test_takes_along_what_was_fitted_and_measured(self):
        self.assertIn(f"exported: {self.version}", self.printed)
        described = description.load(self.version)
        self.assertEqual(described.samplers, ["prior", "gaussian"])
        self.assertEqual(described.attributes, ["Smiling"])
        extra = os.path.join(self.version, "assets.extra")
        with open(os.path.join(extra, "evaluation", "validation.json")) as file:
            figures = json.load(file)["figures"]
        with open(os.path.join(extra, "config.json")) as file:
            self.assertEqual(json.load(file)["model"]["z_dim"], 3)
        with open(os.path.join(self.version, "MODEL_CARD.md")) as file:
            card = file.read()
        for words in (
            "On 8 images of the split validation",
            f"{figures['psnr']['value']:.2f} ± ",
            "| epochs | 2 |",
            "train 20, validation 8",
        ):
            self.assertIn(words, card)

    def test_generates_what_generate_draws(self):
        out = self.create_tempdir().full_path
        argv = ("--kinds=prior", "--rows=1", "--columns=3", "--seed=0", f"--out={out}")
        code, _, err = _run(generate, f"--run_dir={self.run_dir}", *argv)
        self.assertEqual(code, 0, err)
        with Image.open(os.path.join(out, "prior.png")) as file:
            drawn = np.asarray(file, np.int32)
        seeds = np.arange(3, dtype=np.int64)
        self.assertGreater(np.abs(sampling.prior(seeds, 3)).max(), 0.5)
        served = tf.saved_model.load(self.version).signatures["generate"](
            seed=tf.constant(seeds),
            temperature=tf.ones([3]),
            sampler=tf.fill([3], "prior"),
        )
        served = image_grids.grid(served["image"].numpy(), 3)
        # A level: kernels round by the size of a batch.
        self.assertAllClose(served.astype(np.int32), drawn, rtol=0, atol=1)

    def test_pictures_of_an_export_are_those_of_its_run(self):
        pictures = []
        for source in (f"--run_dir={self.run_dir}", f"--export_dir={self.version}"):
            out = self.create_tempdir().full_path
            argv = (source, f"--out={out}", "--kinds=prior")
            code, _, err = _run(generate, *argv)
            self.assertEqual(code, 0, err)
            with Image.open(os.path.join(out, "prior.png")) as file:
                pictures.append(np.asarray(file))
        self.assertAllClose(*pictures, atol=1)

    def test_a_stranger_finds_nothing_wrong(self):
        path = os.path.join(self.create_tempdir().full_path, "found.json")
        code, out, err = self._verify(self.version, f"--out={path}", "--images=4")
        self.assertEqual(code, 0, err)
        self.assertIn("files, each as it was exported", out)
        with open(path) as file:
            found = json.load(file)
        names = set(found["description"]["signatures"])
        for trial in ("golden", "batches", "refusals", "after refusals", "speed"):
            self.assertEqual(set(found[trial]), names)
        own = {"encode", "decode", "reconstruct", "generate", "interpolate"}
        self.assertEqual(set(found["run"]), own)
        self.assertLess(max(found["run"].values()), 1e-5)
        sent = [each for told in found["refusals"].values() for each in told]
        self.assertGreater(len(sent), 100)
        self.assertIn(f"{len(sent)} of {len(sent)} bad requests refused", out)

    def test_what_is_wrong_is_found(self):
        version = self._copy()
        path = os.path.join(version, "assets.extra", record.GOLDEN)
        golden = replay.read(path)
        golden["decode"][1]["image"][0, 0, 0, 0] += 0.01
        record.save(path, golden)
        play, played = verify_export._play, []

        def playing(*job):
            played.append(play(*job))
            return played[-1]

        with mock.patch.object(verify_export, "_play", playing):
            code, out, err = self._verify(version)
        self.assertEqual(code, 1)
        self.assertIn("golden.npz isn't what was exported", out)
        self.assertIn("WRONG: decode differs by 0.01 (golden)", out)
        with mock.patch.object(verify_export, "_play", return_value=played[0]):
            _, out, _ = self._verify(version, "--tolerance=0.02")
        self.assertIn("golden.npz isn't what was exported", out)
        self.assertNotIn("decode differs", out)
        # On a busy machine progress is told before.
        told = [line for line in err.splitlines() if line.startswith("error: Expected")]
        self.assertLen(told, 1)

    def test_how_it_is_tried(self):
        jobs = []

        def play(job, folder):
            jobs.append(
                (
                    job["seconds"],
                    len(replay.read(job["records"]["run"])["encode"][0]["image"]),
                )
            )
            return {}

        with mock.patch.object(verify_export, "_play", play):
            for argv in (("--images=1", "--seconds=3"), ("--images=2",)):
                argv = (f"--run_dir={self.run_dir}", *argv)
                code, _, err = _run(
                    verify_export, f"--export_dir={self._little()}", *argv
                )
                self.assertEqual(code, 0, err)
        self.assertEqual(jobs, [(3.0, 1), (1.0, 2)])

    def test_what_is_damaged_is_not_loaded(self):
        version = self._copy()
        shutil.rmtree(os.path.join(version, "variables"))
        with mock.patch.object(verify_export, "_play", side_effect=AssertionError):
            code, out, err = self._verify(version)
        self.assertEqual(code, 1)
        self.assertIn("variables/variables.index is missing", out)
        self.assertRegex(err, r"found 2 differences; .* is missing\. Don't serve it")

    def test_an_export_that_does_not_load(self):
        version = self._copy()
        shutil.rmtree(os.path.join(version, "variables"))
        described = description.load(version)
        with mock.patch.object(
            description, "load", return_value=described.sealed(version)
        ):
            code, _, err = self._verify(version)
        self.assertEqual(code, 1)
        self.assertIn("to load and answer in a process of its own", err)

    @parameterized.parameters("--weights=last", "--recompute_batch_norm=1")
    def test_another_models_export(self, flag):
        argv = (self.version, f"--run_dir={self.run_dir}", flag)
        code, _, err = self._verify(*argv)
        self.assertEqual(code, 1)
        self.assertIn("Expected the weights of", err)

    def test_keeps_so_many_and_leaves_out_what_is_others(self):
        out = os.path.dirname(self._copy())
        argv = [f"--run_dir={self.run_dir}", f"--out={out}", "--weights=last"]
        with tiny_exports.little():
            code, printed, err = _run(export, *argv, "--keep=1")
        self.assertEqual(code, 0, err)
        self.assertEqual(versions.listed(out), [2])
        self.assertIn(f"removed: {os.path.join(out, '1')}", printed)
        for name in ("samplers/gaussian", "attributes/train", "evaluation/validation"):
            self.assertRegex(printed, f"left out: .*{name}.* other weights")
        described = description.load(os.path.join(out, "2"))
        self.assertEqual(described.samplers, ["prior"])

    def test_the_data_set_must_be_that_of_training(self):
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(data_dir, {"train": (4,)}, shape=(8, 8, 3))
        code, _, err = _run(
            export, f"--run_dir={self.run_dir}", f"--data_dir={data_dir}"
        )
        self.assertEqual(code, 1)
        self.assertIn("Expected the data set that the run was trained on", err)

    @parameterized.parameters(
        (export, ("--run_dir=RUN", "--max_batch=0"), 2, "expected numbers from 1"),
        (export, ("--run_dir=RUN", "--max_pixels=0"), 2, "expected numbers from 1"),
        (export, ("--run_dir=RUN", "--keep=-1"), 2, "expected numbers from 0"),
        (export, ("--run_dir=RUN", "--format=zip"), 2, "--format=zip"),
        (verify_export, (), 2, "--export_dir is required"),
        (verify_export, ("--export_dir=RUN",), 1, "Expected an export made by tools"),
        (
            verify_export,
            ("--export_dir=RUN", "--images=0"),
            2,
            "expected numbers from 1",
        ),
        (fit_attributes, (), 2, "--run_dir is required"),
        (fit_attributes, ("--run_dir=RUN", "--split=exam"), 1, "--split=exam"),
    )
    def test_refuses_in_a_sentence(self, program, argv, code, message):
        argv = [a.replace("RUN", self.run_dir) for a in argv]
        got, _, err = _run(program, *argv)
        self.assertIn(message, err)
        self.assertEqual(got, code)
        self.assertLen(err.strip().splitlines(), 1)

    def test_attributes_need_some(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        folder = os.path.join(run_dir, "encodings", "train")
        shutil.copytree(os.path.join(self.run_dir, "encodings", "train"), folder)
        path = os.path.join(folder, "attributes.npy")
        held = np.load(path)
        _save(path, np.ones_like(held))
        code, _, err = _run(fit_attributes, f"--run_dir={run_dir}")
        self.assertEqual(code, 1)
        self.assertIn("that some images have and some haven't", err)
        held[:, 1] = 0
        _save(path, held)
        code, out, err = _run(fit_attributes, f"--run_dir={run_dir}")
        self.assertEqual(code, 0, err)
        self.assertIn("fitted 1 attributes to 20 images", out)
        self.assertIn("all images or none have it: Young", out)
        _save(path, None)
        code, _, err = _run(fit_attributes, f"--run_dir={run_dir}")
        self.assertEqual(code, 1)
        self.assertIn("the data set has no attributes", err)


if __name__ == "__main__":
    tf.test.main()
