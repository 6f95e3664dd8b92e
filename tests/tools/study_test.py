"""The studies, on tiny runs that stand in for trained ones."""

import html.parser
import json
import os
import shutil
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.core.util import event_pb2

from pipelines import config as data_config_lib
from pipelines import files, shards
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tests.vae_prod import hardware
from tools import runs, study
from tools.studies import battery, catalogue, outcome, published
from tools.studies import config as studies_config
from tools.studies import lab as lab_lib
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.training import run_directory

_TINY = (
    "--filters=4,6",
    "--z_dim=2",
    "--batch_size=20",
    "--epochs=1",
    "--jit_compile=false",
    "--recompute_batch_norm=0",
)
_SMALL_PICTURES = (
    "--rows=1",
    "--columns=3",
    "--limits=1,3",
    "--sharpness=3",
    "--facts=1,5",
    "--clusters=4",
    "--components=2",
    "--second_stage_epochs=1",
    "--measured_images=8",
    "--repeats=1",
    "--strengths=-2,4",
    "--tsne_points=9",
)
_MODES = ("vae", "ae")
# The runs that a study trains, by name.
_TRAINED = {
    "samplers": {"vae", "ae"},
    "decoder_artifacts": {"conv2d_transpose", "upsampling"},
    "ae_vs_vae": {"ae", "tiny_kl", "vae"},
    "plane": {"vae", "ae"},
    "fact_sweep": {"fact_1", "fact_5"},
    "measures": set(battery.MODELS),
    "denoise": {"noise", "pixel_dropout"},
    "recolour": {"recolour"},
}


def _of(*runs):
    """Return the names of the studies that look at such runs."""
    return [study.name for study in catalogue.STUDIES.values() if study.runs in runs]


