"""A trial on disk: what it is to do, what came of it, and its row of the leaderboard.

A trial's directory holds KerasTuner's `trial.json`, a run directory for each training
(`run_0`, ...), and `result.json` once it has ended. `result.json` is written before the
oracle hears of the end: a trial that has one never runs again.
"""

import math
import os
import re
import shutil
import time
import typing
from collections.abc import Callable, Mapping

import attrs
import tensorflow as tf

from pipelines import documents, failures, files, folders
from vae_prod.core import errors
from vae_prod.evaluation import resampling
from vae_prod.training import history
from vae_prod.tuning import leaderboard, oracles

# A trial's figures by name; None where one has no meaning.
Figures = Mapping[str, resampling.Estimate | float | None]
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
# KerasTuner's names for what Hyperband tells a trial.
_CONTINUES, _EPOCHS, _PRIVATE = "tuner/trial_id", "tuner/epochs", "tuner/"

_RUN = "run_"
_REMEDY = "Bring the file back, or search anew in another --search_dir."


@attrs.frozen
class Plan:
    """What a trial is to do.

    Attributes:
        trial: Its id.
        directory: Its directory, which exists.
        values: The values of what is searched.
        epochs: Epochs in all.
        previous: Directory of the trial whose training it goes on with; empty: none.
    """

    trial: str
    directory: str
    values: Mapping[str, object]
    epochs: int
    previous: str

    def run_dir(self, execution: int) -> str:
        """Return the run directory of one of the trial's trainings.

        That of the trial it goes on with is copied, whole or not at all.
        """
        path = os.path.join(self.directory, f"{_RUN}{execution}")
        if self.previous and not os.path.isdir(path):
            previous = os.path.join(self.previous, f"{_RUN}{execution}")
            with files.new_folder(path) as folder:
                shutil.copytree(previous, folder, dirs_exist_ok=True)
        return path


@attrs.frozen
class Result:
    """How a trial ended.

    Attributes:
        figures: By name; None where a figure has no meaning. Empty if it failed.
        seconds: Spent by the process that ended it.
        message: Why it failed; empty otherwise.
        replicates: Name of a figure to its replicates, see `resampling.Estimate`;
            searches of earlier versions have none.
    """

    figures: dict[str, float | None]
    seconds: float
    message: str = ""
    replicates: dict[str, list[float]] = attrs.field(
        factory=dict, repr=False, validator=resampling.check_replicates
    )


def plan(search_dir: str, trial_id: str, values: Mapping, epochs: int) -> Plan:
    """Read a plan from what the oracle gave a trial.

    Args:
        search_dir: The search's directory.
        trial_id: The trial's id.
        values: KerasTuner's values, with Hyperband's own among them.
        epochs: Epochs where Hyperband says nothing.
    """
    searched = {k: v for k, v in values.items() if not k.startswith(_PRIVATE)}
    previous = values.get(_CONTINUES, "")
    return Plan(
        trial_id,
        directory(search_dir, trial_id),
        searched,
        values.get(_EPOCHS, epochs),
        previous and directory(search_dir, previous),
    )


def directory(search_dir: str, trial_id: str) -> str:
    """Return a trial's directory.

    Raises:
        UserError: The id, which KerasTuner's files or the chief give, is no plain name.
    """
    if not _ID.fullmatch(trial_id):
        raise files.UserError(
            f"Expected ids of trials of letters and digits in {search_dir}, received "
            f"{trial_id[:80]!r}. Start the search in a new --search_dir."
        )
    return os.path.join(search_dir, oracles.PROJECT, f"{oracles.TRIAL}{trial_id}")


def finish(
    plan: Plan,
    run: Callable[[Plan], Figures],
    objective: str,
) -> Result:
    """Run a trial to its end, unless it has been there already.

    A trial whose training diverges, that doesn't fit into memory or whose objective
    isn't finite has failed; other errors are passed on, for the next trial would meet
    them too.

    Args:
        plan: What to do.
        run: Trains, or goes on, and returns the figures.
        objective: The figure that must be finite.
    """
    path = os.path.join(plan.directory, "result.json")
    with files.locked(os.path.join(plan.directory, "lock")):
        if os.path.isfile(path):
            return _read_result(path)
        begun, message = time.monotonic(), ""
        measured: Mapping[str, resampling.Estimate | float | None] = {}
        try:
            measured = run(plan)
        except errors.DivergedError as error:
            message = str(error)
        except tf.errors.ResourceExhaustedError as error:
            if failures.find(error):  # Of a disk, not of memory.
                raise
            message = f"out of memory: {str(error).splitlines()[0]}"
        figures = {name: _value(figure) for name, figure in measured.items()}
        value = figures.get(objective)
        if not message and (value is None or not math.isfinite(value)):
            message = f"{objective} is {value}, not a finite number"
            figures, measured = {}, {}
        replicates = {
            name: resampling.rounded(figure.replicates)
            for name, figure in measured.items()
            if isinstance(figure, resampling.Estimate)
        }
        result = Result(figures, time.monotonic() - begun, message, replicates)
        oracles.write_json(path, attrs.asdict(result))
        return result


def _value(figure: resampling.Estimate | float | None) -> float | None:
    return figure.number if isinstance(figure, resampling.Estimate) else figure


def _read_result(path: str) -> Result:
    return documents.load(path, Result, "how a trial ended", _REMEDY, finite=False)


def rows(search_dir: str) -> list[leaderboard.Row]:
    """Return a row for each trial of a search, in the order of their ids."""
    project = os.path.join(search_dir, oracles.PROJECT)
    paths = [
        os.path.join(project, name, "trial.json")
        for name in folders.listed(project)
        if name.startswith(oracles.TRIAL)
    ]
    return [_row(path) for path in filter(os.path.isfile, paths)]


class _Values(typing.TypedDict):
    """What is read of a trial's `hyperparameters`."""

    values: dict


class _Trial(typing.TypedDict):
    """What is read of KerasTuner's `trial.json`."""

    trial_id: str
    hyperparameters: _Values


def _row(path: str) -> leaderboard.Row:
    trial = documents.load(path, _Trial, "a trial of KerasTuner", _REMEDY, finite=False)
    values = trial["hyperparameters"]["values"]
    folder = os.path.dirname(path)
    ended = os.path.join(folder, "result.json")
    result = _read_result(ended) if os.path.isfile(ended) else Result({}, 0.0)
    status = "running"
    if os.path.isfile(ended):
        status = "failed" if result.message else "completed"
    return leaderboard.Row(
        trial["trial_id"],
        status,
        {k: v for k, v in values.items() if not k.startswith(_PRIVATE)},
        _epochs_done(folder),
        result.seconds,
        result.figures,
        result.message,
        values.get(_CONTINUES, ""),
        result.replicates,
    )


def _epochs_done(folder: str) -> int:
    paths = [
        os.path.join(folder, name, "history.csv")
        for name in folders.listed(folder)
        if name.startswith(_RUN)
    ]
    histories = [path for path in paths if os.path.isfile(path)]
    if not histories:
        return 0
    return len(history.read(max(histories)))
