"""Tests for tools.tune: searches of tiny models, alone and with workers."""

import csv
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from unittest import mock

import keras_tuner
import numpy as np
import psutil
import pytest
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import files, folders
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tests.vae_prod import hardware
from tools import train, tune
from tools.search import roles
from vae_prod.evaluation import quality
from vae_prod.training import building, history
from vae_prod.tuning import chief_token, oracles, trials

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
    "--batch_size=8",
    "--jit_compile=false",
    "--search_fact=0.5,5",
    "--search_z_dim=2,3",
    "--search_filters=thin:2-4,4-6",
    "--measure_batch_norm=2",
    "--hyperband_factor=2",
    "--max_epochs=2",
)
_SIZES = {"train": (12, 8), "validation": (8,), "test": (2,)}


def _write_data(path, **more):
    os.makedirs(path)
    shard_fixtures.write(path, _SIZES, shape=(8, 8, 3), **more)


def _losses(run_dir):
    rows = history.read(os.path.join(run_dir, "history.csv"))
    return [(row["total_loss"], row["val_total_loss"]) for row in rows]


class SearchTest(tf.test.TestCase, parameterized.TestCase):
    """One Hyperband search: two trials of an epoch, of which the better goes on."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, root)
        cls.data_dir = os.path.join(root, "data")
        cls.search_dir = os.path.join(root, "search [1]*?")  # Taken as it stands.
        _write_data(cls.data_dir)
        code, cls.printed, err = cls._tune(cls.search_dir)
        if code:
            raise AssertionError(err)

    @classmethod
    def _tune(cls, search_dir, *more):
        return train_test.run_program(
            tune,
            f"--data_dir={cls.data_dir}",
            f"--search_dir={search_dir}",
            *_TINY,
            "--max_trials=3",
            *more,
        )

    def _copy(self):
        path = os.path.join(self.create_tempdir().full_path, "search")
        shutil.copytree(self.search_dir, path)
        return path

    def _table(self, search_dir):
        with open(os.path.join(search_dir, "leaderboard.csv")) as file:
            return list(csv.DictReader(file))

    def test_every_trial_has_its_row(self):
        rows = self._table(self.search_dir)
        self.assertEqual({row["trial"] for row in rows}, {"0", "1", "2"})
        values = [float(row["frechet"]) for row in rows]
        self.assertEqual(values, sorted(values))
        for row in rows:
            parts = row["sample_frechet"], row["reconstruction_frechet"]
            self.assertAlmostEqual(sum(map(float, parts)), float(row["frechet"]), 4)
            for name in (
                "psnr",
                "elbo",
                "active_units",
                "sampled_radius",
                "total_loss",
            ):
                self.assertTrue(np.isfinite(float(row[name])), name)
            self.assertEqual(row["bits_per_dim"], "")
            low, high = float(row["low"]), float(row["high"])
            self.assertBetween(float(row["frechet"]), low, high)
            self.assertGreater(high, low)
        self.assertEqual(rows[0]["alike"], "False")
        self.assertIn("3 of 3 trials have ended", self.printed)

    def test_the_better_goes_on_from_where_it_was(self):
        rows = {row["trial"]: row for row in self._table(self.search_dir)}
        last = rows["2"]
        first = rows[last["continues"]]
        self.assertEqual((first["epochs"], last["epochs"]), ("1", "2"))
        self.assertLessEqual(
            float(first["frechet"]),
            min(float(rows[trial]["frechet"]) for trial in "01"),
        )
        histories = [
            _losses(os.path.join(trials.directory(self.search_dir, trial), "run_0"))
            for trial in (first["trial"], "2")
        ]
        self.assertEqual(histories[0], histories[1][:1])

    def test_pictures(self):
        names = ("objective", "parallel_coordinates", "front", "samples")
        for name in names:
            path = os.path.join(self.search_dir, f"{name}.png")
            with Image.open(path) as picture:
                self.assertGreater(np.asarray(picture).std(), 0)

    def test_best_flags_train_the_best_trial(self):
        best = self._table(self.search_dir)[0]
        run_dir = os.path.join(self.create_tempdir().full_path, "run")
        code, _, err = train_test.run_program(
            train,
            f"--flagfile={self.search_dir}/best.flags",
            f"--run_dir={run_dir}",
        )
        self.assertEqual(code, 0, err)
        path = os.path.join(trials.directory(self.search_dir, best["trial"]), "run_0")
        configs = []
        for folder in (run_dir, path):
            with open(os.path.join(folder, "config.json")) as file:
                configs.append(json.load(file))
        for config in configs:
            config["train"].pop("epochs")
        self.assertEqual(*configs)
        trained, again = (_losses(folder) for folder in (path, run_dir))
        self.assertEqual(trained, again[: len(trained)])

    def test_a_finished_search_runs_nothing_again(self):
        search_dir = self._copy()
        with mock.patch.object(trials, "finish", side_effect=AssertionError):
            code, out, err = self._tune(search_dir)
        self.assertEqual(code, 0, err)
        self.assertEqual(self._table(search_dir), self._table(self.search_dir))
        self.assertIn("best settings", out)

    def test_all_trials_have_one_precision_on_whatever_machine(self):
        # Recorded is float32; this one would compute bfloat16.
        there = hardware.on_processor("avx512_bf16")
        with there, mock.patch.object(roles, "search_alone") as search:
            code, _, err = self._tune(self._copy(), "--mixed_precision=auto")
            self.assertEqual(code, 0, err)
            other = os.path.join(self.create_tempdir().full_path, "search")
            self._tune(other, "--mixed_precision=auto")
        bases = [call.args[0].base.train for call in search.call_args_list]
        found = [train.mixed_precision for train in bases]
        self.assertEqual(found, ["float32", "bfloat16"])

    def test_what_was_not_told_of_is_not_run_again(self):
        search_dir = self._copy()
        # As after a kill between a trial's result and the oracle's state.
        path = os.path.join(search_dir, "trials", "trial_2", "trial.json")
        with open(path) as file:
            state = json.load(file)
        with open(path, "w") as file:
            json.dump(state | {"status": "RUNNING"}, file)
        path = os.path.join(search_dir, "trials", "oracle.json")
        with open(path) as file:
            state = json.load(file)
        state["end_order"].remove("2")
        state["ongoing_trials"] = {"alone": "2"}
        with open(path, "w") as file:
            json.dump(state, file)
        with mock.patch("tools.runs.train", side_effect=AssertionError):
            code, _, err = self._tune(search_dir)
        self.assertEqual(code, 0, err)
        self.assertEqual(self._table(search_dir), self._table(self.search_dir))

    @parameterized.parameters(
        ("--search_fact=1,5", r"--search_fact is \(0.5, 5.0\) in .*received \(1.0"),
        ("--search_z_dim=2,4", "--search_z_dim is"),
        ("--activation=relu", "--activation is leaky_relu in .*received relu"),
        ("--objective=psnr", "--objective is frechet"),
        ("--max_epochs=4", "--max_epochs is 2"),
    )
    def test_another_search_in_its_directory_is_refused(self, flag, message):
        code, _, err = self._tune(self.search_dir, flag)
        self.assertEqual(code, 1)
        self.assertRegex(err, message)
        self.assertLen(err.strip().splitlines(), 1)

    def test_another_data_set_is_refused(self):
        other = os.path.join(self.create_tempdir().full_path, "other")
        _write_data(other, annotated=False)
        code, _, err = self._tune(self.search_dir, f"--data_dir={other}")
        self.assertEqual(code, 1)
        self.assertIn("another conversion", err)

    def test_two_at_once_are_refused(self):
        search_dir = self._copy()
        with files.locked(os.path.join(search_dir, folders.LOCK)):
            code, _, err = self._tune(search_dir)
        self.assertEqual(code, 1)
        self.assertIn("for this process alone", err)

    @parameterized.parameters(
        ("--search_fact=5,1", 2, "'search_fact' must hold a lowest and a highest"),
        ("--search_fact=0,1", 2, "'search_fact' must be > 0"),
        ("--search_fact=1", 2, "'search_fact' must hold"),
        ("--search_z_dim=2,2", 2, "'search_z_dim' must name each value once"),
        ("--search_z_dim=0", 2, "search_z_dim"),
        ("--search_filters=2-4-8-16", 2, "an image size divisible by 16"),
        ("--search_filters=2-x", 2, "'search_filters' must hold sequences"),
        ("--search_filters=a:2-4,a:4-8", 2, "'a' twice"),
        ("--search_decoder=conv", 2, "'search_decoder' holds conv"),
        ("--objective=fid", 2, "objective.*should be one of"),
        ("--objective=bits_per_dim", 2, "bits_per_dim needs"),
        ("--objective=importance_bound", 2, "'importance_samples' must be at least 1"),
        ("--mode=ae", 2, "'search_fact' must be empty with mode=ae"),
        ("--learning_rate_schedule=cosine", 2, "--learning_rate_decay_steps"),
        ("--worker_timeout=0", 2, "expected numbers from 0.001"),
    )
    def test_refuses(self, flag, code, message):
        search_dir = os.path.join(self.create_tempdir().full_path, "search")
        found, _, err = self._tune(search_dir, flag)
        self.assertEqual(found, code, err)
        self.assertRegex(err, message)
        self.assertLen(err.strip().splitlines(), 1)
        self.assertFalse(os.path.exists(search_dir))

    def test_nothing_to_search_is_refused(self):
        names = ("fact", "z_dim", "filters", "decoder")
        flags = [f"--search_{name}=" for name in names]
        code, _, err = self._tune(self.search_dir, *flags)
        self.assertEqual(code, 2)
        self.assertIn("nothing to search", err)

    def test_a_port_in_use_is_refused(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, _, err = self._tune(self._copy(), "--workers=1", f"--port={port}")
        self.assertEqual(code, 1)
        self.assertIn(f"127.0.0.1:{port}, it is in use", err)

    def test_a_worker_without_chief_is_told(self):
        variables = {
            "KERASTUNER_TUNER_ID": "worker_0",
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": "9",
        }
        search_dir = self._copy()
        with mock.patch.dict(os.environ, variables):
            code, _, err = self._tune(search_dir, "--worker_timeout=0.3")
            self.assertEqual(code, 1)
            self.assertIn("Expected the chief's token in", err)
            chief_token.make(search_dir)
            code, _, err = self._tune(search_dir, "--worker_timeout=0.3")
        self.assertEqual(code, 1)
        self.assertIn("Expected a chief at 127.0.0.1:9", err)

    def test_half_a_role_is_refused(self):
        with mock.patch.dict(os.environ, {"KERASTUNER_TUNER_ID": "worker_0"}):
            code, _, err = self._tune(self.search_dir)
        self.assertEqual(code, 2)
        self.assertIn("without KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT", err)

    def test_other_files_are_left_alone(self):
        search_dir = self.create_tempdir()
        search_dir.create_file("thesis.txt")
        code, _, err = self._tune(search_dir.full_path)
        self.assertEqual(code, 1)
        self.assertIn("holds other files", err)

    def test_without_held_out_images_it_is_refused(self):
        data = os.path.join(self.create_tempdir().full_path, "data")
        os.makedirs(data)
        shard_fixtures.write(data, {"train": (12,)}, shape=(8, 8, 3))
        search_dir = os.path.join(self.create_tempdir().full_path, "search")
        code, _, err = self._tune(search_dir, f"--data_dir={data}")
        self.assertEqual(code, 1)
        self.assertIn("validation", err)


class ShownTest(tf.test.TestCase, parameterized.TestCase):
    """What flags change of a search that only begins, or measures one trial."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data_dir = os.path.join(cls().create_tempdir().full_path, "data")
        _write_data(cls.data_dir)

    def _begin(self, *argv, search_alone=None):
        """Return the search that begins with these flags."""
        search_dir = os.path.join(self.create_tempdir().full_path, "search")
        argv = (f"--data_dir={self.data_dir}", f"--search_dir={search_dir}", *argv)
        with mock.patch.object(roles, "search_alone", wraps=search_alone) as begun:
            code, _, err = train_test.run_program(tune, *_TINY, *argv)
        begun.assert_called_once()
        if search_alone:
            self.assertEqual(code, 0, err)
        return begun.call_args.args[0]

    def test_what_is_searched(self):
        search = self._begin(
            "--search_learning_rate=1e-4,1e-2",
            "--search_blocks=plain,residual",
            "--search_encoder_dense=0,16",
            "--search_reconstruction=bce,mse",
            "--hyperband_iterations=3",
        )
        hyperparameters = keras_tuner.HyperParameters()
        search.space.declare_hyperparameters(hyperparameters)
        found = {each.name: each for each in hyperparameters.space}
        rate = found["learning_rate"]
        self.assertEqual((rate.min_value, rate.max_value), (1e-4, 1e-2))
        self.assertEqual(found["blocks"].values, ["plain", "residual"])
        self.assertEqual(found["encoder_dense"].values, [0, 16])
        self.assertEqual(found["reconstruction"].values, ["bce", "mse"])
        plain = self._begin().config
        trials_of = oracles.num_trials
        self.assertEqual(trials_of(search.config), 3 * trials_of(plain))

    def test_how_a_trial_is_measured(self):
        def build(run_dir, run, *_, **__):
            os.makedirs(run_dir)
            built.append(run.train.seed)
            return building.build(run.model, run.train)

        built, real = [], quality.evaluate_quality
        with (
            mock.patch("tools.runs.train", build),
            mock.patch.object(quality, "evaluate_quality", wraps=real) as evaluated,
        ):
            search = self._begin(
                *("--tuner=random", "--max_trials=1", "--max_epochs=1"),
                *("--executions_per_trial=2", "--reconstruction_distance_weight=3"),
                *("--judge=gradients", "--distance_images=7", "--importance_samples=2"),
                search_alone=roles.search_alone,
            )
        self.assertLen(set(built), 2)
        *_, judge, _, distance_images, _ = evaluated.call_args.args
        self.assertEqual((judge.name, distance_images), ("gradients", 7))
        (row,) = trials.rows(search.directory)
        found = row.figures
        weighted = found["sample_frechet"] + 3 * found["reconstruction_frechet"]
        self.assertAllClose(found["frechet"], weighted, rtol=1e-5)
        self.assertTrue(np.isfinite(found["importance_bound"]))


class FailingTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        root = self.create_tempdir().full_path
        self.data_dir = os.path.join(root, "data")
        self.search_dir = os.path.join(root, "search")
        _write_data(self.data_dir)

    def _tune(self, *more):
        return train_test.run_program(
            tune,
            f"--data_dir={self.data_dir}",
            f"--search_dir={self.search_dir}",
            *_TINY,
            "--tuner=random",
            "--max_trials=4",
            *more,
        )

    def test_failed_trials_are_marked_until_they_are_too_many(self):
        calls = []

        def diverge(*args, **kwargs):
            from vae_prod.core import errors

            calls.append(args)
            raise errors.DivergedError("losses were not finite")

        with mock.patch("tools.runs.train", diverge):
            code, _, err = self._tune("--max_failed_in_a_row=3")
        self.assertEqual(code, 1)
        self.assertLen(calls, 3)
        self.assertIn("last 3 trials", err)
        self.assertIn("losses were not finite", err)
        rows = trials.rows(self.search_dir)
        self.assertEqual([row.status for row in rows], ["failed"] * 3)

    def test_a_programming_error_stops_the_search_with_its_cause(self):
        with (
            mock.patch("tools.runs.train", side_effect=AttributeError("typo")),
            self.assertRaisesRegex(AttributeError, "typo"),
        ):
            self._tune()
        self.assertEqual([r.status for r in trials.rows(self.search_dir)], ["running"])


