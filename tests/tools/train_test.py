"""The tools that make and read a run directory, on one tiny run."""

import collections
import contextlib
import csv
import io
import os
import pathlib
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import asides, files, folders
from tests.pipelines import shard_fixtures
from tests.vae_prod import hardware, run_record
from tools import encode, export, flags, generate, models, runs, study, train, tune
from tools import program as program_lib
from vae_prod.core import accelerators, nvidia
from vae_prod.model import vae
from vae_prod.training import cluster
from vae_prod.training import run as run_lib

TINY = (
    "--filters=4,6",
    "--z_dim=3",
    "--batch_size=8",
    "--epochs=2",
    "--jit_compile=false",
)


def run_program(program, *argv) -> tuple[int, str, str]:
    """Run a program; return its exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = program_lib.run(program, argv)
        except SystemExit as error:
            code = error.code
    return code, out.getvalue(), err.getvalue()


class RunDirectoryTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = os.path.join(cls.get_temp_dir(cls()), "run_directory")
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.data_dir = os.path.join(cls.root, "data")
        sizes = {"train": (12, 8), "validation": (5,), "test": (7,)}
        os.makedirs(cls.data_dir)
        shard_fixtures.write(cls.data_dir, sizes, shape=(8, 8, 3))
        cls.run_dir = os.path.join(cls.root, "run [1]*?")  # Taken as it stands.
        code, cls.printed, err = run_program(train, *cls._argv(cls.run_dir))
        if code:
            raise AssertionError(err)

    @classmethod
    def _argv(cls, run_dir, *more):
        return (f"--data_dir={cls.data_dir}", f"--run_dir={run_dir}", *TINY, *more)

    def _begin(self, run_dir, *argv):
        """Make a run directory, or go on in one, up to where the training begins."""
        with mock.patch.object(run_lib, "fit") as fit:
            code, _, err = run_program(train, *self._argv(run_dir, *argv))
        self.assertEqual(code, 0, err)
        fit.assert_called_once()

    def _fresh(self, name):
        """Return a copy of the finished run, to change."""
        path = os.path.join(self.create_tempdir().full_path, name)
        shutil.copytree(self.run_dir, path)
        return path

    def test_says_what_it_is_about_to_do(self):
        for text in ("data:", "batch 8, 2 epochs of 2 steps", "parameters", "jit off"):
            self.assertIn(text, self.printed)
        self.assertIn("tensorboard --logdir=", self.printed)

    @parameterized.parameters("--gradient_accumulation=5", "--profile_steps=5,6")
    def test_a_run_that_would_do_nothing_is_refused(self, argument):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        code, _, err = run_program(train, *self._argv(run_dir, argument))
        self.assertEqual(code, 1)
        self.assertRegex(err, r"^error: Expected --\w+ within the 4 steps.*5: .*\n$")

    @parameterized.parameters(
        ("auto", ["avx512_bf16"], "bfloat16", False),
        ("auto", ["avx2"], "float32", False),
        ("bfloat16", ["avx2"], "bfloat16", True),
        ("bfloat16", ["avx512_bf16"], "bfloat16", False),
    )
    def test_precision_on_this_processor(self, flag, there, expected, is_told):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        argv = self._argv(run_dir, f"--mixed_precision={flag}")
        with (
            hardware.on_processor(*there),
            mock.patch.object(vae.VAE, "fit") as fit,
        ):
            code, printed, err = run_program(train, *argv)
        self.assertEqual(code, 0, err)
        fit.assert_called_once()
        self.assertIn(f", {expected}, jit", printed)
        self.assertEqual("note:   this processor emulates" in printed, is_told)
        self.assertEqual(runs.load(run_dir).train.mixed_precision, expected)
        # On another machine it goes on as it began.
        with hardware.on_processor(), mock.patch.object(run_lib, "fit") as fit:
            code, _, err = run_program(
                train, *argv, "--resume", "--mixed_precision=auto"
            )
        self.assertEqual(code, 0, err)
        self.assertEqual(fit.call_args.args[1].mixed_precision, expected)

    def test_how_often_and_how_long(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        # Without batch norm and learning, no epoch is better than the first.
        still = ("--learning_rate=1e-30", "--batch_norm=false", "--epochs=5")
        often = ("--log_every_steps=1", "--images_every_epochs=2")
        often += ("--checkpoint_every_steps=1", "--keep_checkpoints=3")
        argv = (*still, *often, "--early_stopping=2", "--profile_steps=2,2")
        code, _, err = run_program(train, *self._argv(run_dir, *argv))
        self.assertEqual(code, 0, err)
        with open(os.path.join(run_dir, "history.csv")) as file:
            self.assertLen(list(csv.DictReader(file)), 3)
        kept = folders.listed(os.path.join(run_dir, "checkpoints"))
        self.assertEqual(kept, ["step-4", "step-5", "step-6"])
        log = os.path.join(run_dir, "tensorboard")
        steps, found = collections.defaultdict(set), []
        for folder, _, names in os.walk(log):
            found += names
            for path in (os.path.join(folder, n) for n in names if "tfevents" in n):
                for event in tf.compat.v1.train.summary_iterator(path):
                    for value in event.summary.value:
                        steps[value.metadata.plugin_data.plugin_name].add(event.step)
        self.assertEqual(steps["scalars"], {1, 2, 3, 4, 5, 6})
        self.assertEqual(steps["images"], {4})
        self.assertTrue(any(name.endswith(".xplane.pb") for name in found))

    def test_a_warm_up_that_does_not_end_is_told(self):
        argv = ("--fact_schedule=linear", "--epochs=1")
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        code, printed, err = run_program(train, *self._argv(run_dir, *argv))
        self.assertEqual(code, 0, err)
        self.assertIn("note:   in 2 steps fact reaches 0% (--fact_warmup", printed)

    @parameterized.parameters("memory", "device")
    def test_a_cache_changes_nothing(self, cache):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        code, _, err = run_program(train, *self._argv(run_dir, f"--cache={cache}"))
        self.assertEqual(code, 0, err)
        run_record.assert_same(self, self.run_dir, run_dir)

    def test_what_does_not_go_with_a_cache_on_the_device(self):
        for argument, sentence in (
            ("--keep_last_batch", "device takes full batches"),
            ("--zoom=0.1", "crops and mirrors images, no more; received 'zoom'"),
            ("--strategy=mirrored", "--strategy=none with --cache=device"),
            ("--shuffle=blocks", "reads from memory, which needs no blocks"),
        ):
            run_dir = os.path.join(self.create_tempdir().full_path, "run")
            argv = self._argv(run_dir, "--cache=device", argument)
            code, _, err = run_program(train, *argv)
            self.assertGreater(code, 0)
            self.assertIn(sentence, err)

    def test_compiled_steps_are_kept(self):
        out = self.create_tempdir().full_path
        cache = os.path.join(out, "cache")
        argv = self._argv(os.path.join(out, "run"), f"--compile_cache={cache}")
        # In a process of its own, which reads where the cache is when it begins.
        command = [sys.executable, "-m", "tools.train", *argv]
        subprocess.run(
            [*command, "--epochs=1", "--jit_compile=true"],
            cwd=pathlib.Path(__file__).parents[2],
            check=True,
            capture_output=True,
        )
        self.assertNotEmpty(os.listdir(cache))

    @parameterized.parameters(
        (train, "--run_dir=x"),
        (tune, "--search_dir=x"),
        (study, "--study=denoise", "--out=x"),
    )
    def test_the_cache_is_known_before_tensorflow(self, program, *argv):
        seen = []

        def import_tensorflow():
            seen.append(os.environ["TF_XLA_FLAGS"])
            raise files.UserError("enough")

        with (
            mock.patch.object(program_lib, "import_tensorflow", import_tensorflow),
            mock.patch.dict(os.environ, {"TF_XLA_FLAGS": "--more"}),
        ):
            argv = (f"--data_dir={self.data_dir}", "--compile_cache=kept", *argv)
            _, _, err = run_program(program, *argv)
        self.assertIn("enough", err)
        cache = "--tf_xla_persistent_cache_directory=kept"
        self.assertEqual(seen, [f"--more {cache}"])

    def test_flags_file_repeats_the_run(self):
        again = os.path.join(self.create_tempdir().full_path, "again")
        path = os.path.join(self.run_dir, "flags.txt")
        code, _, err = run_program(train, f"--flagfile={path}", f"--run_dir={again}")
        self.assertEqual(code, 0, err)
        rows = []
        for run_dir in (self.run_dir, again):
            with open(os.path.join(run_dir, "history.csv")) as file:
                rows.append([row["total_loss"] for row in csv.DictReader(file)])
        self.assertEqual(*rows)

    def test_settings_come_back(self):
        run = runs.load(self.run_dir)
        self.assertEqual(run.model.filters, (4, 6))
        self.assertEqual(run.model.image_shape, (8, 8, 3))
        self.assertEqual(run.data.batch_size, 8)
        self.assertEqual(run.train.epochs, 2)

    def test_a_run_that_diverges_ends_in_a_sentence(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "diverged")
        argv = self._argv(run_dir, "--epochs=3", "--learning_rate=1e9")
        code, _, err = run_program(train, *argv, "--max_bad_steps=3")
        self.assertEqual(code, 1)
        self.assertIn("not finite in 3 steps in a row, from step 2 of epoch 1 on", err)
        self.assertLen(err.strip().splitlines(), 1)
        # What was saved before is whole: without a limit the run goes on from it.
        code, out, err = run_program(train, *argv, "--max_bad_steps=0", "--resume")
        self.assertEqual(code, 0, err)
        self.assertIn("resuming at epoch 2, step 0", out)

    def test_an_existing_run_is_not_overwritten(self):
        code, _, err = run_program(train, *self._argv(self.run_dir))
        self.assertEqual(code, 1)
        self.assertIn("holds a run already. Continue it with --resume", err)

    def test_resume_takes_more_epochs_and_refuses_other_mathematics(self):
        run_dir = self._fresh("more")
        code, out, err = run_program(
            train, *self._argv(run_dir, "--epochs=3", "--resume")
        )
        self.assertEqual(code, 0, err)
        self.assertIn("resuming at epoch 3, step 0", out)
        code, _, err = run_program(train, *self._argv(run_dir, "--resume", "--fact=2"))
        self.assertEqual(code, 1)
        self.assertIn("--fact is 5.0 in", err)
        self.assertIn("received 2.0", err)

    def test_a_cosine_over_all_epochs_keeps_them(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "cosine")
        cosine = "--learning_rate_schedule=cosine"
        self._begin(run_dir, cosine)
        longer = ("--epochs=3", "--resume")
        code, _, err = run_program(train, *self._argv(run_dir, cosine, *longer))
        self.assertEqual(code, 1)
        self.assertIn("--epochs is 2 in", err)
        run_dir = os.path.join(self.create_tempdir().full_path, "own_length")
        cosine = (cosine, "--learning_rate_decay_steps=5")
        for more in ((), longer):
            self._begin(run_dir, *cosine, *more)

    def test_another_data_set_is_refused(self):
        run_dir = self._fresh("other_data")
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(data_dir, {"train": (9,)}, shape=(8, 8, 3))
        argv = self._argv(run_dir, "--resume", f"--data_dir={data_dir}")
        code, _, err = run_program(train, *argv)
        self.assertEqual(code, 1)
        self.assertIn("trained on another conversion", err)

    def test_resume_before_a_checkpoint_starts_from_the_same_weights(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "warm")
        argv = self._argv(run_dir, "--epochs=1", "--learning_rate=1e-30")
        run_program(train, *argv, f"--init_from={self.run_dir}")
        shutil.rmtree(os.path.join(run_dir, "checkpoints"))
        code, out, err = run_program(train, *argv, "--resume")
        self.assertEqual(code, 0, err)
        self.assertNotIn("resuming", out)
        loaded = [
            models.load_model(path, which)[1]
            for path, which in ((self.run_dir, "best"), (run_dir, "last"))
        ]
        for one, two in zip(*(m.trainable_weights for m in loaded), strict=True):
            self.assertAllClose(one, two, atol=1e-6)

    def test_checkpoints_of_another_run_are_refused(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "other")
        argv = self._argv(run_dir, "--epochs=1", "--fact=2")
        self._begin(run_dir, "--epochs=1", "--fact=2")
        folder = os.path.join(run_dir, "checkpoints")
        shutil.copytree(os.path.join(self.run_dir, "checkpoints"), folder)
        code, _, err = run_program(train, *argv, "--resume")
        self.assertEqual(code, 1)
        self.assertIn("Expected a checkpoint of configuration", err)
        self.assertLen(err.strip().splitlines(), 1)

    @parameterized.parameters(
        (("--resume", "--init_from=x"), 2, "Give one of them."),
        (("--init_from=x",), 1, "Expected saved weights in x"),
        (("--ema=1",), 2, "'ema' must be < 1.0"),
        (("--gradient_accumulation=0",), 2, "'gradient_accumulation' must be >= 1"),
        (("--fact=-1",), 2, "'fact' must be >= 0"),
        (("--strides=3",), 2, "need an image size divisible by 9"),
        (("--decoder=magic",), 2, "--decoder=magic: value should be one of"),
        (("--kernel_sizes=3,3,3",), 2, "'kernel_sizes' must hold one number or 2"),
        (("--data_dir=",), 2, "--data_dir is required"),
        (("--data_dir=/nowhere",), 1, "Expected a converted data set"),
        (("--batch_size=100",), 1, "Lower batch_size"),
        (("--cluster=a:1,b:2", "--worker=0"), 2, "--cluster and --worker are for"),
        (("--strategy=multi_worker",), 1, "found none; give --cluster"),
        (
            ("--strategy=multi_worker", "--cluster=a:1,b:2", "--worker=0"),
            1,
            "multiple of the 2 workers, received 1",
        ),
        (("--microbatches=3",), 1, "--microbatches=3 parts"),
        (("--recipe=cake",), 2, "--recipe must be one of ae_1600, celeba_96"),
        (("--run_dir=gs://bucket/run",), 2, "a path of this machine"),
    )
    def test_refuses_in_a_sentence(self, more, code, message):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        got, _, err = run_program(train, *self._argv(run_dir, *more))
        self.assertIn(message, err)
        self.assertEqual(got, code)
        self.assertLen(err.strip().splitlines(), 1)
        self.assertFalse(os.path.exists(os.path.join(run_dir, "config.json")))

    def test_a_folder_of_other_files_is_refused(self):
        run_dir = self.create_tempdir().full_path
        with open(os.path.join(run_dir, "thesis.tex"), "w"):
            pass
        code, _, err = run_program(train, *self._argv(run_dir))
        self.assertEqual(code, 1)
        self.assertIn("holds other files", err)
        self.assertEqual(os.listdir(run_dir), ["thesis.tex"])

    def test_a_run_that_was_killed_before_its_settings_begins_again(self):
        run_dir = self.create_tempdir()
        for name in (asides.path("config.json", process=99_999_999), folders.LOCK):
            run_dir.create_file(name)
        argv = self._argv(run_dir.full_path, "--epochs=1", "--resume")
        code, out, err = run_program(train, *argv)
        self.assertEqual(code, 0, err)
        self.assertIn("starting fresh", out)
        names = os.listdir(run_dir)
        self.assertIn("config.json", names)
        self.assertEqual(folders.listed(run_dir), sorted(names))

    @parameterized.named_parameters(
        ("train", train, "", ("--resume",)),
        ("study", study, "out", ("--study=generation",)),
        ("encode", encode, "out", ()),
    )
    def test_two_at_once_are_refused(self, program, name, argv):
        run_dir = self._fresh("two")
        argv = (*argv, f"--run_dir={run_dir}")
        if program is train:
            argv = (*self._argv(run_dir), *argv)
        out = os.path.join(run_dir, name)
        lock = os.path.join(out, folders.LOCK)
        if program is encode:
            lock = os.path.join(run_dir, f".{name}{folders.LOCK}")
        if name:
            argv += (f"--out={out}",)
        os.makedirs(out, exist_ok=True)
        before = sorted(os.listdir(out))
        with files.locked(lock):
            code, _, err = run_program(program, *argv)
        self.assertEqual(code, 1)
        self.assertIn("for this process alone", err)
        self.assertEqual(sorted(os.listdir(out)), before)

    def test_a_data_set_by_its_remote_name(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "remote")
        data_dir = f"file://{self.data_dir}"
        argv = self._argv(run_dir, f"--data_dir={data_dir}", "--epochs=1")
        code, _, err = run_program(train, *argv)
        self.assertEqual(code, 0, err)
        self.assertEqual(runs.load(run_dir).data_dir, data_dir)
        code, _, err = run_program(encode, f"--run_dir={run_dir}", "--split=test")
        self.assertEqual(code, 0, err)

    def test_generate_draws_every_picture(self):
        out = self.create_tempdir().full_path
        argv = ["--limits=0.5,3", "--sharpness=1,6", "--rows=2", "--columns=3"]
        argv += ["--splits=train,validation"]
        code, printed, err = run_program(
            generate, f"--run_dir={self.run_dir}", f"--out={out}", *argv
        )
        self.assertEqual(code, 0, err)
        names = ["prior", "uniform_0.5", "uniform_3"]
        for split in ("train", "validation"):
            names += [f"reconstructions_{split}", f"interpolation_{split}"]
        files = [f"{n}{s}.png" for n in names for s in ("", "_sharpness_6")]
        self.assertCountEqual(os.listdir(out), files)
        self.assertLen(printed.split(), len(files))
        pairs = np.asarray(Image.open(os.path.join(out, "reconstructions_train.png")))
        self.assertAllEqual(pairs.shape, [4 * 10 - 2, 3 * 10 - 2, 3])

    def test_encode_writes_every_image_of_a_split(self):
        out = os.path.join(self.create_tempdir().full_path, "points")
        argv = [f"--run_dir={self.run_dir}", "--split=test", f"--out={out}"]
        code, _, err = run_program(encode, *argv)
        self.assertEqual(code, 0, err)
        self.assertAllEqual(np.load(os.path.join(out, "z_mean.npy")).shape, [7, 3])
        with open(os.path.join(out, "keys.txt")) as file:
            self.assertLen(set(file.read().split()), 7)

    def test_encode_leaves_files_of_others_alone(self):
        out = self.create_tempdir()
        out.create_file("thesis.tex")
        argv = (f"--run_dir={self.run_dir}", f"--out={out.full_path}")
        code, _, err = run_program(encode, *argv)
        self.assertEqual(code, 1)
        self.assertIn("holds other files (thesis.tex)", err)
        self.assertEqual(os.listdir(out), ["thesis.tex"])

    def test_exports_into_patterns_are_refused(self):
        code, _, err = run_program(export, f"--run_dir={self.run_dir}")
        self.assertEqual(code, 1)
        self.assertIn("Expected a path without * ? [ ] as --out", err)

    def test_batch_norm_can_be_recomputed_before_use(self):
        pictures = []
        for batches in (0, 2):
            out = self.create_tempdir().full_path
            argv = (
                f"--out={out}",
                "--kinds=prior",
                f"--recompute_batch_norm={batches}",
            )
            code, _, err = run_program(generate, f"--run_dir={self.run_dir}", *argv)
            self.assertEqual(code, 0, err)
            pictures.append(np.asarray(Image.open(os.path.join(out, "prior.png"))))
        self.assertNotAllEqual(*pictures)

    @parameterized.parameters(
        (generate, (), "Expected one of --run_dir and --export_dir"),
        (generate, ("--kinds=poems",), "--kinds takes prior, uniform"),
        (generate, ("--columns=1",), "--columns=1: expected numbers from 2"),
        (encode, ("--run_dir=/nowhere",), "Expected a run directory with config.json"),
        (encode, ("--export_dir=/nowhere",), "made by tools.export"),
        (export, (), "--run_dir is required"),
    )
    def test_readers_refuse_in_a_sentence(self, program, argv, message):
        code, _, err = run_program(program, *argv)
        self.assertIn(message, err)
        self.assertNotEqual(code, 0)
        self.assertLen(err.strip().splitlines(), 1)

    def test_how_devices_are_set_up(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        flags = ("--gpu_memory_limit_mb=123", "--deterministic")
        config, limited = tf.config, mock.Mock()
        gpu = mock.Mock(device_type="GPU")
        with (
            mock.patch.object(config, "get_visible_devices", return_value=[gpu]),
            mock.patch.object(config, "set_logical_device_configuration", limited),
            mock.patch.object(config.experimental, "enable_op_determinism") as ordered,
        ):
            self._begin(run_dir, *flags)
        (device, (limit,)), _ = limited.call_args
        self.assertEqual((device, limit.memory_limit), (gpu, 123))
        ordered.assert_called_once_with()

    def test_how_long_workers_wait(self):
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        workers = ("--strategy=multi_worker", "--cluster=a:1,b:2", "--worker=0")
        argv = self._argv(run_dir, *workers, "--microbatches=2", "--step_timeout=7")
        with mock.patch.object(cluster, "join", side_effect=files.UserError("enough")):
            code, _, err = run_program(train, *argv)
            self.assertEqual((code, err), (1, "error: enough\n"))
            self.assertEqual(cluster.join.call_args.args[1].step_timeout, 7)

    def test_damaged_shards_are_told_in_a_sentence(self):
        data_dir = os.path.join(self.create_tempdir().full_path, "damaged")
        shutil.copytree(self.data_dir, data_dir)
        (name,) = (n for n in os.listdir(data_dir) if "train.tfrecord-00000" in n)
        with open(os.path.join(data_dir, name), "r+b") as file:
            file.seek(300)
            file.write(b"damage")
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        code, _, err = run_program(
            train, *self._argv(run_dir, f"--data_dir={data_dir}")
        )
        self.assertEqual(code, 1)
        self.assertIn("its checksum doesn't fit", err)
        self.assertIn("tools.verify_shards", err)
        # Skipped, where that is allowed. By the minute there is a checkpoint each step.
        shutil.rmtree(run_dir)
        allowed = ("--max_bad_records=3", "--keep_checkpoints=9")
        often = ("--checkpoint_every_minutes=1e-9", f"--data_dir={data_dir}")
        code, _, err = run_program(train, *self._argv(run_dir, *allowed, *often))
        self.assertEqual(code, 0, err)
        kept = [
            sorted(os.listdir(os.path.join(folder, "checkpoints")))
            for folder in (self.run_dir, run_dir)
        ]
        self.assertEqual(kept[0], ["step-2", "step-4"])
        self.assertEqual(kept[1], ["step-1", "step-2", "step-3", "step-4"])

    def test_unknown_split(self):
        code, _, err = run_program(encode, f"--run_dir={self.run_dir}", "--split=exam")
        self.assertEqual(code, 1)
        self.assertIn("['test', 'train', 'validation'], received 'exam'", err)

    def test_images_of_another_shape_are_refused(self):
        data_dir = self.create_tempdir().full_path
        shard_fixtures.write(data_dir, {"train": (9,)}, shape=(4, 4, 3))
        argv = [f"--run_dir={self.run_dir}", f"--data_dir={data_dir}"]
        code, _, err = run_program(encode, *argv)
        self.assertEqual(code, 1)
        self.assertIn("Expected images of shape (8, 8, 3)", err)

    def test_damaged_settings(self):
        run_dir = self._fresh("damaged")
        with open(os.path.join(run_dir, "config.json"), "w") as file:
            file.write("{}")
        code, _, err = run_program(export, f"--run_dir={run_dir}")
        self.assertEqual(code, 1)
        self.assertIn("can't be read", err)


class RecipeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*program_lib.recipe_names())
    def test_every_recipe_is_accepted(self, recipe):
        from pipelines import config as data_config_lib
        from vae_prod import config as config_lib

        values = program_lib.parse(train, [f"--recipe={recipe}"])
        shape = (32, 32, 1) if recipe == "fashion_2d" else (96, 96, 3)
        flags.build(values, config_lib.ModelConfig, image_shape=shape)
        flags.build(values, config_lib.TrainConfig)
        flags.build(values, data_config_lib.DataConfig)

    def test_later_flags_win(self):
        values = program_lib.parse(train, ["--recipe=tiny_kl", "--z_dim=7"])
        self.assertEqual((values.fact, values.z_dim), (1e-5, 7))


class UnusedGpuTest(tf.test.TestCase, parameterized.TestCase):
    """An NVIDIA GPU is there, and TensorFlow has no CUDA libraries."""

    @parameterized.parameters(
        ((), "note: CPU alone, though .*", "Expected .*manifest"),
        (("--cpu_only",), "", "Expected .*manifest"),
        (("--require_gpu",), "", "--require_gpu.*pip install"),
    )
    def test_is_told_in_a_line(self, argv, told, refused):
        folder = self.create_tempdir().full_path
        paths = (f"--data_dir={folder}", f"--run_dir={folder}/run")
        with (
            mock.patch.object(nvidia, "has_driver", return_value=True),
            mock.patch.object(accelerators, "visible", return_value=[]),
        ):
            code, out, err = run_program(train, *paths, *argv)
        self.assertEqual(code, 1)
        self.assertRegex(out, f"^{told}\n?$")
        self.assertRegex(err, refused)


if __name__ == "__main__":
    tf.test.main()
