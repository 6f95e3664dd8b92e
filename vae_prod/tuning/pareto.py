"""The trials that no other beats in both of what a search trades off."""

import math
from collections.abc import Iterable, Sequence

from vae_prod.tuning import leaderboard

# Reconstruction against samples; both are better when lower.
FIGURES = ("reconstruction_frechet", "sample_frechet")


def point(row: leaderboard.Row) -> tuple[float, float] | None:
    """Return both figures of a trial; None where one is missing or isn't finite."""
    x, y = (leaderboard.finite(row.figures.get(name)) for name in FIGURES)
    return None if x is None or y is None else (x, y)


def optimal(rows: Iterable[leaderboard.Row]) -> list[leaderboard.Row]:
    """Return the completed trials that no other one beats in both figures.

    A trial is beaten by one with both at most as high and not both equal.

    Returns:
        Rows, lowest reconstruction figure first.
    """
    done = leaderboard.of_status(rows, "completed")
    points = [(at, row.trial, row) for row in done if (at := point(row))]
    front: list[leaderboard.Row] = []
    last = (math.inf, math.inf)
    for at, _, row in sorted(points, key=lambda each: each[:2]):
        if at[1] < last[1] or at == last:
            front.append(row)
            last = at
    return front


def hypervolume(
    front: Sequence[leaderboard.Row], reference: tuple[float, float]
) -> float:
    """Return the area that the front's trials beat (Zitzler & Thiele 1999).

    Args:
        front: See `optimal`.
        reference: The corner of what is beaten, no better than any trial counted.
    """
    area, height = 0.0, reference[1]
    for x, y in filter(None, map(point, front)):
        area += max(reference[0] - x, 0.0) * max(height - y, 0.0)
        height = min(height, y)
    return area


def summary(rows: Iterable[leaderboard.Row]) -> dict:
    """Return the front for files: its trials, their area and its reference.

    The reference is the worst of each figure over all trials, so areas of searches of
    other trials compare only after they are computed anew from one reference.
    """
    rows = list(rows)
    front = optimal(rows)
    if not front:
        return {"trials": [], "hypervolume": None, "reference": None}
    points = map(point, leaderboard.of_status(rows, "completed"))
    x, y = zip(*filter(None, points), strict=True)
    reference = max(x), max(y)
    return {
        "trials": [row.trial for row in front],
        "figures": list(FIGURES),
        "reference": list(reference),
        "hypervolume": hypervolume(front, reference),
    }
