"""Pictures of a search: what was tried, what came of it, and what it looks like."""

import math
import textwrap
from collections.abc import Iterable, Sequence

import attrs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_prod.config import figures as figures_lib
from vae_prod.reporting import plots
from vae_prod.tuning import layout, leaderboard

_POINT, _LINE, _BEST = plots.COLORS[0], plots.COLORS[1], plots.COLORS[3]
_GREY = "#777777"
# Positive values that differ by more than this factor get a logarithmic axis.
_WIDE = 30.0
# How much of the distance between two choices the lines through one are spread over.
_SPREAD = 0.3
# Space around the points of the front, as a share of their range.
_MARGIN = 0.1
_FRONT = ("reconstruction_distance", "sample_distance")
# Of pictures of samples, in pixels; smaller images are enlarged.
_SMALL, _TITLE_SIZE, _GAP = 64, 15, 24


def objective_over_trials(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective
) -> np.ndarray:
    """Plot the objective of each trial in the order of starting, and the best so far.

    Larger points trained for more epochs. Trials without a figure stand at the bottom.

    Returns:
        uint8 [height, width, 3].
    """
    from matplotlib import figure

    rows = sorted(leaderboard.ranked(rows, objective), key=lambda row: row.trial)
    values = [_value(row, objective) for row in rows]
    done = [number for number, value in enumerate(values) if value is not None]
    sheet = figure.Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = sheet.subplots()
    if done:
        line = best_so_far(values, objective.minimize)
        axes.step(
            range(len(rows)), line, color=_LINE, where="post", label="best so far"
        )
        shown, sizes = [values[i] for i in done], _sizes([rows[i] for i in done])
        axes.scatter(done, shown, sizes, _POINT, alpha=0.8, zorder=3)
        best = done[shown.index(line[-1])]
        _ring(axes, best, line[-1], sizes[done.index(best)], rows[best])
        _size_legend(axes, [rows[i] for i in done])
        if _is_wide(shown):
            axes.set_yscale("log")
    for status, marker, color in (("failed", "x", "black"), ("running", "^", _GREY)):
        at = [number for number, row in enumerate(rows) if row.status == status]
        edge = {"transform": axes.get_xaxis_transform(), "marker": marker}
        if at:
            axes.scatter(at, [0.03] * len(at), 45, color, label=status, **edge)
    axes.set(xlabel="trial, in the order of starting", ylabel=_label(objective))
    axes.set_xlim(-0.7, max(len(rows), 1) - 0.3)
    axes.margins(y=0.12)
    ticks = range(0, len(rows), -(-len(rows) // 12) or 1)
    axes.set_xticks(ticks, [rows[number].trial for number in ticks])
    return _finished(sheet, axes, bool(done))


def best_so_far(values: Sequence[float | None], minimize: bool) -> list[float]:
    """Return the best of the values up to each; NaN before the first one."""
    best, so_far = math.nan, []
    for value in values:
        if value is not None:
            better = value < best if minimize else value > best
            best = value if better or math.isnan(best) else best
        so_far.append(best)
    return so_far


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
    import matplotlib
    from matplotlib import figure

    rows = leaderboard.completed(rows, objective)
    names, scales = coordinates(rows, objective)
    size = (max(6.0, 1.5 * len(names) + 1.5), 4.6)
    sheet = figure.Figure(figsize=size, dpi=110, layout="constrained")
    axes = sheet.subplots()
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, max(len(rows), 2)))
    for rank, row in enumerate(rows):
        look = {"color": colors[rank], "alpha": 0.75, "linewidth": 1.3}
        if rank == 0:
            look = {"color": _BEST, "linewidth": 3.5, "marker": "o"}
        if rank in (0, len(rows) - 1):
            look["label"] = f"{'worst' if rank else 'best'}: trial {row.trial}"
        line = [scale.places[rank] for scale in scales]
        axes.plot(line, zorder=3 - rank / len(rows), **look)
    for number, scale in enumerate(scales):
        axes.axvline(number, color="black", linewidth=0.8)
        for place, label in scale.ticks.items():
            _outlined(axes.text(number + 0.03, place, label, va="center", fontsize=9))
    axes.set(xticks=range(len(names)), xticklabels=names, yticks=[])
    axes.set_xlim(-0.15, len(names) - 0.55)
    axes.set_ylim(-0.09, 1.09)
    axes.tick_params(length=0)
    return _finished(sheet, axes, bool(rows), grid=False)


