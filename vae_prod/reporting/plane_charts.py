"""Charts of a latent plane: scatter plots of points, and decoded images in place.

For a latent space of two dimensions, and for more of them placed by t-SNE or by their
first principal components. All are functions of arrays and return uint8 [height, width,
3]; classes differ in colour and marker, and carry their names.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from scipy import stats

from vae_prod.reporting import charts, image_grids

AXES = ("z 1 (no unit)", "z 2 (no unit)")
_MARKERS = ("o", "^", "s", "v", "D", "P", "X")
# Classes are drawn in so many turns, so that none covers the others.
_TURNS = 10
_HEIGHT = 5.6


def scatter(
    points: np.ndarray,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    axis_labels: tuple[str, str] = AXES,
) -> np.ndarray:
    """Scatter points, each class with a colour, a marker and its name at its middle.

    Args:
        points: float [N, 2].
        labels: int [N], in [0, L); None: all alike.
        names: Of the L classes.
        axis_labels: What the axes are, with their units.
    """

    def draw(sheet):
        axes = sheet.subplots()
        _scatter(axes, points, labels, names)
        charts.tidy(axes, *axis_labels)

    return charts.drawn(draw, _HEIGHT)


def p_values(
    points: np.ndarray, labels: np.ndarray | None = None, names: Sequence[str] = ()
) -> np.ndarray:
    """Scatter points through the normal distribution function, see `scatter`.

    Points of N(0, I) fill the square evenly.
    """
    what = "share of N(0, 1) below z {}"
    shares = stats.norm.cdf(points)
    return scatter(shares, labels, names, (what.format(1), what.format(2)))


def _scatter(axes, points, labels, names) -> None:
    size = float(np.clip(4e4 / max(len(points), 1), 3, 24))
    if labels is None:
        labels, names = np.zeros(len(points), int), ("",)
    for turn in range(_TURNS):
        for number in range(len(names)):
            members = points[turn::_TURNS][labels[turn::_TURNS] == number]
            axes.scatter(
                *members.T,
                s=size,
                alpha=0.6,
                linewidths=0,
                color=charts.COLORS[number % len(charts.COLORS)],
                # Another one for the same colour.
                marker=_MARKERS[(number + number // 7) % len(_MARKERS)],
            )
    outline = [patheffects.withStroke(linewidth=3, foreground="white")]
    for number, name in enumerate(names):
        if (labels == number).any():
            middle = np.median(points[labels == number], axis=0)
            axes.text(*middle, name, weight="bold", ha="center", path_effects=outline)


def decoded_plane(
    images: np.ndarray,
    across: np.ndarray,
    up: np.ndarray,
    axis_labels: tuple[str, str] = AXES,
) -> np.ndarray:
    """Show decoded images at their places on a plane.

    Args:
        images: uint8 or float in [0, 1] [len(up) len(across), H, W, C], decoded from
            `sampling.plane(across, up)`.
        across: Values of the first coordinate, from left to right.
        up: Values of the second coordinate, from bottom to top.
        axis_labels: What the axes are, with their units.
    """
    grid = image_grids.grid(images, len(across), gap=0)

    def draw(sheet):
        axes = sheet.subplots()
        extent = (-0.5, len(across) - 0.5, -0.5, len(up) - 0.5)
        aspect = images.shape[1] / images.shape[2]
        axes.imshow(grid, extent=extent, aspect=aspect)
        for values, set_ticks in ((across, axes.set_xticks), (up, axes.set_yticks)):
            places = range(0, len(values), -(-len(values) // 7))
            set_ticks(places, [f"{values[place]:.2g}" for place in places])
        axes.set_xlabel(axis_labels[0])
        axes.set_ylabel(axis_labels[1])

    return charts.drawn(draw, 6.0)


def samples(
    points: np.ndarray,
    samples: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    axis_labels: tuple[str, str] = AXES,
    columns: int = 4,
) -> np.ndarray:
    """Mark random points on the scatter of encoded images; show what they decode to.

    Args:
        points: float [N, 2], encoded images.
        samples: float [M, 2], points to mark by their numbers, from 1.
        images: uint8 or float in [0, 1] [M, H, W, C], decoded from them; below the
            scatter, each with its number and coordinates.
        labels: int [N], in [0, L); None: all alike.
        names: Of the L classes.
        axis_labels: What the axes are, with their units.
        columns: Images of a row.
    """
    rows = -(-len(samples) // columns)
    shown = image_grids.to_uint8(np.asarray(images))

    def draw(sheet):
        above, below = sheet.subfigures(2, height_ratios=(_HEIGHT, 1.9 * rows))
        axes = above.subplots()
        _scatter(axes, points, labels, names)
        charts.tidy(axes, *axis_labels)
        places = below.subplots(rows, columns, squeeze=False).ravel()
        for number, place in enumerate(places, 1):
            place.set_axis_off()
            if number <= len(samples):
                point = samples[number - 1]
                _mark(axes, point, number)
                place.imshow(np.broadcast_to(shown[number - 1], _colored(shown)))
                text = f"{number}: {point[0]:.2g}, {point[1]:.2g}"
                place.set_title(text, size=11)

    return charts.drawn(draw, _HEIGHT + 1.9 * rows)


def _colored(images: np.ndarray) -> tuple[int, int, int]:
    return (*images.shape[1:3], 3)


def _mark(axes, point: np.ndarray, number: int) -> None:
    axes.plot(*point, "o", markersize=16, color="white", markeredgecolor="black")
    axes.text(*point, str(number), size=10, ha="center", va="center")
