"""A chart of a search: parallel coordinates of the trials' settings."""

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import matplotlib
import numpy as np
from matplotlib import figure

from vae_prod.tuning import chart_layout, chart_style, leaderboard

# How much of the distance between two choices the lines through one are spread over.
_SPREAD = 0.3


def parallel_coordinates(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective
) -> np.ndarray:
    """Plot each completed trial as a line through its settings to its objective.

    Darker lines are better, the best is drawn over all. Ranges that are drawn on a log
    scale are log here, choices are spaced evenly; lines through one choice are spread
    a little, better ones lower, so that they can be told apart.

    Returns:
        uint8 [height, width, 3].
    """
    rows = leaderboard.completed(rows, objective)
    names, scales = coordinates(rows, objective)
    size = (max(6.0, 1.5 * len(names) + 1.5), 4.6)
    sheet = figure.Figure(figsize=size, dpi=110, layout="constrained")
    axes = sheet.subplots()
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, max(len(rows), 2)))
    for rank, row in enumerate(rows):
        look = {"color": colors[rank], "alpha": 0.75, "linewidth": 1.3}
        if rank == 0:
            look = {"color": chart_style.BEST, "linewidth": 3.5, "marker": "o"}
        if rank in (0, len(rows) - 1):
            look["label"] = f"{'worst' if rank else 'best'}: trial {row.trial}"
        line = [scale.places[rank] for scale in scales]
        axes.plot(line, zorder=3 - rank / len(rows), **look)
    for number, scale in enumerate(scales):
        axes.axvline(number, color="black", linewidth=0.8)
        for place, label in scale.ticks.items():
            chart_style.outline(
                axes.text(number + 0.03, place, label, va="center", fontsize=9)
            )
    axes.set(xticks=range(len(names)), xticklabels=names, yticks=[])
    axes.set_xlim(-0.15, len(names) - 0.55)
    axes.set_ylim(-0.09, 1.09)
    axes.tick_params(length=0)
    return chart_style.finish(sheet, axes, bool(rows), grid=False)


def coordinates(
    rows: Sequence[leaderboard.Row], objective: leaderboard.Objective
) -> tuple[list[str], list[chart_layout.Axis]]:
    """Return the axes of `parallel_coordinates` for completed trials by rank.

    Epochs have one too where they differ.

    Returns:
        Names, and an axis each; the last one is the objective.
    """
    settings = dict.fromkeys(name for row in rows for name in row.settings)
    columns: dict[str, list[Any]] = {
        name: [row.settings.get(name) for row in rows] for name in settings
    }
    if len({row.epochs for row in rows}) > 1:
        columns["epochs"] = [row.epochs for row in rows]
    scales = []
    for values in columns.values():
        if any(isinstance(value, float) for value in values):
            log = all(value is None or value > 0 for value in values)
            scales.append(chart_layout.range_axis(values, log))
        else:
            scales.append(_spread(chart_layout.choice_axis(values)))
    figures = [row.figure(objective.name) for row in rows]
    if figures:
        scales.append(chart_layout.range_axis(figures, chart_style.is_wide(figures)))
        columns[chart_style.label(objective, 30)] = figures
    return list(columns), scales


def _spread(axis: chart_layout.Axis) -> chart_layout.Axis:
    """Move the places of equal choices apart, those of better trials lower."""
    room = _SPREAD / max(len(axis.ticks), 4) if len(axis.places) > 1 else 0.0
    shifts = np.linspace(-room / 2, room / 2, len(axis.places))
    return attrs.evolve(axis, places=(np.array(axis.places) + shifts).tolist())