def coordinates(
    rows: Sequence[leaderboard.Row], objective: leaderboard.Objective
) -> tuple[list[str], list[layout.Axis]]:
    """Return the axes of `parallel_coordinates` for completed trials by rank.

    Epochs have one too where they differ.

    Returns:
        Names, and an axis each; the last one is the objective.
    """
    settings = dict.fromkeys(name for row in rows for name in row.settings)
    columns = {name: [row.settings.get(name) for row in rows] for name in settings}
    if len({row.epochs for row in rows}) > 1:
        columns["epochs"] = [row.epochs for row in rows]
    scales = []
    for values in columns.values():
        if any(isinstance(value, float) for value in values):
            log = all(value is None or value > 0 for value in values)
            scales.append(layout.range_axis(values, log))
        else:
            scales.append(_spread(layout.choice_axis(values)))
    figures = [_value(row, objective) for row in rows]
    if figures:
        scales.append(layout.range_axis(figures, _is_wide(figures)))
        columns[_label(objective, 30)] = figures
    return list(columns), scales


def _spread(axis: layout.Axis) -> layout.Axis:
    """Move the places of equal choices apart, those of better trials lower."""
    room = _SPREAD / max(len(axis.ticks), 4) if len(axis.places) > 1 else 0.0
    shifts = np.linspace(-room / 2, room / 2, len(axis.places))
    return attrs.evolve(axis, places=(np.array(axis.places) + shifts).tolist())


def front(
    rows: Iterable[leaderboard.Row], objective: leaderboard.Objective
) -> np.ndarray:
    """Plot what reconstructions lose against how close random samples come.

    The trials that no other beats in both are joined and labelled, the best by the
    objective is ringed. Colour is `fact`, larger points trained for more epochs.

    Returns:
        uint8 [height, width, 3].
    """
    from matplotlib import figure

    rows = [
        row
        for row in leaderboard.completed(rows, objective)
        if all(leaderboard.finite(row.figures.get(name)) is not None for name in _FRONT)
    ]
    sheet = figure.Figure(figsize=(8, 5.5), dpi=110, layout="constrained")
    axes = sheet.subplots()
    if rows:
        x, y = ([row.figures[name] for row in rows] for name in _FRONT)
        across = _limits(axes.set_xscale, axes.set_xlim, x)
        up = _limits(axes.set_yscale, axes.set_ylim, y)
        _draw_front(axes, rows, list(zip(across, up, strict=True)))
        sizes = _sizes(rows)
        _color_by_fact(sheet, axes, rows, sizes)
        _ring(axes, x[0], y[0], sizes[0], rows[0])
        _size_legend(axes, rows)
    x_label, y_label = (_label(leaderboard.Objective(name, True)) for name in _FRONT)
    axes.set(xlabel=x_label, ylabel=y_label)
    return _finished(sheet, axes, bool(rows))


