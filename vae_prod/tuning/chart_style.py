"""What all charts of a search have in common: colours, sizes, labels, frame."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects

from vae_prod.config import figures as figures_lib
from vae_prod.reporting import charts
from vae_prod.tuning import leaderboard

POINT, LINE, BEST = charts.COLORS[0], charts.COLORS[1], charts.COLORS[3]
GREY = "#777777"
# Positive values that differ by more than this factor get a logarithmic axis.
_WIDE = 30.0


def is_wide(values: Sequence[float]) -> bool:
    """Say whether positive values differ so much that their axis is logarithmic."""
    return min(values) > 0 and max(values) / min(values) > _WIDE


def figure_of(row: leaderboard.Row, objective: leaderboard.Objective) -> float | None:
    """Return a trial's objective, None where it has no rank."""
    return row.figures[objective.name] if row.status == "completed" else None


def label(objective: leaderboard.Objective, width: int = 60) -> str:
    """Return the objective's name, its unit and which way is better."""
    unit = figures_lib.UNITS[figures_lib.FIGURES[objective.name].unit]
    better = f"{'lower' if objective.minimize else 'higher'} is better"
    meaning = f"({', '.join(filter(None, (unit, better)))})"
    return f"{objective.name}\n{textwrap.fill(meaning, width)}"


def sizes(rows: Sequence[leaderboard.Row]) -> list[float]:
    """Return areas of points in square points, by epochs."""
    most = max(max(row.epochs for row in rows), 1)
    return [25 + 115 * row.epochs / most for row in rows]


def add_size_legend(axes, rows: Sequence[leaderboard.Row]) -> None:
    """Name the sizes: all different epochs, of many the least, middle and most."""
    areas = dict(zip((row.epochs for row in rows), sizes(rows), strict=True))
    epochs = sorted(areas)
    if len(epochs) > 4:
        epochs = [epochs[0], epochs[len(epochs) // 2], epochs[-1]]
    for count in epochs if len(epochs) > 1 else ():
        axes.scatter([], [], areas[count], GREY, label=f"{count} epochs")


def ring(axes, x: float, y: float, size: float, row: leaderboard.Row) -> None:
    """Ring the best trial."""
    look = {"facecolors": "none", "edgecolors": BEST, "linewidths": 2.5, "zorder": 4}
    around = (math.sqrt(size) + 8) ** 2
    axes.scatter([x], [y], around, label=f"best: trial {row.trial}", **look)


def outline(text) -> None:
    """Outline a text in white, so that it can be read over lines."""
    text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])


def finish(sheet, axes, has_points: bool, grid: bool = True) -> np.ndarray:
    """Add what all charts have, and draw: uint8 [height, width, 3]."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_visible(grid)
    if not has_points:
        centre = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no trial with a figure yet", color=GREY, **centre)
        axes.set(xticks=[], yticks=[])
    elif grid:
        axes.grid(color="#dddddd", linewidth=0.6)
    if axes.get_legend_handles_labels()[0]:
        look = {"frameon": False, "fontsize": 9, "columnspacing": 1.2}
        sheet.legend(loc="outside upper center", ncols=8, **look)
    return charts.rendered(sheet)
