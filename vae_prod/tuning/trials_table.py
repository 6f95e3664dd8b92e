"""The table of a search: its best trials as lines of text, with counts and failures."""

from collections.abc import Iterable, Sequence

from vae_prod import config as config_lib
from vae_prod.config import figures as figures_lib
from vae_prod.tuning import leaderboard, trial_text

# What the table shows beside the settings and the objective, most telling first.
_FIGURES = (
    "sample_frechet",
    "reconstruction_frechet",
    "psnr",
    "kl",
    "active_units",
)
_SHORT = {
    "sample_frechet": "sample",
    "reconstruction_frechet": "recon",
    "active_units": "active",
    "learning_rate": "rate",
    "encoder_dense": "dense",
    "reconstruction": "likelihood",
    **{name: row.label for name, row in config_lib.DECODERS.items()},
    **{name: row.label for name, row in config_lib.LIKELIHOODS.items()},
}


def table(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective, top: int = 10
) -> str:
    """Return the search so far as text: counts, the best trials, and what runs.

    Args:
        rows: All trials.
        objective: What ranks them.
        top: Most completed trials to show.

    Returns:
        Lines of about 100 characters at most; more only where so many settings are
        searched that they and the objective don't fit.
    """
    rows = leaderboard.ranked(rows, objective)
    best, running = (
        leaderboard.of_status(rows, "completed"),
        leaderboard.of_status(rows, "running"),
    )
    better = "lower" if objective.minimize else "higher"
    lines = [
        f"{trial_text.counts(rows)}; ranked by {objective.name}, {better} is better"
    ]
    if best or running:
        lines += _aligned(_columns(best[:top], running, objective))
    if any(_alike(best, row, objective) for row in best[:top]):
        lines.append(f"=: no difference from trial {best[0].trial} shown")
    if len(best) > top:
        lines.append(f"and {len(best) - top} more completed")
    return "\n".join(lines + trial_text.failures(rows))


def _columns(
    done: Sequence[leaderboard.Row],
    running: Sequence[leaderboard.Row],
    objective: leaderboard.Objective,
) -> list[list[str]]:
    """Return the table's columns, each its heading and a cell a row, as many as fit."""
    rows = [*done, *running]
    ranks = [
        f"{rank}{' =' * _alike(done, row, objective)}"
        for rank, row in enumerate(done, 1)
    ]
    columns = [
        ["rank", *ranks, *[""] * len(running)],
        ["trial", *(row.trial for row in rows)],
        ["epochs", *(str(row.epochs) for row in rows)],
    ]
    for name in dict.fromkeys(name for row in rows for name in row.settings):
        cells = [leaderboard.text_of(row.settings.get(name, "")) for row in rows]
        columns.append([_SHORT.get(cell, cell) for cell in (name, *cells)])
    figures = [trial_text.objective(objective.name, row) for row in done]
    columns.append([_heading(objective.name), *figures, *["running"] * len(running)])
    for name in _FIGURES:
        figures = [trial_text.figure(name, row) for row in done]
        column = [_heading(name), *figures, *[""] * len(running)]
        if name != objective.name and _width([*columns, column]) <= trial_text.WIDTH:
            columns.append(column)
    return columns


def _alike(
    done: Sequence[leaderboard.Row],
    row: leaderboard.Row,
    objective: leaderboard.Objective,
) -> bool:
    """Say whether no difference of a trial from the best one is shown."""
    return row is not done[0] and leaderboard.is_alike(done[0], row, objective)


def _heading(name: str) -> str:
    """Return what a figure is called above its column."""
    return _SHORT.get(name, figures_lib.FIGURES[name].text)


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) for column in columns) + 2 * (len(columns) - 1)


def _aligned(columns: Sequence[Sequence[str]]) -> list[str]:
    padded = []
    for column in columns:
        width = max(map(len, column))
        is_text = all(cell[:1].isalpha() for cell in column[1:] if cell)
        padded.append([c.ljust(width) if is_text else c.rjust(width) for c in column])
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
