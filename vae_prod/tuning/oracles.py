"""KerasTuner's oracles, with a state on disk that a kill at any moment leaves whole.

An oracle hands out trials and learns how they ended. KerasTuner keeps its state in
`oracle.json` and a `trial.json` for each trial. Here, each file is written
atomically, and what a kill between two of them leaves is put right when it is read.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.engine import trial as trial_lib

from pipelines import documents, files, folders
from pipelines import settings as settings_lib
from vae_prod import config as config_lib

Status = trial_lib.TrialStatus
PROJECT = "trials"
# What the names of trials' directories begin with.
TRIAL = "trial_"
# What KerasTuner's classes raise where a state isn't theirs.
_DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError),
)
_UNLIMITED = 2**31


class _Durable(keras_tuner.Oracle):
    """What is changed in each of KerasTuner's oracles."""

    trials: dict[str, trial_lib.Trial]

    def save(self) -> None:
        """Write `oracle.json`."""
        write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial) -> None:
        path = os.path.join(self._get_trial_dir(trial.trial_id), "trial.json")
        write_json(path, trial.get_state())

    def reload(self) -> None:
        """Read the state that an earlier process left.

        Trials that were running stay with the workers that ran them; `release` frees
        those of workers that don't come back.
        """
        # Not KerasTuner's reload, which takes the path for a pattern.
        for name in folders.listed(self._project_dir):
            path = os.path.join(self._project_dir, name, "trial.json")
            if name.startswith(TRIAL) and os.path.isfile(path):
                trial = _read(path, trial_lib.Trial.from_state)
                self.trials[trial.trial_id] = trial
        ongoing = _read(self._get_oracle_fname(), self._take_state)
        self._retry_queue += ongoing.values()
        self.ongoing_trials = {}
        self.trials = dict(sorted(self.trials.items()))
        for trial_id in set(self.trials) - set(self.start_order):
            # Killed before the state said that the trial exists: it will come again,
            # with the same values.
            del self.trials[trial_id]
            files.remove_folder(self._get_trial_dir(trial_id))
        for trial_id in list(self._retry_queue):
            if self.trials[trial_id].status in (Status.COMPLETED, Status.FAILED):
                # Killed before the state said that the trial ended, or that its
                # worker was free: KerasTuner would run it again.
                self._retry_queue.remove(trial_id)
                if trial_id not in self.end_order:
                    self.end_order.append(trial_id)
                    self._run_times[trial_id] += 1
        for worker, trial_id in ongoing.items():
            if trial_id in self._retry_queue:
                self._retry_queue.remove(trial_id)
                self.ongoing_trials[worker] = self.trials[trial_id]

    def _take_state(self, state: dict) -> dict[str, str]:
        """Set the state; return which trials are with which worker."""
        self.set_state(state)
        known = [*self.start_order, *self.end_order, *self._retry_queue]
        ongoing = documents.build(dict[str, str], state["ongoing_trials"])
        if missing := {*known, *ongoing.values()} - self.trials.keys():
            raise KeyError(min(missing))
        return ongoing

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """Give a worker its trial; it waits while others may still leave theirs."""
        trial = super().create_trial(tuner_id)
        if trial.status == Status.STOPPED and self.ongoing_trials:
            trial.status = Status.IDLE
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial) -> None:
        """Take a trial's end, once: what comes of one that has ended is left aside."""
        if trial.trial_id not in self.end_order:
            super().end_trial(trial)

    @keras_tuner.synchronized
    def release(self, workers) -> None:
        """Free the trials of workers that are gone, for others to go on with."""
        for worker in workers:
            trial = self.ongoing_trials.pop(worker, None)
            if trial is not None:
                self._retry_queue.append(trial.trial_id)
        self.save()

    @keras_tuner.synchronized
    def waiting(self) -> bool:
        """Say whether a trial waits for a worker or is with one."""
        return bool(self._retry_queue or self.ongoing_trials)

    @keras_tuner.synchronized
    def failed_in_a_row(self) -> int:
        """Return how many of the trials that ended last have failed."""
        count = 0
        for trial_id in reversed(self.end_order):
            if self.trials[trial_id].status != Status.FAILED:
                break
            count += 1
        return count


class RandomSearch(_Durable, oracles.RandomSearchOracle):
    """Random values."""


class BayesianOptimization(_Durable, oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process sees the best chance."""

    def populate_space(self, trial_id):
        """Suggest values, the same whether or not the search was interrupted."""
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        return super().populate_space(trial_id)


class Hyperband(_Durable, oracles.HyperbandOracle):
    """Short trials, of which the best go on (Li et al. 2018)."""


def make(
    search: config_lib.SearchConfig,
    hyperparameters: keras_tuner.HyperParameters,
    seed: int,
    directory: str,
) -> keras_tuner.Oracle:
    """Make the oracle of a search, with the state that `directory` holds.

    Args:
        search: Method, objective and number of trials.
        hyperparameters: The space, declared.
        seed: Seed of the values that are drawn.
        directory: The search's directory.
    """
    direction = "min" if search.minimize else "max"
    settings = {
        "objective": keras_tuner.Objective(search.objective, direction),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "tune_new_entries": False,
        # KerasTuner takes 0 for none, and adds to it.
        "seed": seed % settings_lib.LARGEST + 1,
        "max_consecutive_failed_trials": _UNLIMITED,
    }
    oracle: _Durable
    if search.tuner == "hyperband":
        oracle = Hyperband(
            max_epochs=search.max_epochs,
            factor=search.hyperband_factor,
            hyperband_iterations=search.hyperband_iterations,
            **settings,
        )
    else:
        kinds = {"random": RandomSearch, "bayesian": BayesianOptimization}
        oracle = kinds[search.tuner](**settings)
    oracle.max_trials = num_trials(search)
    oracle.verbose = 0
    oracle._set_project_dir(directory, PROJECT)
    if os.path.isfile(oracle._get_oracle_fname()):
        oracle.reload()
    return oracle


def _read(path: str, take: Callable[[dict], Any]):
    """Let KerasTuner take what a file of its own holds.

    Raises:
        UserError: The file is damaged.
    """
    what, remedy = "the state of a search", "Bring it back, or search in a new folder."
    state = documents.load(path, dict, what, remedy, finite=False)
    try:
        return take(state)
    except _DAMAGE as error:
        raise files.UserError(
            f"Expected {what} in {path}, it can't be read ({error!r}). {remedy}"
        ) from error


def num_trials(search: config_lib.SearchConfig) -> int:
    """Return the number of trials in all, fewer where the space has fewer."""
    if search.tuner != "hyperband":
        return search.max_trials or 20
    # Of brackets with 1, 2, ... rounds, as the oracle makes them.
    sizes = oracles.HyperbandOracle(
        objective=keras_tuner.Objective(search.objective, "min"),
        max_epochs=search.max_epochs,
        factor=search.hyperband_factor,
    )
    total = search.hyperband_iterations * sum(
        sizes._get_size(bracket, round_)
        for bracket in range(sizes._get_num_brackets())
        for round_ in range(bracket + 1)
    )
    return min(total, search.max_trials or total)


def write_json(path: str, value) -> None:
    """Write a JSON file atomically."""
    files.write(path, json.dumps(value, indent=1))
