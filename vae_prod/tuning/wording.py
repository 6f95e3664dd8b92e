"""A search in words: the table of its trials, and why the best is the best."""

import textwrap
from collections.abc import Iterable, Sequence

from vae_prod import config as config_lib
from vae_prod.config import figures as figures_lib
from vae_prod.tuning.leaderboard import (
    STATUSES,
    Objective,
    Row,
    finite,
    of_status,
    ranked,
    text_of,
)

# The table drops its last columns rather than be wider, in characters.
_WIDTH = 100
# What the table shows beside the settings and the objective, most telling first.
_FIGURES = (
    "sample_distance",
    "reconstruction_distance",
    "psnr",
    "kl",
    "active_units",
)
_SHORT = {
    "sample_distance": "sample",
    "reconstruction_distance": "recon",
    "active_units": "active",
    "learning_rate": "rate",
    "encoder_dense": "dense",
    "reconstruction": "likelihood",
    **{name: row.label for name, row in config_lib.DECODERS.items()},
    **{name: row.label for name, row in config_lib.LIKELIHOODS.items()},
}
_DECIMALS = {"active_units": 0, "bits_per_dim": 3}
_MOST_REASONS, _MOST_TRIALS = 3, 5
# What people look at.
_LOOKED_AT = ("sample_distance", "reconstruction_distance", "psnr")
# Relative leads that another seed easily turns: of distances, and of figures that are
# much the same for all models.
_SMALL_LEADS = (0.02, 0.005)


def table(rows: Iterable[Row], objective: Objective, top: int = 10) -> str:
    """Return the search so far as text: counts, the best trials, and what runs.

    Args:
        rows: All trials.
        objective: What ranks them.
        top: Most completed trials to show.

    Returns:
        Lines of about 100 characters at most; more only where so many settings are
        searched that they and the objective don't fit.
    """
    rows = ranked(rows, objective)
    best, running = of_status(rows, "completed"), of_status(rows, "running")
    better = "lower" if objective.minimize else "higher"
    lines = [f"{_counts(rows)}; ranked by {objective.name}, {better} is better"]
    if best or running:
        lines += _aligned(_columns(best[:top], running, objective))
    if len(best) > top:
        lines.append(f"and {len(best) - top} more completed")
    return "\n".join(lines + _failures(rows))


def reason(rows: Iterable[Row], objective: Objective) -> str:
    """Say in a few sentences why the best trial is the best, and how far to trust it.

    Only what the figures show is said: the lead over other settings, the places in
    both distances and PSNR, unequal epochs, and a `fact` at an edge of what was tried.
    """
    rows = ranked(rows, objective)
    done = of_status(rows, "completed")
    if not done:
        return " ".join([f"No trial has a rank: {_counts(rows)}.", *_failures(rows)])
    best = done[0]
    sentences = [_lead(done, objective), _places(done, objective)]
    longest = max(done, key=lambda row: row.epochs)
    if best.epochs < longest.epochs:
        sentences.append(
            f"It trained for {_epochs(best)}, others for {longest.epochs}: they don't "
            f"compare fairly. Of the longest, {longest.trial} is best, with "
            f"{objective.name} {_figure(objective.name, longest, 1)}."
        )
    if objective.name == "total_loss":
        sentences.append(
            "total_loss falls with fact by construction, so it doesn't rank models of "
            "different fact; rank them by distance."
        )
    else:
        sentences.append(_edge(rows, best))
    return " ".join(filter(None, sentences))


def _counts(rows: Sequence[Row]) -> str:
    counts = [f"{len(of_status(rows, status))} {status}" for status in STATUSES]
    return f"{_number(len(rows), 'trial')}: {', '.join(counts)}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _epochs(row: Row) -> str:
    return _number(row.epochs, "epoch")


def _figure(name: str, row: Row, more: int = 0) -> str:
    """Write a figure with the decimals of its kind, and some more."""
    value = finite(row.figures.get(name))
    return "n/a" if value is None else f"{value:.{_DECIMALS.get(name, 1) + more}f}"


