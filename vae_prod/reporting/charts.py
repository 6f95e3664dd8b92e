"""Charts by Matplotlib: lines, fronts, bars, and what all charts have in common.

Letters are large for the width, for phones, and nothing is told by colour alone.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib import figure
from matplotlib.backends import backend_agg

# Okabe & Ito (2008): distinguishable with any colour vision.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
# Beside their colours, so that series can be told apart in grey too.
_STYLES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Names from data are no formulas.


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
) -> np.ndarray:
    """Draw lines over a common axis.

    Args:
        series: Name to its x and y values; one without points is left out.
        x_label: What x is, with its unit.
        y_label: What y is, with its unit.

    Returns:
        uint8 [height, width, 3].
    """

    def draw(sheet):
        axes = sheet.subplots()
        for number, (name, (x, y)) in enumerate(series.items()):
            if len(x):
                axes.plot(x, y, label=name, markersize=5, **_look(number))
        tidy(axes, x_label, y_label)
        if len(series) > 1:
            axes.legend(frameon=False)

    return drawn(draw)


def front(
    points: Mapping[str, tuple[float, float]], x_label: str, y_label: str
) -> np.ndarray:
    """Draw named points of two measures, joined in their order.

    Args:
        points: Name to (x, y).
        x_label: What x is, with its unit and which way is better.
        y_label: The same of y.

    Returns:
        uint8 [height, width, 3].
    """

    def draw(sheet):
        axes = sheet.subplots()
        axes.plot(*zip(*points.values(), strict=True), "o-", color=COLORS[0])
        for name, place in points.items():
            axes.annotate(name, place, (6, 6), textcoords="offset points", fontsize=11)
        axes.margins(0.15)
        tidy(axes, x_label, y_label)

    return drawn(draw, 4.5)


def intervals(
    values: Mapping[str, tuple[float, float, float]], x_label: str
) -> np.ndarray:
    """Draw named values with their intervals, one under the other, and where 0 is.

    Args:
        values: Name to value, lowest and highest, in the order to draw them.
        x_label: What they are, with their unit.

    Returns:
        uint8 [height, width, 3].
    """

    def draw(sheet):
        axes = sheet.subplots()
        middle, low, high = np.array(list(values.values())).T
        places = np.arange(len(values))
        axes.axvline(0, color="#888888", linewidth=1)
        axes.errorbar(
            middle,
            places,
            xerr=(middle - low, high - middle),
            fmt="o",
            markersize=5,
            color=COLORS[0],
        )
        axes.set_yticks(places, values)
        axes.invert_yaxis()
        tidy(axes, x_label, "")

    return drawn(draw, 1.2 + 0.26 * len(values))


def kl_per_dimension(kl: np.ndarray) -> np.ndarray:
    """Draw the KL of each latent dimension as bars, largest first.

    Args:
        kl: float [z_dim], nats, averaged over images.

    Returns:
        uint8 [height, width, 3].
    """
    sheet = figure.Figure(figsize=(6, 3), dpi=100, layout="constrained")
    axes = sheet.subplots()
    axes.bar(np.arange(1, len(kl) + 1), np.sort(kl)[::-1], width=1.0, color=COLORS[0])
    axes.set_xlabel("latent dimension, by rank")
    axes.set_ylabel("KL (nats per image)")
    return rendered(sheet)


def _look(number: int) -> dict:
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": _STYLES[number % len(_STYLES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def drawn(draw: Callable[[figure.Figure], None], height: float = 4.0) -> np.ndarray:
    """Make a figure of a phone's form, let `draw` fill it, and render it.

    Args:
        draw: Called with the figure.
        height: Inches, of a width of 6.

    Returns:
        uint8 [150 height, 900, 3].
    """
    with matplotlib.rc_context(
        {
            "font.size": 13,
            "axes.labelsize": 13,
            "legend.fontsize": 11,
            "text.parse_math": False,
        }
    ):
        sheet = figure.Figure((6.0, height), dpi=150, layout="constrained")
        draw(sheet)
        return rendered(sheet)


def tidy(axes, x_label: str, y_label: str) -> None:
    """Label axes, and draw a quiet grid."""
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def rendered(sheet: figure.Figure) -> np.ndarray:
    """Render a figure: uint8 [height, width, 3]."""
    canvas = backend_agg.FigureCanvasAgg(sheet)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
