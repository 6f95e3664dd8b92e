"""A chart of a search: the objective over the trials, and the best so far."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import figure

from vae_prod.tuning import chart_style, leaderboard


def objective_over_trials(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective
) -> np.ndarray:
    """Plot the objective of each trial in the order of starting, and the best so far.

    Larger points trained for more epochs. Trials without a figure stand at the bottom.

    Returns:
        uint8 [height, width, 3].
    """
    rows = sorted(leaderboard.ranked(rows, objective), key=lambda row: row.trial)
    values = [chart_style.figure_of(row, objective) for row in rows]
    shown = [value for value in values if value is not None]
    done = [number for number, value in enumerate(values) if value is not None]
    sheet = figure.Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = sheet.subplots()
    if done:
        line = best_so_far(values, objective.minimize)
        axes.step(
            range(len(rows)),
            line,
            color=chart_style.LINE,
            where="post",
            label="best so far",
        )
        sizes = chart_style.sizes([rows[i] for i in done])
        axes.scatter(done, shown, sizes, chart_style.POINT, alpha=0.8, zorder=3)
        best = done[shown.index(line[-1])]
        chart_style.ring(axes, best, line[-1], sizes[done.index(best)], rows[best])
        chart_style.add_size_legend(axes, [rows[i] for i in done])
        if chart_style.is_wide(shown):
            axes.set_yscale("log")
    for status, marker, color in (
        ("failed", "x", "black"),
        ("running", "^", chart_style.GREY),
    ):
        at = [number for number, row in enumerate(rows) if row.status == status]
        if at:
            axes.scatter(
                at,
                [0.03] * len(at),
                45,
                color,
                marker=marker,
                label=status,
                transform=axes.get_xaxis_transform(),
            )
    axes.set(
        xlabel="trial, in the order of starting", ylabel=chart_style.label(objective)
    )
    axes.set_xlim(-0.7, max(len(rows), 1) - 0.3)
    axes.margins(y=0.12)
    ticks = range(0, len(rows), -(-len(rows) // 12) or 1)
    axes.set_xticks(ticks, [rows[number].trial for number in ticks])
    return chart_style.finish(sheet, axes, bool(done))


def best_so_far(values: Sequence[float | None], minimize: bool) -> list[float]:
    """Return the best of the values up to each; NaN before the first one."""
    best, so_far = math.nan, []
    for value in values:
        if value is not None:
            better = value < best if minimize else value > best
            best = value if better or math.isnan(best) else best
        so_far.append(best)
    return so_far
