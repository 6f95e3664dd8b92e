"""Counts, figures and failures of a search's trials, as text."""

import textwrap
from collections.abc import Sequence

from vae_prod.reporting import uncertainty
from vae_prod.tuning import leaderboard

# Characters of a line, at most.
WIDTH = 100
_DECIMALS = {
    "active_units": 0,
    "bits_per_dim": 3,
    **dict.fromkeys(("frechet", "sample_frechet", "reconstruction_frechet"), 2),
}
_MOST_REASONS, _MOST_TRIALS = 3, 5


def counts(rows: Sequence[leaderboard.Row]) -> str:
    """Say how many trials there are, and how many of each status."""
    parts = [
        f"{len(leaderboard.of_status(rows, status))} {status}"
        for status in leaderboard.STATUSES
    ]
    return f"{number(len(rows), 'trial')}: {', '.join(parts)}"


def number(count: int, noun: str) -> str:
    """Write a number of things."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def epochs(row: leaderboard.Row) -> str:
    """Write how long a trial trained."""
    return number(row.epochs, "epoch")


def figure(name: str, row: leaderboard.Row, more: int = 0) -> str:
    """Write a figure with the decimals of its kind, and some more."""
    value = leaderboard.finite(row.figures.get(name))
    return "n/a" if value is None else f"{value:.{_DECIMALS.get(name, 1) + more}f}"


def objective(name: str, row: leaderboard.Row) -> str:
    """Write the figure that ranks a trial, with its interval where it is known."""
    estimate = row.estimate(name)
    interval = uncertainty.plus_minus(estimate.half_width if estimate else None)
    return f"{figure(name, row, 1)} {interval}".rstrip()


def failures(rows: Sequence[leaderboard.Row]) -> list[str]:
    """Return a line for each reason why trials failed, the most frequent ones."""
    failed = leaderboard.of_status(rows, "failed")
    trials: dict[str, list[str]] = {row.message: [] for row in failed}
    for row in failed:
        trials[row.message].append(row.trial)
    reasons = sorted(trials.items(), key=lambda item: -len(item[1]))
    lines = []
    for message, ids in reasons[:_MOST_REASONS]:
        more = f" and {len(ids) - _MOST_TRIALS} more" if len(ids) > _MOST_TRIALS else ""
        start = f"failed: {', '.join(ids[:_MOST_TRIALS])}{more}: "
        text = message or "no reason given"
        width = WIDTH - len(start)
        lines.append(start + textwrap.shorten(text, width, placeholder=" ..."))
    if len(reasons) > _MOST_REASONS:
        others = sum(len(ids) for _, ids in reasons[_MOST_REASONS:])
        lines.append(f"failed for other reasons: {others}")
    return lines
