"""Layout of charts: values on an axis and labels of points, as shares from 0 to 1."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from vae_prod.tuning import leaderboard

# Width and height of a label.
LABEL = (0.065, 0.05)
_DIRECTIONS = ((-1, -1), (-1, 0), (0, -1), (1, -1), (-1, 1), (0, 1), (1, 1))


@attrs.frozen
class Axis:
    """Values of one setting or figure as places between 0 and 1.

    Attributes:
        places: A value's place, NaN where there is none.
        ticks: Place to its label.
    """

    places: list[float]
    ticks: dict[float, str]


def choice_axis(values: Sequence[Any]) -> Axis:
    """Place what is chosen from evenly: numbers by size, words by name."""
    kinds = sorted({value for value in values if value is not None})
    step = 1.0 / (len(kinds) - 1) if len(kinds) > 1 else 0.0
    place = {kind: number * step if step else 0.5 for number, kind in enumerate(kinds)}
    places = [place.get(value, math.nan) for value in values]
    labels = {place[kind]: leaderboard.text_of(kind) for kind in kinds}
    return Axis(places, labels)


def range_axis(values: Sequence[float | None], log: bool) -> Axis:
    """Place numbers between the lowest and the highest, or in the middle if all equal.

    Args:
        values: Numbers; None where there is none.
        log: Place their logarithms; all must be positive then.
    """
    numbers = np.array([math.nan if value is None else value for value in values])
    scaled = np.log(numbers) if log else numbers
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    if low == high:
        label = leaderboard.text_of(float(np.nanmin(numbers)))
        return Axis((0.5 + 0 * scaled).tolist(), {0.5: label})
    marks = np.linspace(low, high, 5)
    marks = np.exp(marks) if log else marks
    labels = map(_short, marks)
    ticks = dict(zip(np.linspace(0, 1, 5).tolist(), labels, strict=True))
    return Axis(((scaled - low) / (high - low)).tolist(), ticks)


def label_places(
    points: Sequence[tuple[float, float]], others: Iterable[tuple[float, float]] = ()
) -> list[tuple[float, float]]:
    """Find places near points for their labels, so that they cover nothing.

    Args:
        points: x and y of each, as shares of the axes.
        others: Further points that no label may cover.

    Returns:
        The centre of each label, as shares of the axes.
    """
    width, height = LABEL
    others = [*points, *others]
    places: list[tuple[float, float]] = []

    def free(place):
        inside = width < 2 * place[0] < 2 - width and height < 2 * place[1] < 2 - height
        return (
            inside
            and not any(_near(place, other, width, height) for other in places)
            and not any(_near(place, p, 0.7 * width, 0.7 * height) for p in others)
        )

    for x, y in points:
        around = (
            (x + 0.7 * step * width * a, y + 0.9 * step * height * b)
            for step in range(1, 9)
            for a, b in _DIRECTIONS
        )
        beside = (x - 0.7 * width, y - 0.9 * height)
        places.append(next(filter(free, around), beside))
    return places


def _near(one, other, width: float, height: float) -> bool:
    return abs(one[0] - other[0]) < width and abs(one[1] - other[1]) < height


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"
