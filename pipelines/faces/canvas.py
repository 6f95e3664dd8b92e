"""The drawing surface of procedural faces: coordinates, soft shapes, textures.

Coordinates are pixels of the aligned 178 x 218 frame with the origin midway between
the eyes, x to the right and y down. The canvas has a margin around the frame, because
the finished picture is rotated a little. Colours are sRGB in [0, 255].
"""

import functools

import attrs
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 178, 218
EYES_X, EYES_Y = 88.5, 111.0
MARGIN = 16
_ORIGIN_X, _ORIGIN_Y = EYES_X + MARGIN, EYES_Y + MARGIN


@attrs.frozen
class Patch:
    """A rectangle of the canvas that shares its memory.

    Attributes:
        pixels: float32 [3, h, w] in [0, 255].
        x: float32 [w], coordinates of the columns.
        y: float32 [h, 1], coordinates of the rows.
    """

    pixels: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def paint(self, mask: np.ndarray, colour: npt.ArrayLike) -> None:
        """Cover with a colour [3] or [3, h, w] where mask, [h, w] in [0, 1], is 1."""
        cover = np.asarray(colour, np.float32)
        if cover.ndim == 1:
            cover = cover[:, None, None]
        pixels = self.pixels
        change = cover - pixels
        change *= mask
        pixels += change

    def shade(self, amount: np.ndarray, tint=(1.0, 1.0, 1.0)) -> None:
        """Darken by amount, [h, w] in [0, 1], times a tint that weighs the channels."""
        kept = 1 - amount
        for channel, weight in zip(self.pixels, tint, strict=True):
            channel *= kept if weight == 1 else 1 - weight * amount


def new_canvas() -> Patch:
    """Return an unpainted canvas, the frame with its margin."""
    height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    x, y = _grid()
    return Patch(np.empty((3, height, width), np.float32), x, y)


@functools.cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(WIDTH + 2 * MARGIN, dtype=np.float32) - np.float32(_ORIGIN_X)
    y = np.arange(HEIGHT + 2 * MARGIN, dtype=np.float32) - np.float32(_ORIGIN_Y)
    return x, y[:, None]


def crop(canvas: Patch, left: float, top: float, right: float, bottom: float) -> Patch:
    """Return the part of the canvas between the coordinates, clipped to it."""
    columns = slice(max(int(left + _ORIGIN_X), 0), max(int(right + _ORIGIN_X), 0))
    rows = slice(max(int(top + _ORIGIN_Y), 0), max(int(bottom + _ORIGIN_Y), 0))
    return Patch(canvas.pixels[:, rows, columns], canvas.x[columns], canvas.y[rows])


def clamp(values: np.ndarray, low: float = 0, high: float = 1) -> np.ndarray:
    """Limit values to a range."""
    return values.clip(low, high)


def step(distance: np.ndarray, softness: float = 1.0) -> np.ndarray:
    """Return 1 where a signed distance (pixels) is positive, with a soft edge."""
    values = distance * np.float32(1 / softness)
    values += np.float32(0.5)
    return values.clip(0, 1, out=values)


def bell(distance: np.ndarray, width: float) -> np.ndarray:
    """Return the Gaussian exp(-(distance / width)^2).

    Its tail ends at 1e-7, because arithmetic with denormal numbers is slow.
    """
    values = distance * np.float32(1 / width)
    values *= values
    values.clip(0, 16, out=values)
    np.negative(values, out=values)
    return np.exp(values, out=values)


def bumps(x: np.ndarray, y: np.ndarray, table) -> np.ndarray:
    """Return a sum of Gaussian bumps, float32 [h, w].

    Args:
        x: float32 [w].
        y: float32 [h, 1].
        table: rows (centre x, centre y, width in x, width in y, height).
    """
    rows = np.asarray(table, np.float32)
    centre_x, centre_y, width, height, strength = rows.T[:, :, None]
    across = bell((x - centre_x) / width, 1)
    down = strength * bell((y[:, 0] - centre_y) / height, 1)
    return _product(down.T, across)


