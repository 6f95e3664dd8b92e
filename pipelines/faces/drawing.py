"""From traits to a picture: the order of the layers, the background, the alignment."""

import numpy as np
from PIL import Image, ImageFilter

from pipelines.faces import features, head, wear
from pipelines.faces import hair as hair_lib
from pipelines.faces.canvas import (
    EYES_X,
    EYES_Y,
    HEIGHT,
    MARGIN,
    WIDTH,
    Patch,
    clamp,
    fill,
    new_canvas,
    pick,
    step,
)
from pipelines.faces.traits import Traits

_STRIDE = WIDTH + 2 * MARGIN  # Pixels per row of the canvas.
_CLOTHES = (
    (28, 28, 34),
    (38, 44, 70),
    (240, 238, 234),
    (120, 24, 34),
    (70, 86, 110),
    (206, 196, 180),
    (32, 84, 72),
    (196, 92, 104),
    (90, 70, 100),
    (84, 84, 86),
)


def draw(traits: Traits) -> np.ndarray:
    """Draw a face: uint8 [218, 178, 3]."""
    canvas = _render(traits)
    return _align(_develop(canvas, traits), traits)


def locate(traits: Traits) -> tuple[tuple[int, ...], tuple[int, int, int, int]]:
    """Return the landmarks and the box of a face, in pixels of the frame."""
    plan, shot = head.geometry(traits), traits.shot
    cos, sin = shot.zoom * np.cos(shot.roll), shot.zoom * np.sin(shot.roll)

    def place(x, y):
        return (
            round(EYES_X + shot.shift_x + cos * x - sin * y),
            round(EYES_Y + shot.shift_y + sin * x + cos * y),
        )

    reach = plan.mouth_width - 0.5
    landmarks = (
        *place(plan.x(-plan.eye, 0), 0),
        *place(plan.x(plan.eye, 0), 0),
        *place(plan.x(0, 16), plan.nose),
        *place(plan.x(0, 8) - reach * plan.side(-1), plan.mouth),
        *place(plan.x(0, 8) + reach * plan.side(1), plan.mouth),
    )
    middle, _ = plan.outline(np.array(0, np.float32))
    left, top = place(middle - plan.cheek - 4, -60)
    right, bottom = place(middle + plan.cheek + 4, plan.chin)
    left, top = max(left, 0), max(top, 0)
    box = (left, top, min(right, WIDTH) - left, min(bottom, HEIGHT) - top)
    return landmarks, box


def _render(traits: Traits) -> Patch:
    """Draw a face on a canvas, from back to front."""
    plan = head.geometry(traits)
    canvas = new_canvas()
    rng = np.random.default_rng(traits.shot.texture)
    _draw_background(canvas, rng)
    hair = hair_lib.Hair.of(traits, plan, canvas)
    hair.draw_back()
    head.draw_neck(canvas, plan, traits)
    wear.draw_clothes(canvas, plan, traits, pick(_CLOTHES, rng.random()))
    head.draw_ears(canvas, plan)
    head.draw_head(canvas, plan, traits)
    features.draw(canvas, plan, traits)
    hair.draw_front()
    wear.draw_accessories(canvas, plan, traits)
    return canvas


