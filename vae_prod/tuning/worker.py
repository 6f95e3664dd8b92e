"""A worker of a search: takes trials from the oracle, runs them, reports their end."""

import contextlib
import time
from collections.abc import Callable

import keras_tuner

from vae_prod import config as config_lib
from vae_prod.tuning import hparams, oracles, trials

# While others run the last trials of a round, there may be none to take.
_IDLE_SECONDS = 0.5


def work(
    oracle: keras_tuner.Oracle,
    name: str,
    search: config_lib.SearchConfig,
    search_dir: str,
    run: Callable[[trials.Plan], trials.Figures],
    *,
    on_end: Callable[[], None] = lambda: None,
    during: Callable[[str], contextlib.AbstractContextManager] = lambda trial: (
        contextlib.nullcontext()
    ),
) -> None:
    """Run trials until the oracle has no more.

    Args:
        oracle: Hands out trials: one in this process, or a chief's.
        name: The worker's name; one that comes back under it gets its trial again.
        search: The search's settings.
        search_dir: The search's directory.
        run: Trains and measures a trial.
        on_end: Called after each trial.
        during: Makes a context in which the trial with an id is run.

    Raises:
        Whatever `run` raises that isn't the trial's own failure.
    """
    while True:
        trial = oracle.create_trial(name)
        if trial.status == oracles.Status.STOPPED:
            return
        if trial.status == oracles.Status.IDLE:
            time.sleep(_IDLE_SECONDS)
            continue
        values = trial.hyperparameters.values
        plan = trials.plan(search_dir, trial.trial_id, values, search.max_epochs)
        with during(trial.trial_id):
            result = trials.finish(plan, run, search.objective)
            hparams.write(plan, result)
        trial.status = oracles.Status.FAILED
        if not result.message:
            trial.status = oracles.Status.COMPLETED
            score = {search.objective: result.figures[search.objective]}
            oracle.update_trial(trial.trial_id, score)
        oracle.end_trial(trial)
        on_end()
