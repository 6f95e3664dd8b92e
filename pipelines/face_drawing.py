"""From traits to a picture: the order of the layers, the background, the alignment."""

import attrs
import numpy as np
from PIL import Image, ImageFilter

from pipelines import face_features, face_hair, face_head, face_wear
from pipelines.face_canvas import (
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
from pipelines.face_traits import Traits

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


@attrs.frozen(eq=False)
class Picture:
    """A finished frame: uint8 [218, 178, 3], landmarks and box in pixels."""

    image: np.ndarray
    landmarks: tuple[int, ...]
    bbox: tuple[int, int, int, int]


def draw(traits: Traits) -> Picture:
    """Draw a face and say where its parts came to lie in the frame."""
    canvas, plan = _render(traits)
    shot = traits.shot
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
    left, top = place(plan.outline(np.float32(0))[0] - plan.cheek - 4, -60)
    right, bottom = place(plan.outline(np.float32(0))[0] + plan.cheek + 4, plan.chin)
    left, top = max(left, 0), max(top, 0)
    bbox = (left, top, min(right, WIDTH) - left, min(bottom, HEIGHT) - top)
    return Picture(_align(canvas, traits), landmarks, bbox)


def _render(traits: Traits) -> tuple[np.ndarray, face_head.Geometry]:
    """Draw a face, from back to front.

    Returns:
        The canvas as uint8 [250, 210, 3] and the geometry it was drawn with.
    """
    plan = face_head.geometry(traits)
    canvas = new_canvas()
    rng = np.random.default_rng(traits.shot.texture)
    _draw_background(canvas, rng)
    hair = face_hair.Hair.of(traits, plan, canvas)
    hair.draw_back()
    face_head.draw_neck(canvas, plan, traits)
    face_wear.draw_clothes(canvas, plan, traits, pick(_CLOTHES, rng.random()))
    face_head.draw_ears(canvas, plan)
    face_head.draw_head(canvas, plan, traits)
    face_features.draw(canvas, plan, traits)
    hair.draw_front()
    face_wear.draw_accessories(canvas, plan, traits)
    return _develop(canvas.pixels, traits), plan


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


def _develop(pixels: np.ndarray, traits: Traits) -> np.ndarray:
    """Apply exposure, colour temperature and blur; return uint8 [h, w, 3]."""
    shot = traits.shot
    gain = 1 + 0.1 * shot.exposure
    balance = gain * np.array([1 + 0.05 * shot.warmth, 1, 1 - 0.07 * shot.warmth])
    pixels *= balance.astype(np.float32)[:, None, None]
    image = np.empty((*pixels.shape[1:], 3), np.uint8)
    np.clip(pixels, 0, 255, out=np.moveaxis(image, -1, 0), casting="unsafe")
    if traits.has("Blurry"):
        blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.8))
        image = np.asarray(blurred)
    return image


def _align(image: np.ndarray, traits: Traits) -> np.ndarray:
    """Roll, zoom and shift the canvas into the frame: uint8 [218, 178, 3]."""
    shot = traits.shot
    cos = np.cos(shot.roll) / shot.zoom
    sin = np.sin(shot.roll) / shot.zoom
    x, y = EYES_X + shot.shift_x, EYES_Y + shot.shift_y
    matrix = (
        cos,
        sin,
        EYES_X + MARGIN - cos * x - sin * y,
        -sin,
        cos,
        EYES_Y + MARGIN + sin * x - cos * y,
    )
    frame = Image.fromarray(image).transform(
        (WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(frame)