def _columns(
    done: Sequence[Row], running: Sequence[Row], objective: Objective
) -> list[list[str]]:
    """Return the table's columns, each its heading and a cell a row, as many as fit."""
    rows = [*done, *running]
    ranks = [str(rank) for rank in range(1, len(done) + 1)]
    columns = [
        ["rank", *ranks, *[""] * len(running)],
        ["trial", *(row.trial for row in rows)],
        ["epochs", *(str(row.epochs) for row in rows)],
    ]
    for name in dict.fromkeys(name for row in rows for name in row.settings):
        cells = [text_of(row.settings.get(name, "")) for row in rows]
        columns.append([_SHORT.get(cell, cell) for cell in (name, *cells)])
    figures = [_figure(objective.name, row, 1) for row in done]
    columns.append([_heading(objective.name), *figures, *["running"] * len(running)])
    for name in _FIGURES:
        figures = [_figure(name, row) for row in done]
        column = [_heading(name), *figures, *[""] * len(running)]
        if name != objective.name and _width([*columns, column]) <= _WIDTH:
            columns.append(column)
    return columns


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


def _failures(rows: Sequence[Row]) -> list[str]:
    """Return a line for each reason why trials failed, the most frequent ones."""
    failed = of_status(rows, "failed")
    trials = {row.message: [] for row in failed}
    for row in failed:
        trials[row.message].append(row.trial)
    reasons = sorted(trials.items(), key=lambda item: -len(item[1]))
    lines = []
    for message, ids in reasons[:_MOST_REASONS]:
        more = f" and {len(ids) - _MOST_TRIALS} more" if len(ids) > _MOST_TRIALS else ""
        start = f"failed: {', '.join(ids[:_MOST_TRIALS])}{more}: "
        text = message or "no reason given"
        width = _WIDTH - len(start)
        lines.append(start + textwrap.shorten(text, width, placeholder=" ..."))
    if len(reasons) > _MOST_REASONS:
        others = sum(len(ids) for _, ids in reasons[_MOST_REASONS:])
        lines.append(f"failed for other reasons: {others}")
    return lines


def _described(row: Row) -> str:
    values = (f"{name} {text_of(value)}" for name, value in row.settings.items())
    return f"{row.trial} ({', '.join((*values, _epochs(row)))})"


def _lead(done: Sequence[Row], objective: Objective) -> str:
    """Compare the best with the best of other settings: Hyperband repeats settings."""
    best, name = done[0], objective.name
    others = [row for row in done if row.settings != best.settings]
    start, figure = f"Trial {_described(best)} has", _figure(name, best, 1)
    if not others:
        return (
            f"{start} {name} {figure}; no other settings completed, so nothing "
            "compares with it."
        )
    lead = abs(best.figures[name] - others[0].figures[name])
    lead /= max(abs(best.figures[name]), abs(others[0].figures[name])) or 1.0
    extreme = "lowest" if objective.minimize else "highest"
    sentence = (
        f"{start} the {extreme} {name}, {figure}, {100 * lead:.3g} % ahead of the next "
        f"settings, {_described(others[0])} with {_figure(name, others[0], 1)}"
    )
    if others[0].epochs < best.epochs:
        sentence += ", which trained less: part of the lead may be its epochs"
    if lead < _SMALL_LEADS["distance" not in name]:
        sentence += "; another seed could turn so small a lead"
    return f"{sentence}."


def _places(done: Sequence[Row], objective: Objective) -> str:
    """Say where the best trial stands in the figures that people look at."""
    places = []
    for name in _LOOKED_AT:
        key = Objective(name, figures_lib.FIGURES[name].minimize).key
        keys = [key(row) for row in done if key(row) is not None]
        if name != objective.name and key(done[0]) is not None and len(keys) > 1:
            place = 1 + sum(value < key(done[0]) for value in keys)
            figure = _figure(name, done[0])
            places.append(f"number {place} of {len(keys)} in {name} ({figure})")
    return f"It is {' and '.join(places)}." if places else ""


def _edge(rows: Sequence[Row], best: Row) -> str:
    """Say whether the best `fact` is the lowest or highest of at least three."""
    tried = sorted({row.settings["fact"] for row in rows if "fact" in row.settings})
    if len(tried) < 3 or best.settings.get("fact") not in (tried[0], tried[-1]):
        return ""
    edge = "lowest" if best.settings["fact"] == tried[0] else "highest"
    return (
        f"Its fact is the {edge} that was tried ({text_of(tried[0])} to "
        f"{text_of(tried[-1])}): widen the range of --search_fact there."
    )