class _Images(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.count = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count += tag == "img"


def _event_tags(folder) -> set[str]:
    """Return the tags of all events in a folder."""
    tags = set()
    for name in os.listdir(folder):
        if "tfevents" in name:
            for record in tf.data.TFRecordDataset(os.path.join(folder, name)):
                event = event_pb2.Event.FromString(record.numpy())
                tags |= {value.tag for value in event.summary.value}
    return tags


def _write_run(run_dir, data_dir, mode):
    """Write a run as training leaves it after an epoch, but for what it learns."""
    keras.utils.set_random_seed(1)
    config = config_lib.ModelConfig(
        image_shape=(16, 16, 3), filters=(4, 6), z_dim=2, mode=mode
    )
    run = run_directory.Run(
        config,
        config_lib.TrainConfig(epochs=1),
        data_config_lib.DataConfig(batch_size=20),
        data_dir,
        shards.load_manifest(data_dir).digest(),
    )
    folder = os.path.join(run_dir, "weights", "last")
    os.makedirs(folder)
    vae_lib.VAE(config).save_weights(os.path.join(folder, "vae.weights.h5"))
    run_directory.write(run_dir, run, "")
    with open(os.path.join(run_dir, "history.csv"), "w") as file:
        file.write("epoch,total_loss,reco_loss,kl_loss,val_total_loss\n")
        file.write("1,170.5,168.25,2.25,171.5\n")


def _change(run_dir, section, **changes):
    """Change what a run's settings say."""
    path = os.path.join(run_dir, "config.json")
    with open(path) as file:
        values = json.load(file)
    values[section] |= changes
    with open(path, "w") as file:
        json.dump(values, file)


def _placed(points, *_, **__):
    """Stand in for t-SNE, which takes seconds."""
    return np.asarray(points)[:, :2]


class StudyTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = os.path.join(cls.get_temp_dir(cls()), "study")
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.data_dir = os.path.join(cls.root, "data")
        os.makedirs(cls.data_dir)
        sizes = {"train": (60,), "validation": (4,), "test": (12,)}
        shard_fixtures.write(cls.data_dir, sizes, shape=(16, 16, 3))
        for mode in _MODES:
            _write_run(cls._run(mode), cls.data_dir, mode)

    @classmethod
    def _run(cls, mode):
        return os.path.join(cls.root, mode)

    def _study(self, name, *argv, given=True):
        """Make a study; return exit code, output, errors and its folder."""
        out = os.path.join(self.create_tempdir().full_path, name)
        small = _SMALL_PICTURES if given else ()
        return *train_test.run_program(
            study, f"--study={name}", f"--out={out}", *small, *argv
        ), out

    def test_all_its_runs_have_one_precision(self):
        flags = (f"--data_dir={self.data_dir}", "--mixed_precision=auto")
        with (
            hardware.on_processor("avx512_bf16"),
            mock.patch.object(catalogue.Study, "load") as load,
        ):
            load.return_value.study.side_effect = files.UserError("enough")
            _, _, err, _ = self._study("plane", *flags, given=False)
        self.assertEqual(err, "error: enough\n")
        (lab,) = load.return_value.study.call_args.args
        self.assertEqual(lab.train.mixed_precision, "bfloat16")

    def _with_corruption(self, kind):
        """Return a copy of a run that says its input was damaged."""
        path = os.path.join(self.create_tempdir().full_path, kind)
        shutil.copytree(self._run("ae"), path)
        _change(path, "data", corruption=kind)
        return path

    def _trained(self, plans):
        """Stand in for training: the tiny runs, by the mode that is planned."""
        paths = {}
        for name, plan in plans.items():
            if plan.get("corruption"):
                paths[name] = self._with_corruption(plan["corruption"])
            else:
                paths[name] = self._run(plan.get("mode", "vae"))
        return paths

    def _check_outcome(self, out):
        with open(os.path.join(out, "figures.json")) as file:
            figures = json.load(file)
        with open(os.path.join(out, "report.html"), encoding="utf-8") as file:
            page = file.read()
        pictures = os.listdir(os.path.join(out, "pictures"))
        self.assertNotEmpty(pictures)
        self.assertEqual(_Images(page).count, len(pictures))
        self.assertIn("python -m tools.study", page)
        self.assertIn(figures["made"]["data"]["digest"][:12], page)
        self.assertNotIn("NaN", json.dumps(figures))
        tags = _event_tags(os.path.join(out, "tensorboard"))
        self.assertContainsSubset([name[:-4] for name in pictures], tags)
        return figures["found"], page

    @parameterized.parameters(*_of(catalogue.ONE_RUN, catalogue.GIVEN_RUN))
    def test_looks_at_one_run(self, name):
        run_dir = f"--run_dir={self._run('vae')}"
        with mock.patch("vae_prod.latent.statistics.tsne", _placed):
            code, _, err, out = self._study(name, run_dir, "--recompute_batch_norm=0")
        self.assertEqual(code, 0, err)
        figures, page = self._check_outcome(out)
        losses = figures["losses"].get("run", figures["losses"])
        self.assertEqual(losses["total_loss"], 170.5)
        title = catalogue.STUDIES[name].title.format(run="vae")
        self.assertIn(f"<h1>{title}</h1>", page)
        if name == "attributes":
            self.assertIn("then with -2, 4 times the vector added", page)
        if name == "report":
            self.assertGreater(figures["copies"]["samples"], 0)
            self.assertIn('<section id="copies">', page)

    def test_latent_space_goes_to_the_projector_too(self):
        argv = (f"--run_dir={self._run('vae')}", "--recompute_batch_norm=0")
        with mock.patch("vae_prod.latent.statistics.tsne", _placed):
            code, _, err, out = self._study("latent_space", *argv)
        self.assertEqual(code, 0, err)
        found, page = self._check_outcome(out)
        self.assertIn("9 points, picked at random", page)
        self.assertEqual(found["images"], 60)
        self.assertEqual(list(found["clusters"]), ["2", "4"])
        made = os.listdir(os.path.join(out, "tensorboard"))
        self.assertIn("projector_config.pbtxt", made)
        with open(os.path.join(out, "tensorboard", "z_mean_metadata.tsv")) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0].split("\t"), ["label", "Smiling", "Young"])
        self.assertEqual(lines[1].split("\t"), ["a", "0", "1"])
        self.assertLen(lines, 61)

    @parameterized.parameters("samplers", *_of(catalogue.SEVERAL_RUNS))
    def test_trains_several(self, name):
        wanted, planned = _TRAINED[name], {}

        def train_runs(lab, plans):
            planned.update(plans)
            return self._trained(plans)

        with mock.patch.object(lab_lib.Lab, "train_runs", train_runs):
            code, _, err, out = self._study(name, f"--data_dir={self.data_dir}", *_TINY)
        self.assertEqual(code, 0, err)
        self.assertEqual(set(planned), wanted)
        _, page = self._check_outcome(out)
        for run in wanted:
            self.assertIn(f"# {run}: ", page)

    def test_a_finished_run_is_reused_and_another_one_refused(self):
        argv = (f"--data_dir={self.data_dir}", *_TINY)
        out = os.path.join(self.create_tempdir().full_path, "out")
        command = ("--study=recolour", f"--out={out}", *_SMALL_PICTURES, *argv)
        code, first, err = train_test.run_program(study, *command)
        self.assertEqual(code, 0, err)
        self.assertIn("run 1 of 1", first)
        run = runs.load(os.path.join(out, "runs", "recolour"))
        self.assertEqual((run.model.mode, run.model.z_dim), ("ae", 2))
        self.assertEqual(run.data.corruption, "grayscale")
        code, second, err = train_test.run_program(study, *command)
        self.assertEqual(code, 0, err)
        self.assertIn("already trained", second)
        code, _, err = train_test.run_program(study, *command, "--z_dim=4")
        self.assertEqual(code, 1)
        self.assertIn("--z_dim is 2 in", err)

    def test_runs_begin_alike_whatever_came_before(self):
        drawn = {}

        def train(run_dir, *_, **__):
            drawn.setdefault(os.path.basename(run_dir), []).append(
                keras.random.normal([3]).numpy()
            )

        plans = {"other": {"fact": 2.0}, "run": {"fact": 3.0}}
        with mock.patch.object(runs, "train", train):
            self._lab("out").train_runs(plans)
            self._lab("out").train_runs({"run": plans["run"]})
        self.assertAllEqual(*drawn["run"])

    def _lab(self, out):
        run = runs.load(self._run("vae"))
        manifest = shards.load_manifest(self.data_dir)
        settings = studies_config.StudyConfig()
        return lab_lib.Lab(
            out, self.data_dir, manifest, run.model, run.train, run.data, settings
        )

    def _refused(self, *argv):
        """Return the sentence that a study of these flags ends in."""
        out = os.path.join(self.create_tempdir().full_path, "out")
        code, _, err = train_test.run_program(study, f"--out={out}", *argv)
        self.assertEqual(code, 1, err)
        self.assertFalse(os.path.exists(os.path.join(out, "report.html")))
        return err

    def test_more_points_or_clusters_than_images_are_refused(self):
        for name, flag in (
            ("latent_space", "clusters"),
            ("latent_space", "tsne_points"),
            ("samplers", "components"),
        ):
            argv = (f"--data_dir={self.data_dir}", *_SMALL_PICTURES, f"--{flag}=61")
            err = self._refused(f"--study={name}", *argv)
            self.assertIn(f"Expected --{flag} of at most 60, as many as", err)

    def test_a_data_set_without_labels_is_refused_where_they_are_needed(self):
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(
            data_dir, {"train": (4,), "test": (4,)}, (16, 16, 3), annotated=False
        )
        for name in ("plane", "attributes"):
            err = self._refused(f"--study={name}", f"--data_dir={data_dir}", *_TINY)
            self.assertIn("Expected labels or attributes", err)
            self.assertIn("needs none: reconstruction, generation", err)

    def test_an_unknown_attribute_is_refused(self):
        argv = (f"--run_dir={self._run('vae')}", "--attributes=Smiling,Nose")
        err = self._refused("--study=attributes", *argv)
        self.assertIn("out of Smiling, Young, received Nose", err)

    def test_a_plane_has_two_dimensions(self):
        out = os.path.join(self.create_tempdir().full_path, "plane")
        argv = (f"--data_dir={self.data_dir}", f"--out={out}", *_TINY, "--z_dim=3")
        code, _, err = train_test.run_program(study, "--study=plane", *argv)
        self.assertEqual(code, 2)
        self.assertIn("received --z_dim=3", err)

    def test_images_that_cannot_be_compared_are_refused_before_training(self):
        data_dirs = {}
        for told, side, count in (("7x7 to compare", 6, 9), ("7 held-out im", 8, 4)):
            data_dirs[told] = self.create_tempdir().full_path
            sizes = {"train": (9,), "test": (count,)}
            shard_fixtures.write(data_dirs[told], sizes, (side, side, 3))
        for row in catalogue.STUDIES.values():
            if row.runs == catalogue.GIVEN_RUN:
                continue
            name, parts = f"--study={row.name}", vars(row.load())
            with self.subTest(name):
                self.assertEqual(
                    row.is_measured, bool({"quality", "judges"} & {*parts})
                )
                for told, data_dir in data_dirs.items() if row.is_measured else ():
                    argv = (f"--data_dir={data_dir}", *_TINY, "--batch_size=3")
                    with mock.patch.object(runs, "train") as train:
                        err = self._refused(name, *argv, "--filters=4")
                    self.assertIn(told, err)
                    train.assert_not_called()

    def test_grey_images_cannot_be_coloured(self):
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(data_dir, {"train": (4,), "test": (4,)}, (16, 16, 1))
        err = self._refused("--study=recolour", f"--data_dir={data_dir}", *_TINY)
        self.assertIn("Expected colour images", err)

    def test_a_run_directory_is_not_written_over(self):
        run_dir = self._run("vae")
        argv = ("--study=generation", f"--run_dir={run_dir}", f"--out={run_dir}")
        code, _, err = train_test.run_program(study, *argv)
        self.assertEqual(code, 1)
        self.assertIn("holds other files", err)

    def test_pictures_of_others_are_left_alone(self):
        out = self.create_tempdir()
        out.create_file("pictures/holiday.png")
        argv = ("--study=generation", f"--run_dir={self._run('vae')}")
        code, _, err = train_test.run_program(study, *argv, f"--out={out.full_path}")
        self.assertEqual(code, 1)
        self.assertIn("holds other files (pictures)", err)
        self.assertEqual(os.listdir(os.path.join(out, "pictures")), ["holiday.png"])

    def test_another_study_is_left_alone(self):
        out = self.create_tempdir().full_path
        outcome.begin("plane", out)
        argv = ("--study=generation", f"--run_dir={self._run('vae')}")
        code, _, err = train_test.run_program(study, *argv, f"--out={out}")
        self.assertEqual(code, 1)
        self.assertIn("one of the study generation as --out", err)

    def test_an_unfinished_run_has_no_report(self):
        path = os.path.join(self.create_tempdir().full_path, "unfinished")
        shutil.copytree(self._run("vae"), path)
        _change(path, "train", epochs=3)
        argv = (f"--run_dir={path}", "--recompute_batch_norm=0")
        err = self._refused("--study=report", *argv)
        self.assertIn("it has done 1 of 3 epochs", err)
        shutil.rmtree(os.path.join(path, "weights"))
        err = self._refused("--study=report", *argv)
        self.assertIn("it has not finished an epoch", err)

    def test_looks_at_the_weights_that_are_asked_for(self):
        path = os.path.join(self.create_tempdir().full_path, "best")
        shutil.copytree(self._run("vae"), path)
        shutil.move(f"{path}/weights/last", f"{path}/weights/best")
        argv = (f"--run_dir={path}", "--recompute_batch_norm=0")
        err = self._refused("--study=generation", *argv)
        self.assertIn("weights/last, found none", err)
        code, _, err, out = self._study("generation", *argv, "--weights=best")
        self.assertEqual(code, 0, err)
        self.assertIn("best weights", self._check_outcome(out)[1])

    def test_published_figures_stand_beside_like_models_only(self):
        opened = self._lab("out").open(self._run("vae"))
        self.assertIsNone(published.of(opened))
        like = mock.Mock(data_name="celeb_a")
        like.run.model = config_lib.ModelConfig()
        self.assertEqual(published.of(like).losses["kl_loss"], "176")
        like.run.model = config_lib.ModelConfig(fact=1.0)
        self.assertIsNone(published.of(like))
        like.run.model = config_lib.ModelConfig()
        like.data_name = "others"
        self.assertIsNone(published.of(like))


class RefusalTest(tf.test.TestCase, parameterized.TestCase):
    """What a study refuses, each in a sentence."""

    @parameterized.parameters(
        ((), "--study is required"),
        (("--study=nothing",), "--study takes reconstruction, generation"),
        (("--study=generation",), "received neither"),
        (("--study=report", "--data_dir=x"), "--run_dir is required"),
        (("--study=plane", "--run_dir=x"), "trains its own runs"),
        (
            ("--study=generation", "--run_dir=x", "--fact=3"),
            "is looked at as it was trained, received --fact too",
        ),
        (("--study=generation", "--data_dir=x", "--limits=0"), "'limits'"),
    )
    def test_flags_that_do_not_go_together(self, argv, message):
        code, _, err = train_test.run_program(study, *argv)
        self.assertEqual(code, 2)
        self.assertIn(message, err)


if __name__ == "__main__":
    tf.test.main()
