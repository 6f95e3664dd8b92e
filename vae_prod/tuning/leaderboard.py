"""The trials of a search in order, and the files that tell of them.

Nothing here knows how trials are run: a `Row` is what is known of one.
"""

import csv
import io
import json
import math
import os
from collections.abc import Iterable

import attrs
import numpy as np

from pipelines import files
from vae_prod.evaluation import resampling

_COLUMNS = ("rank", "trial", "status", "epochs", "seconds", "low", "high", "alike")
STATUSES = ("completed", "running", "failed")


@attrs.frozen
class Objective:
    """What ranks the trials.

    Attributes:
        name: Its name in `Row.figures`.
        minimize: Whether lower is better.
    """

    name: str
    minimize: bool

    def key(self, row: "Row") -> float | None:
        """Return what sorts a completed trial, lower first; None without a figure."""
        value = finite(row.figures.get(self.name))
        return value if value is None or self.minimize else -value


@attrs.frozen
class Row:
    """What is known of one trial.

    Attributes:
        trial: Its id, such as "0007"; ids sort in the order of starting.
        status: running, completed or failed.
        settings: What was searched, by name.
        epochs: Epochs it trained in all, also those of the trial it goes on from.
        seconds: Time spent on it, training and measuring.
        figures: Of its evaluation, see `evaluation.quality.Quality`; empty unless
            completed, None where a figure has no meaning.
        message: Why it failed.
        continues: The trial that it goes on from, empty for none.
        replicates: Name of a figure to its replicates, see `resampling.Estimate`, the
            same draws for all trials.
    """

    trial: str
    status: str
    settings: dict[str, object]
    epochs: int
    seconds: float
    figures: dict[str, float | None]
    message: str = ""
    continues: str = ""
    replicates: dict[str, list[float]] = attrs.field(factory=dict, repr=False)

    @property
    def fact(self) -> float | None:
        """The `fact` that was tried; None where it wasn't searched."""
        value = self.settings.get("fact")
        return value if isinstance(value, (int, float)) else None

    def figure(self, name: str) -> float:
        """Return a figure that the trial has, such as a completed one's objective.

        Raises:
            ValueError: It has none.
        """
        value = self.figures[name]
        if value is None:
            raise ValueError(f"trial {self.trial} has no {name}")
        return value

    def estimate(self, name: str) -> resampling.Estimate | None:
        """Return a figure with its replicates; None where it has none."""
        if name not in self.replicates:
            return None
        return resampling.Estimate(self.figure(name), np.array(self.replicates[name]))


def ranked(rows: Iterable[Row], objective: Objective) -> list[Row]:
    """Return all trials: completed ones, best first, then running, then failed ones.

    Ties go by id. A completed trial whose objective is missing or isn't finite can't
    be ranked: it is returned as failed.
    """
    rows = [_with_objective(row, objective) for row in rows]
    return sorted(
        rows,
        key=lambda row: (
            STATUSES.index(row.status),
            objective.key(row) if row.status == "completed" else 0.0,
            row.trial,
        ),
    )


def completed(rows: Iterable[Row], objective: Objective) -> list[Row]:
    """Return the trials that have a rank, best first."""
    return of_status(ranked(rows, objective), "completed")


def lead(row: Row, other: Row, objective: Objective) -> resampling.Estimate | None:
    """Return by how much a trial's objective is better, on the same images.

    None where that isn't known, for trials without replicates.
    """
    ours, theirs = (each.estimate(objective.name) for each in (row, other))
    if ours is None or theirs is None:
        return None
    if objective.minimize:
        return resampling.difference(theirs, ours)
    return resampling.difference(ours, theirs)


def is_alike(row: Row, other: Row, objective: Objective) -> bool:
    """Say whether intervals show no difference between two trials' objectives."""
    difference = lead(row, other, objective)
    return difference is not None and difference.may_be(0.0)


def write(rows: Iterable[Row], objective: Objective, directory: str) -> None:
    """Write `leaderboard.csv` and `leaderboard.json`, in the order of `ranked`.

    Figures that are None or not finite are empty in the one and null in the other.
    `low` and `high` are the objective's interval, and `alike` says of which trials no
    difference from the best is shown.
    """
    rows = ranked(rows, objective)
    lines = [_line(rank, row, rows[0], objective) for rank, row in enumerate(rows, 1)]
    value = {
        "objective": objective.name,
        "direction": "min" if objective.minimize else "max",
        "rows": lines,
    }
    text = json.dumps(value, indent=1, allow_nan=False)
    flat = [_flat(line) for line in lines]
    buffer = io.StringIO(newline="")
    names = list(dict.fromkeys((*_COLUMNS, *(name for line in flat for name in line))))
    writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    os.makedirs(directory, exist_ok=True)
    files.write(os.path.join(directory, "leaderboard.json"), f"{text}\n")
    files.write(os.path.join(directory, "leaderboard.csv"), buffer.getvalue())


def text_of(value: object) -> str:
    """Write the value of a setting, numbers to three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def finite(value: float | None) -> float | None:
    """Return a figure, None where it is missing or not finite."""
    return value if value is not None and math.isfinite(value) else None


def of_status(rows: Iterable[Row], status: str) -> list[Row]:
    """Return the rows of a status, in their order."""
    return [row for row in rows if row.status == status]


def _with_objective(row: Row, objective: Objective) -> Row:
    if row.status != "completed" or objective.key(row) is not None:
        return row
    value = row.figures.get(objective.name)
    message = row.message or f"its {objective.name} is {value}"
    return attrs.evolve(row, status="failed", message=message)


def _line(rank: int, row: Row, best: Row, objective: Objective) -> dict:
    values = attrs.asdict(row, filter=attrs.filters.exclude("replicates"))
    figures = {name: finite(value) for name, value in row.figures.items()}
    ranks = {"rank": rank if row.status == "completed" else None}
    estimate = row.estimate(objective.name)
    low, high = estimate.interval if estimate else (None, None)
    alike = row is not best and is_alike(best, row, objective)
    sure = {"low": low, "high": high, "alike": alike if estimate else None}
    return ranks | values | {"figures": figures} | sure


def _flat(line: dict) -> dict:
    """Return a row's columns: a setting and a figure have one each."""
    nested = {**line["settings"], **line["figures"]}
    texts = {name: line[name] for name in ("continues", "message")}
    return {name: line[name] for name in _COLUMNS} | nested | texts