def _draw_background(canvas: Patch, rng: np.random.Generator) -> None:
    """Paint a studio wall, lights out of focus, the outdoors or a curtain."""
    kind = rng.integers(4)
    hue = rng.uniform(20, 235, 3)
    grey = hue.mean()
    base = grey + rng.uniform(0.05, 0.5) * (hue - grey)
    rows, columns = 11, 9
    field = np.broadcast_to(base[:, None, None], (3, rows, columns)).copy()
    if kind == 0:
        field += rng.uniform(-50, 50) * np.linspace(-1, 1, rows)[:, None]
        field += rng.uniform(-50, 50) * np.linspace(-1, 1, columns)
    elif kind == 1:
        field *= rng.uniform(0.2, 0.6)
        spots = rng.random((rows, columns)) ** 6
        field += spots * rng.uniform((150, 110, 70), 255)[:, None, None]
        field += rng.normal(0, 12, (rows, columns))
    elif kind == 2:
        sky, ground = np.array([178, 205, 232]), np.array([92, 118, 66])
        horizon = rng.uniform(0.25, 0.8)
        below = step(np.linspace(0, 1, rows) - horizon, 0.3)[:, None]
        field = 0.3 * field + 0.7 * (
            sky[:, None, None] * (1 - below) + ground[:, None, None] * below
        )
        field += rng.normal(0, 18, (rows, columns))
    else:
        field += rng.choice((-30, 0, 30), columns)
        field += rng.normal(0, 6, field.shape)
    fill(canvas, clamp(field, 0, 255))


def _develop(canvas: Patch, traits: Traits) -> np.ndarray:
    """Apply exposure and colour temperature.

    Returns:
        uint32 [h * w], the levels of red, green and blue in the three lowest bytes.
    """
    shot = traits.shot
    gain = 1 + 0.1 * shot.exposure
    balance = gain * np.array([1 + 0.05 * shot.warmth, 1, 1 - 0.07 * shot.warmth])
    pixels = canvas.pixels * balance.astype(np.float32)[:, None, None]
    red, green, blue = pixels.clip(0, 255, out=pixels).astype(np.uint32)
    green <<= 8
    blue <<= 16
    green |= red
    green |= blue
    return green.ravel()


def _align(packed: np.ndarray, traits: Traits) -> np.ndarray:
    """Roll, zoom and shift the canvas into the frame, and blur it where it is blurry.

    Bilinear, as Pillow's transform, but in less time: red and blue go through the
    integer arithmetic together.

    Args:
        packed: The canvas as `_develop` returns it.
        traits: Whose pose it is.

    Returns:
        uint8 [218, 178, 3].
    """
    at, x, y = _sources(traits)
    both = x * y
    both >>= 8
    red_blue, green = np.zeros_like(at, np.uint32), np.zeros_like(at, np.uint32)
    for ahead, weight in (
        (0, 256 - x - y + both),
        (1, x - both),
        (_STRIDE, y - both),
        (_STRIDE + 1, both),
    ):
        pixels = packed[ahead:].take(at, mode="clip")
        red_blue += (pixels & 0xFF00FF) * weight
        pixels &= 0xFF00
        pixels >>= 8
        pixels *= weight
        green += pixels
    levels = (red_blue >> 8).view(np.uint8), (green >> 8).view(np.uint8)
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    frame[..., 0] = levels[0][:, 0::4]
    frame[..., 1] = levels[1][:, 0::4]
    frame[..., 2] = levels[0][:, 2::4]
    if not traits.has("Blurry"):
        return frame
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(1.8)))


def _sources(traits: Traits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which pixels of the canvas those of the frame come from.

    Returns:
        For each pixel, [218, 178]: the upper left one of the four it lies between,
        int64, counted along the flat canvas, and how far it lies beyond that, x and y,
        in 1/256 pixel, uint32.
    """
    shot = traits.shot
    cos = np.float32(256 / shot.zoom * np.cos(shot.roll))
    sin = np.float32(256 / shot.zoom * np.sin(shot.roll))
    x = np.arange(WIDTH, dtype=np.float32) - np.float32(EYES_X + shot.shift_x)
    y = np.arange(HEIGHT, dtype=np.float32) - np.float32(EYES_Y + shot.shift_y)
    y = y[:, None]
    from_x = (cos * x + (sin * y + 256 * (EYES_X + MARGIN))).astype(np.int32)
    from_y = (cos * y + 256 * (EYES_Y + MARGIN) - sin * x).astype(np.int32)
    at = (from_y >> 8) * _STRIDE + (from_x >> 8)
    from_x &= 255
    from_y &= 255
    return at.astype(np.int64), from_x.view(np.uint32), from_y.view(np.uint32)
