"""Tests for vae_prod.tuning.trials."""

import json
import os
import threading

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import asides, files
from vae_prod.core import errors
from vae_prod.evaluation import resampling
from vae_prod.tuning import trials


def _figures(**changes):
    return {"frechet": 2.0, "psnr": 20.0, "elbo": None, **changes}


class TrialsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.search_dir = self.create_tempdir().full_path

    def _plan(self, trial="00", **values):
        os.makedirs(trials.directory(self.search_dir, trial), exist_ok=True)
        return trials.plan(self.search_dir, trial, {"fact": 1.0, **values}, epochs=5)

    def _write(self, trial, **values):
        plan = self._plan(trial, **values)
        state = {
            "trial_id": trial,
            "hyperparameters": {"values": {"fact": 1.0, **values}},
        }
        with open(os.path.join(plan.directory, "trial.json"), "w") as file:
            json.dump(state, file)
        return plan

    def test_plan_keeps_hyperbands_own_values_apart(self):
        plan = self._plan(**{"tuner/epochs": 9, "tuner/trial_id": "03"})
        self.assertEqual(plan.values, {"fact": 1.0})
        self.assertEqual(plan.epochs, 9)
        self.assertEqual(plan.previous, trials.directory(self.search_dir, "03"))
        self.assertEqual(self._plan().epochs, 5)
        self.assertEqual(self._plan().previous, "")

    def test_goes_on_with_a_copy_of_the_previous_run(self):
        before = self._plan("00").run_dir(0)
        os.makedirs(before)
        with open(os.path.join(before, "weights"), "w") as file:
            file.write("trained")
        plan = self._plan("01", **{"tuner/trial_id": "00"})
        dead = asides.path(f"{plan.directory}/run_0", process=99_999_999)
        os.makedirs(f"{dead}/left_by_a_kill")
        path = plan.run_dir(0)
        self.assertEqual(os.listdir(plan.directory), ["run_0"])
        self.assertEqual(os.listdir(path), ["weights"])
        os.remove(os.path.join(path, "weights"))
        # It is copied once: what it became is kept.
        self.assertEqual(os.listdir(plan.run_dir(0)), [])
        self.assertEqual(os.listdir(before), ["weights"])

    def test_finished_once(self):
        runs = []
        for _ in range(2):
            result = trials.finish(
                self._plan(), lambda plan: runs.append(plan) or _figures(), "frechet"
            )
            self.assertEqual(result.figures, _figures())
            self.assertEqual(result.message, "")
        self.assertLen(runs, 1)

    def test_keeps_replicates(self):
        replicates = np.arange(200.0) / 7
        figures = _figures(frechet=resampling.Estimate(2.0, replicates))
        for _ in range(2):
            result = trials.finish(self._write("00"), lambda plan: figures, "frechet")
            self.assertEqual(result.figures, _figures())
            self.assertEqual(set(result.replicates), {"frechet"})
        (row,) = trials.rows(self.search_dir)
        estimate = row.estimate("frechet")
        self.assertEqual(estimate.value, 2.0)
        self.assertAllClose(estimate.replicates, replicates, rtol=1e-5)
        self.assertIsNone(row.estimate("psnr"))

    def test_results_without_replicates_are_read(self):
        plan = self._write("00")
        with open(os.path.join(plan.directory, "result.json"), "w") as file:
            json.dump({"figures": _figures(), "seconds": 1.0, "message": ""}, file)
        (row,) = trials.rows(self.search_dir)
        self.assertEqual(row.figures, _figures())
        self.assertIsNone(row.estimate("frechet"))

    @parameterized.parameters(
        (errors.DivergedError("not finite"), "not finite"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM\nmore"), "memory: OOM"),
    )
    def test_a_trial_of_its_own_fault_has_failed(self, error, message):
        def run(plan):
            raise error

        result = trials.finish(self._plan(), run, "frechet")
        self.assertIn(message, result.message)
        self.assertEmpty(result.figures)

    @parameterized.parameters(float("nan"), float("inf"), None)
    def test_an_objective_without_value_has_failed(self, value):
        result = trials.finish(
            self._plan(), lambda plan: _figures(frechet=value), "frechet"
        )
        self.assertIn("frechet is", result.message)

    @parameterized.parameters(files.UserError, ValueError, KeyboardInterrupt)
    def test_other_errors_end_the_search(self, kind):
        def run(plan):
            raise kind("cause")

        with self.assertRaises(kind):
            trials.finish(self._plan(), run, "frechet")
        self.assertNotIn("result.json", os.listdir(self._plan().directory))

    def test_one_at_a_time(self):
        inside, order = threading.Event(), []

        def slow(plan):
            inside.set()
            order.append("slow")
            return _figures()

        thread = threading.Thread(
            target=lambda: trials.finish(self._plan(), slow, "frechet")
        )
        with files.locked(os.path.join(self._plan().directory, "lock")):
            thread.start()
            self.assertFalse(inside.wait(0.2))
            order.append("first")
        thread.join()
        self.assertEqual(order, ["first", "slow"])

    def test_rows(self):
        plan = self._write("00")
        trials.finish(plan, lambda plan: _figures(), "frechet")
        os.makedirs(os.path.join(plan.directory, "run_0"))
        with open(os.path.join(plan.directory, "run_0", "history.csv"), "w") as file:
            file.write("epoch,total_loss\n1,5\n2,4\n")
        self._write("01", **{"tuner/trial_id": "00"})
        plan = self._write("02")
        trials.finish(plan, lambda plan: _figures(frechet=None), "frechet")
        rows = trials.rows(self.search_dir)
        self.assertEqual([r.trial for r in rows], ["00", "01", "02"])
        self.assertEqual([r.status for r in rows], ["completed", "running", "failed"])
        self.assertEqual([r.epochs for r in rows], [2, 0, 0])
        self.assertEqual(rows[0].figures, _figures())
        self.assertEqual(rows[1].continues, "00")
        self.assertEqual(rows[1].settings, {"fact": 1.0})
        self.assertIn("frechet is None", rows[2].message)