def slope(values: np.ndarray) -> np.ndarray:
    """Return the change per row of float32 [h, w], sooner than np.gradient does."""
    slopes = np.empty_like(values)
    slopes[1:-1] = 0.5 * (values[2:] - values[:-2])
    slopes[0] = values[1] - values[0]
    slopes[-1] = values[-1] - values[-2]
    return slopes


def _product(first: np.ndarray, second: np.ndarray, out=None) -> np.ndarray:
    """Return the matrix product of float32 [h, k] and [k, w], by blocks of rows.

    BLAS would divide a larger product among threads, which stall each other where
    several processes draw.
    """
    height = len(first)
    if out is None:
        out = np.empty((height, second.shape[1]), np.float32)
    for top in range(0, height, 64):
        np.matmul(first[top : top + 64], second, out=out[top : top + 64])
    return out


def mix(first, second, amount: float) -> np.ndarray:
    """Return the colour a fraction of the way from the first to the second."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return first + np.float32(amount) * (second - first)


def pick(palette, fraction: float):
    """Return the entry of a palette that a fraction in [0, 1) falls on."""
    return palette[min(int(fraction * len(palette)), len(palette) - 1)]


def blend(palette, fraction: float) -> np.ndarray:
    """Return the colour at a fraction in [0, 1] along a palette, interpolated."""
    place = fraction * (len(palette) - 1)
    first = min(int(place), len(palette) - 2)
    return mix(palette[first], palette[first + 1], place - first)


def _smooth(noise: np.ndarray, axis: int, width: int) -> np.ndarray:
    """Average over neighbours along an axis, around the edges."""
    for _ in range(2):
        shifted = (np.roll(noise, shift, axis) for shift in range(width))
        noise = sum(shifted, np.zeros_like(noise)) / width
    return noise


@functools.cache
def _spread(num_cells: int, size: int) -> np.ndarray:
    """Return weights [size, num_cells] that spread cells smoothly over pixels."""
    place = np.linspace(-0.3, num_cells - 0.7, size)[:, None]
    weights = bell(place - np.arange(num_cells), 0.62)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def fill(canvas: Patch, cells: np.ndarray) -> None:
    """Cover a canvas with coarse cells, float [3, rows, columns], blurred together."""
    _, height, width = canvas.pixels.shape
    rows = _spread(cells.shape[1], height)
    columns = _spread(cells.shape[2], width).T
    for channel, part in zip(canvas.pixels, cells.astype(np.float32), strict=True):
        _product(_product(rows, part), columns, out=channel)


@functools.cache
def strand_table() -> np.ndarray:
    """Return hair: float32 [256 along, 1024 across], mean 0, deviation about 1."""
    rng = np.random.default_rng(20)
    table = np.zeros((256, 1024))
    for along, across, weight in ((60, 2, 0.7), (40, 6, 0.8), (50, 20, 0.6)):
        layer = rng.normal(size=table.shape)
        layer = _smooth(_smooth(layer, 0, along), 1, across)
        table += weight * layer / layer.std()
    return (table / table.std()).astype(np.float32)


@functools.cache
def skin_table() -> np.ndarray:
    """Return skin: float32 [256, 304], pores and blotches, mean 0, deviation 1."""
    rng = np.random.default_rng(21)
    table = np.zeros((256, 256))
    for width, weight in ((1, 0.5), (3, 0.5), (12, 1.0)):
        layer = rng.normal(size=table.shape)
        layer = _smooth(_smooth(layer, 0, width), 1, width)
        table += weight * layer / layer.std()
    table = np.tile((table / table.std()).astype(np.float32), (1, 2))
    return np.ascontiguousarray(table[:, :304])


def skin_texture(shape: tuple[int, int], offset: int) -> np.ndarray:
    """Return a window [h, w], at most [166, 214], of the skin table at some offset."""
    top, left = offset % 90, (offset // 90) % 90
    return skin_table()[top : top + shape[0], left : left + shape[1]]