@pytest.mark.slow
class WorkersTest(tf.test.TestCase):
    def test_a_killed_worker_and_a_killed_search_lose_nothing(self):
        root = self.create_tempdir().full_path
        data_dir, search_dir = (os.path.join(root, name) for name in ("data", "search"))
        _write_data(data_dir)
        command = [
            *(sys.executable, "-m", "tools.tune", "--workers=1", *_TINY),
            *(f"--data_dir={data_dir}", f"--search_dir={search_dir}"),
            *("--tuner=random", "--max_trials=3"),
        ]
        search = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(search.kill)
        # Once a trial has ended, its worker; then all of it.
        first = self._wait_for_results(search, search_dir, 1)
        worker = self._worker_of(search.pid)
        os.kill(worker, signal.SIGKILL)
        second = self._wait_for_results(search, search_dir, 2)
        search.kill()
        search.communicate()
        done = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = trials.rows(search_dir)
        self.assertEqual([row.status for row in rows], ["completed"] * 3)
        last = self._results(search_dir)
        for before in (first, second):
            self.assertEqual({name: last[name] for name in before}, before)

    def _results(self, search_dir):
        """Return what each trial's result says, and when it was written."""
        found = {}
        for path in pathlib.Path(search_dir).glob("trials/trial_*/result.json"):
            found[path.parent.name] = (path.read_text(), path.stat().st_mtime_ns)
        return found

    def _wait_for_results(self, search, search_dir, count):
        deadline = time.monotonic() + 120
        while len(found := self._results(search_dir)) < count:
            if search.poll() is not None:
                self.fail(f"the search has ended: {search.stdout.read()}")
            self.assertLess(time.monotonic(), deadline, "no trial has ended")
            time.sleep(0.1)
        return found

    def _worker_of(self, parent):
        for process in psutil.Process(parent).children():
            if "tools.tune" in process.cmdline():
                return process.pid
        raise AssertionError("no worker")