def samples_side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Lay sets of images next to each other, each a grid under its title.

    Args:
        panels: At least one; title, and images uint8 [N, H, W, C] with C 1 or 3. Small
            images are enlarged, all by the same factor.

    Returns:
        uint8 [height, width, 3].
    """
    factor = -(-_SMALL // max(images.shape[1] for _, images in panels))
    font = ImageFont.load_default(_TITLE_SIZE)
    sheets, titles = [], []
    for title, images in panels:
        images = images.repeat(factor, axis=1).repeat(factor, axis=2)
        columns = math.ceil(math.sqrt(len(images)))
        sheets.append(plots.grid(images, columns, gap=2 * factor))
        width = max(int(sheets[-1].shape[1] / font.getlength("0")), 12)
        titles.append("\n".join(textwrap.wrap(title, width)))
    canvas = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [canvas.textbbox((0, 0), title, font) for title in titles]
    top = int(max(box[3] for box in boxes)) + _GAP
    widths = [
        max(sheet.shape[1], int(box[2])) + _GAP
        for sheet, box in zip(sheets, boxes, strict=True)
    ]
    height = top + max(len(sheet) for sheet in sheets) + _GAP // 2
    page = Image.new("RGB", (sum(widths), height), "white")
    left = _GAP // 2
    for sheet, title, width in zip(sheets, titles, widths, strict=True):
        ImageDraw.Draw(page).text((left, _GAP // 2), title, "black", font)
        page.paste(Image.fromarray(sheet), (left, top))
        left += width
    return np.asarray(page)


def _draw_front(axes, rows: Sequence[leaderboard.Row], shares) -> None:
    """Join and label the trials that no other beats in both distances."""
    members = [rows.index(row) for row in leaderboard.pareto_optimal(rows)]
    x, y = ([rows[i].figures[name] for i in members] for name in _FRONT)
    axes.plot(x, y, color=_LINE, label="beaten by none in both")
    places = layout.label_places([shares[i] for i in members], shares)
    for i, a, b, place in zip(members, x, y, places, strict=True):
        line = {"arrowstyle": "-", "color": _GREY, "linewidth": 0.6, "shrinkB": 0}
        where = {"xytext": place, "textcoords": "axes fraction", "arrowprops": line}
        text = axes.annotate(
            rows[i].trial, (a, b), ha="center", va="center", zorder=5, **where
        )
        _outlined(text)


def _color_by_fact(sheet, axes, rows: Sequence[leaderboard.Row], sizes) -> None:
    """Draw the points of the front, `fact` as their colour."""
    from matplotlib import colors, ticker

    facts = [row.settings.get("fact") for row in rows]
    look = {"color": _POINT}
    if all(fact and fact > 0 for fact in facts) and len(set(facts)) > 1:
        low, high = min(facts), max(facts)
        look = {"c": facts, "cmap": "viridis", "norm": colors.LogNorm(low, high)}
    x, y = ([row.figures[name] for row in rows] for name in _FRONT)
    drawn = axes.scatter(
        x, y, sizes, edgecolors="black", linewidths=0.5, zorder=3, **look
    )
    if "c" in look:
        bar = sheet.colorbar(drawn, label="fact (log scale)", format="%.2g")
        bar.set_ticks(np.geomspace(low, high, 5))
        bar.ax.yaxis.set_minor_locator(ticker.NullLocator())


def _limits(set_scale, set_limits, values: Sequence[float]) -> list[float]:
    """Scale an axis to values; return where they are, as shares of it."""
    log = _is_wide(values)
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
    places = layout.range_axis(values, log).places
    return [(place + _MARGIN) / (1 + 2 * _MARGIN) for place in places]


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _value(row: leaderboard.Row, objective: leaderboard.Objective) -> float | None:
    return row.figures[objective.name] if row.status == "completed" else None


def _label(objective: leaderboard.Objective, width: int = 60) -> str:
    unit = figures_lib.UNITS[figures_lib.FIGURES[objective.name].unit]
    better = f"{'lower' if objective.minimize else 'higher'} is better"
    meaning = f"({', '.join(filter(None, (unit, better)))})"
    return f"{objective.name}\n{textwrap.fill(meaning, width)}"


def _sizes(rows: Sequence[leaderboard.Row]) -> list[float]:
    """Return areas of points in square points, by epochs."""
    most = max(max(row.epochs for row in rows), 1)
    return [25 + 115 * row.epochs / most for row in rows]


def _size_legend(axes, rows: Sequence[leaderboard.Row]) -> None:
    """Name the sizes: all different epochs, of many the least, middle and most."""
    sizes = dict(zip((row.epochs for row in rows), _sizes(rows), strict=True))
    epochs = sorted(sizes)
    if len(epochs) > 4:
        epochs = [epochs[0], epochs[len(epochs) // 2], epochs[-1]]
    for count in epochs if len(epochs) > 1 else ():
        axes.scatter([], [], sizes[count], _GREY, label=f"{count} epochs")


def _ring(axes, x: float, y: float, size: float, row: leaderboard.Row) -> None:
    look = {"facecolors": "none", "edgecolors": _BEST, "linewidths": 2.5, "zorder": 4}
    around = (math.sqrt(size) + 8) ** 2
    axes.scatter([x], [y], around, label=f"best: trial {row.trial}", **look)


def _outlined(text) -> None:
    from matplotlib import patheffects

    text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])


def _finished(sheet, axes, has_points: bool, grid: bool = True) -> np.ndarray:
    """Add what all plots have, and draw: uint8 [height, width, 3]."""
    from vae_prod.reporting import charts

    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_visible(grid)
    if not has_points:
        centre = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no trial with a figure yet", color=_GREY, **centre)
        axes.set(xticks=[], yticks=[])
    elif grid:
        axes.grid(color="#dddddd", linewidth=0.6)
    if axes.get_legend_handles_labels()[0]:
        look = {"frameon": False, "fontsize": 9, "columnspacing": 1.2}
        sheet.legend(loc="outside upper center", ncols=8, **look)
    return charts.rendered(sheet)
