"""Tests for vae_prod.tuning.oracles."""

import json
import os

import keras_tuner
import tensorflow as tf
from absl.testing import parameterized

from vae_prod import config as config_lib
from vae_prod.tuning import oracles

_TUNERS = ("hyperband", "bayesian", "random")


class _Killed(BaseException):
    pass


def _search(tuner="hyperband", **settings):
    return config_lib.SearchConfig(
        **{"tuner": tuner, "max_epochs": 4, "hyperband_factor": 2} | settings
    )


def _score(values):
    """Return a known objective: best at fact 1 and the largest z_dim."""
    return abs(values["fact"] - 1.0) + 1.0 / values["z_dim"]


class OracleTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.create_tempdir().full_path

    def _make(self, search, seed=1):
        hp = keras_tuner.HyperParameters()
        for name, (low, high) in search.ranges().items():
            hp.Float(name, low, high, sampling="log")
        for name, values in search.choices().items():
            hp.Choice(name, values)
        return oracles.make(search, hp, seed, self.directory)

    def _step(self, oracle, status=oracles.Status.COMPLETED, worker="w"):
        """Run one trial; return it, or None where there is none left."""
        trial = oracle.create_trial(worker)
        if trial.status == oracles.Status.STOPPED:
            return None
        values = trial.hyperparameters.values
        if status == oracles.Status.COMPLETED:
            oracle.update_trial(trial.trial_id, {"frechet": _score(values)})
        trial.status = status
        oracle.end_trial(trial)
        return trial

    def _finish(self, search):
        """Run the rest, a fresh oracle each trial; return the values by trial."""
        values = {}
        while trial := self._step(self._make(search)):
            values[trial.trial_id] = dict(trial.hyperparameters.values)
        return values

    @parameterized.parameters(*_TUNERS)
    def test_restarted_before_each_trial_it_is_the_same_search(self, tuner):
        search = _search(tuner, max_trials=12 if tuner == "bayesian" else 0)
        oracle, straight = self._make(search), {}
        while trial := self._step(oracle):
            straight[trial.trial_id] = dict(trial.hyperparameters.values)
        self.assertLen(straight, oracles.num_trials(search))
        self.directory = self.create_tempdir().full_path
        self.assertEqual(self._finish(search), straight)

    @parameterized.product(tuner=_TUNERS, write=list(range(1, 9)))
    def test_killed_at_any_write_loses_and_repeats_nothing(self, tuner, write):
        search, written = _search(tuner, max_trials=5), []

        def kill(path, value):
            written.append(path)
            if len(written) == write:
                raise _Killed
            real(path, value)

        real, oracles.write_json = oracles.write_json, kill
        try:
            with self.assertRaises(_Killed):
                oracle = self._make(search)
                ended = []
                while trial := self._step(oracle):
                    ended.append(trial.trial_id)
        finally:
            oracles.write_json = real
        oracle = self._make(search)
        oracle.release(list(oracle.ongoing_trials))
        # What had ended isn't given out again.
        for trial_id in ended:
            self.assertEqual(oracle.trials[trial_id].status, oracles.Status.COMPLETED)
        again = []
        while trial := self._step(oracle):
            again.append(trial.trial_id)
        self.assertEmpty(set(ended) & set(again))
        self.assertLen(oracle.trials, 5)
        self.assertCountEqual(oracle.end_order, oracle.trials)

    def test_killed_while_writing_leaves_whole_files(self):
        oracle = self._make(_search())
        self._step(oracle)
        path = os.path.join(self.directory, "trials", "oracle.json")
        with open(path) as file:
            before = file.read()
        with self.assertRaises(TypeError):
            oracles.write_json(path, {"a": 1, "b": object()})
        with open(path) as file:
            self.assertEqual(file.read(), before)

    def test_an_end_is_taken_once(self):
        oracle = self._make(_search())
        trial = self._step(oracle)
        oracle.end_trial(trial)
        self.assertEqual(oracle.end_order, [trial.trial_id])

    def test_a_worker_that_comes_back_gets_its_trial(self):
        oracle = self._make(_search())
        first, second = oracle.create_trial("a"), oracle.create_trial("b")
        oracle = self._make(_search())
        self.assertEqual(oracle.create_trial("a").trial_id, first.trial_id)
        oracle.release(["b"])
        self.assertEqual(oracle.create_trial("c").trial_id, second.trial_id)

    def test_workers_wait_while_others_may_leave_a_trial(self):
        search = _search("random", max_trials=2)
        oracle = self._make(search)
        oracle.create_trial("a")
        self._step(oracle, worker="b")
        self.assertEqual(oracle.create_trial("b").status, oracles.Status.IDLE)
        oracle.release(["a"])
        self.assertIsNotNone(self._step(oracle, worker="b"))
        self.assertFalse(oracle.waiting())
        self.assertEqual(oracle.create_trial("b").status, oracles.Status.STOPPED)

    def test_failed_trials_are_gone_past_and_counted(self):
        oracle = self._make(_search("random", max_trials=5))
        self._step(oracle)
        for _ in range(4):
            self._step(oracle, oracles.Status.FAILED)
        self.assertIsNone(self._step(oracle))
        self.assertEqual(oracle.failed_in_a_row(), 4)

    def test_hyperband_trains_the_best_on(self):
        search = _search(max_epochs=2)  # Brackets of 2 + 1 and of 2 trials.
        oracle, values = self._make(search), []
        while trial := self._step(oracle):
            values.append(trial.hyperparameters.values)
        rounds = [(v["tuner/round"], v["tuner/epochs"]) for v in values]
        self.assertEqual(rounds, [(0, 1), (0, 1), (1, 2), (0, 2), (0, 2)])
        best = min(values[:2], key=_score)
        self.assertEqual(values[2]["tuner/trial_id"], str(values.index(best)))
        self.assertEqual(_score(values[2]), _score(best))
        self.assertEqual(oracles.num_trials(search), 5)

    @parameterized.parameters(*_TUNERS)
    def test_takes_every_seed(self, tuner):
        oracle = self._make(_search(tuner, max_trials=4), 2**32 - 1)
        while self._step(oracle):
            pass
        self.assertLen(oracle.end_order, 4)

    def test_state_is_json(self):
        self._step(self._make(_search()))
        with open(os.path.join(self.directory, "trials", "oracle.json")) as file:
            self.assertEqual(json.load(file)["end_order"], ["00"])
