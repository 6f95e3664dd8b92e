"""A chart of a search: the Pareto front of reconstructions against samples."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colors, figure, ticker

from vae_prod.tuning import chart_layout, chart_style, leaderboard, pareto

# Space around the points of the front, as a share of their range.
_MARGIN = 0.1


def front(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective
) -> np.ndarray:
    """Plot what reconstructions lose against how close random samples come.

    The trials that no other beats in both are joined and labelled, the best by the
    objective is ringed. Colour is `fact`, larger points trained for more epochs.

    Returns:
        uint8 [height, width, 3].
    """
    rows = [row for row in leaderboard.completed(rows, objective) if pareto.point(row)]
    sheet = figure.Figure(figsize=(8, 5.5), dpi=110, layout="constrained")
    axes = sheet.subplots()
    if rows:
        x, y = ([row.figure(name) for row in rows] for name in pareto.FIGURES)
        across = _limits(axes.set_xscale, axes.set_xlim, x)
        up = _limits(axes.set_yscale, axes.set_ylim, y)
        _draw_front(axes, rows, list(zip(across, up, strict=True)))
        sizes = chart_style.sizes(rows)
        _color_by_fact(sheet, axes, rows, sizes)
        chart_style.ring(axes, x[0], y[0], sizes[0], rows[0])
        chart_style.add_size_legend(axes, rows)
    x_label, y_label = (
        chart_style.label(leaderboard.Objective(name, True)) for name in pareto.FIGURES
    )
    axes.set(xlabel=x_label, ylabel=y_label)
    return chart_style.finish(sheet, axes, bool(rows))


def _draw_front(axes, rows: Sequence[leaderboard.Row], shares) -> None:
    """Join and label the trials that no other beats in both figures."""
    members = [rows.index(row) for row in pareto.optimal(rows)]
    x, y = ([rows[i].figure(name) for i in members] for name in pareto.FIGURES)
    axes.plot(x, y, color=chart_style.LINE, label="beaten by none in both")
    places = chart_layout.label_places([shares[i] for i in members], shares)
    for i, a, b, place in zip(members, x, y, places, strict=True):
        line = {
            "arrowstyle": "-",
            "color": chart_style.GREY,
            "linewidth": 0.6,
            "shrinkB": 0,
        }
        where = {"xytext": place, "textcoords": "axes fraction", "arrowprops": line}
        text = axes.annotate(
            rows[i].trial, (a, b), ha="center", va="center", zorder=5, **where
        )
        chart_style.outline(text)


def _color_by_fact(sheet, axes, rows: Sequence[leaderboard.Row], sizes) -> None:
    """Draw the points of the front, `fact` as their colour."""
    facts = [row.fact for row in rows if row.fact and row.fact > 0]
    look: dict[str, Any] = {"color": chart_style.POINT}
    low, high = min(facts, default=0.0), max(facts, default=0.0)
    if len(facts) == len(rows) and low < high:
        look = {"c": facts, "cmap": "viridis", "norm": colors.LogNorm(low, high)}
    x, y = ([row.figure(name) for row in rows] for name in pareto.FIGURES)
    drawn = axes.scatter(
        x, y, sizes, edgecolors="black", linewidths=0.5, zorder=3, **look
    )
    if "c" in look:
        bar = sheet.colorbar(drawn, label="fact (log scale)", format="%.2g")
        bar.set_ticks(np.geomspace(low, high, 5))
        bar.ax.yaxis.set_minor_locator(ticker.NullLocator())


def _limits(set_scale, set_limits, values: Sequence[float]) -> list[float]:
    """Scale an axis to values; return where they are, as shares of it."""
    log = chart_style.is_wide(values)
    low, high = min(values), max(values)
    if low == high:
        set_limits(low - 1.0, high + 1.0)
        return [0.5] * len(values)
    if log:
        set_scale("log")
        room = (high / low) ** _MARGIN
        set_limits(low / room, high * room)
    else:
        room = (high - low) * _MARGIN
        set_limits(low - room, high + room)
    places = chart_layout.range_axis(values, log).places
    return [(place + _MARGIN) / (1 + 2 * _MARGIN) for place in places]
