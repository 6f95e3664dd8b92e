"""The search directory: its settings, who holds it, what it has come to.

search.json, flags.txt   what is searched, and the flags it was started with
trials/                  a directory a trial, and KerasTuner's oracle.json
workers/                 what workers print
leaderboard.{csv,json}   the trials by rank
front.json               the trials that no other beats in samples and reconstructions
best.flags               the best trial, for tools.train --flagfile
*.png                    plots
"""

import contextlib
import json
import os
from collections.abc import Iterator

import attrs
import keras_tuner
import numpy as np

from pipelines import config as data_config_lib
from pipelines import documents, files, folders, npy, shards
from tools import evaluating, flags
from tools.search import trial_runs
from vae_prod import config as config_lib
from vae_prod.reporting import image_grids
from vae_prod.training import run_directory
from vae_prod.tuning import (
    explanation,
    front_chart,
    leaderboard,
    objective_chart,
    oracles,
    pareto,
    sample_sheet,
    search_space,
    settings_chart,
    trials,
)

_SETTINGS = "search.json"
_PANELS = 4


@attrs.frozen
class Search:
    """A search in its directory.

    Attributes:
        directory: Where it is.
        config: What is searched and how.
        base: The run that every trial is, but for what is searched.
    """

    directory: str
    config: config_lib.SearchConfig
    base: run_directory.Run

    @property
    def space(self) -> search_space.SearchSpace:
        """What is searched, as KerasTuner asks for it."""
        return search_space.SearchSpace(self.config, self.base.model, self.base.train)

    @property
    def best_flags(self) -> str:
        """Path of the best trial's flags, which is there once a trial has a rank."""
        return os.path.join(self.directory, "best.flags")

    @property
    def objective(self) -> leaderboard.Objective:
        """What ranks the trials."""
        return leaderboard.Objective(self.config.objective, self.config.minimize)

    def oracle(self) -> keras_tuner.Oracle:
        """Make the oracle, with the state that the directory holds."""
        hyperparameters = keras_tuner.HyperParameters()
        self.space.declare_hyperparameters(hyperparameters)
        seed = self.base.train.seed
        return oracles.make(self.config, hyperparameters, seed, self.directory)

    def rows(self) -> list[leaderboard.Row]:
        """Return a row for each trial so far."""
        return trials.rows(self.directory)

    def check(self) -> None:
        """Refuse settings that a trial would fail with.

        Raises:
            UserError: Naming the flag.
            UserError: There are no held-out images, or they are too small to compare.
        """
        manifest = shards.load_manifest(self.base.data_dir)
        evaluating.check_images(
            self.base.model.image_shape, manifest, trial_runs.HELD_OUT
        )
        try:
            config_lib.check_space(self.config, self.base.model)
        except ValueError as error:
            raise flags.UsageError(f"Flag refused: {error.args[0]}") from error
        fixed = not config_lib.may_change(self.base.train, "epochs")
        if self.config.tuner == "hyperband" and fixed:
            raise flags.UsageError(
                "--tuner=hyperband trains the best trials on for more epochs, which a "
                "cosine over all epochs can't do. Give --learning_rate_decay_steps, or "
                "another --tuner."
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other searches out of the directory for a while.

        Raises:
            UserError: Another process holds it, or it holds other files.
        """
        with folders.alone(self.directory, _SETTINGS, "--search_dir"):
            yield

    def prepare(self, flagfile: str) -> None:
        """Make the directory's settings, or check that they are the same.

        Raises:
            UserError: The directory was made with other settings or data.
        """
        path = os.path.join(self.directory, _SETTINGS)
        if os.path.isfile(path):
            self._check_unchanged(path)
        values = {"search": attrs.asdict(self.config), "base": attrs.asdict(self.base)}
        # First what the directory is known by.
        oracles.write_json(path, values)
        files.write(os.path.join(self.directory, "flags.txt"), flagfile)

    def _check_unchanged(self, path: str) -> None:
        old = read_settings(path, self.config.judge)
        run_directory.check_same(self.directory, old.search, self.config)
        run_directory.check_unchanged(self.directory, old.base, self.base)

    def conclude(self) -> str:
        """Write leaderboard, plots and the best trial's flags; return the reasons."""
        rows = self.rows()
        leaderboard.write(rows, self.objective, self.directory)
        best = [
            row
            for row in leaderboard.ranked(rows, self.objective)
            if row.status == "completed"
        ]
        sheets = {
            "objective": objective_chart.objective_over_trials(rows, self.objective),
            "parallel_coordinates": settings_chart.parallel_coordinates(
                rows, self.objective
            ),
            "front": front_chart.front(rows, self.objective),
        }
        if best:
            shown = best if len(best) <= _PANELS + 1 else [*best[:_PANELS], best[-1]]
            panels = [self._panel(best, row) for row in shown]
            sheets["samples"] = sample_sheet.samples_side_by_side(panels)
            self._write_best(best[0])
        text = json.dumps(pareto.summary(rows), indent=1)
        files.write(os.path.join(self.directory, "front.json"), f"{text}\n")
        for name, sheet in sheets.items():
            image_grids.save_png(os.path.join(self.directory, f"{name}.png"), sheet)
        trainings = self.config.executions_per_trial
        return explanation.explain(rows, self.objective, trainings)

    def _panel(self, best, row: leaderboard.Row) -> tuple[str, np.ndarray]:
        folder = trials.directory(self.directory, row.trial)
        value = row.figures[self.objective.name]
        title = f"{best.index(row) + 1} of {len(best)}: trial {row.trial}, {value:.5g}"
        path = os.path.join(folder, "samples.npy")
        try:
            return title, np.array(npy.mapped(path))
        except (OSError, ValueError) as error:
            raise files.UserError(
                f"Expected a trial's pictures in {path}, they can't be read ({error}). "
                "Bring the file back, or search anew in another --search_dir."
            ) from error

    def _write_best(self, row: leaderboard.Row) -> None:
        epochs = self.config.max_epochs
        model, train = self.space.settings(row.settings, epochs)
        run = attrs.evolve(self.base, model=model, train=train)
        head = (
            f"# Trial {row.trial} of {self.directory}, {self.objective.name} "
            f"{row.figures[self.objective.name]:.6g} after {row.epochs} epochs.\n"
        )
        text = run.flagfile()
        files.write(self.best_flags, head + text)


@attrs.frozen
class _Settings:
    """What `search.json` holds."""

    search: config_lib.SearchConfig
    base: run_directory.Run


def read_settings(path: str, judge: str) -> _Settings:
    """Read the settings of a search.

    Args:
        path: The file.
        judge: Of searches that were made before there was one.

    Raises:
        UserError: They can't be read.
    """

    def change(values: dict) -> dict:
        search = documents.build(dict, values.get("search"), "search")
        base = documents.build(dict, values.get("base"), "base")
        base = run_directory.with_data(base, data_config_lib.read_data_config)
        return values | {"search": {"judge": judge, **search}, "base": base}

    return documents.load(
        path,
        _Settings,
        "the settings of a search",
        "Use the package version that wrote them.",
        change=change,
    )


def recorded(directory: str) -> _Settings | None:
    """Return the settings of the search in a directory; None: there is none yet.

    Raises:
        UserError: Its settings can't be read.
    """
    path = os.path.join(directory, _SETTINGS)
    return read_settings(path, "") if os.path.isfile(path) else None
