"""The head of a procedural face: where its parts lie and how its skin is shaded."""

import attrs
import numpy as np

from pipelines.faces.canvas import (
    Patch,
    bell,
    blend,
    bumps,
    clamp,
    crop,
    mix,
    skin_texture,
    slope,
    step,
)
from pipelines.faces.traits import Traits

_SKINS = (
    (250, 220, 202),
    (240, 200, 174),
    (226, 178, 146),
    (200, 148, 112),
    (164, 112, 80),
    (124, 82, 58),
    (92, 60, 46),
)


@attrs.frozen
class Geometry:
    """Where the parts of a head lie, in canvas coordinates before the final roll.

    Attributes:
        sin, cos: of the yaw.
        cheek: largest half width of the head.
        chin: y of the chin's lowest point.
        jaw: exponent of the jaw; larger is squarer.
        eye: half distance between the eyes.
        nose: y of the tip; mouth: y of the mouth line.
        nose_width: scale of the nose; mouth_width: half width of the mouth.
        skin: float32 [3], the colour of the skin in full light.
        light: unit vector towards the light (x right, y down, z to the viewer).
    """

    sin: float
    cos: float
    cheek: float
    chin: float
    jaw: float
    eye: float
    nose: float
    mouth: float
    nose_width: float
    mouth_width: float
    skin: np.ndarray
    light: np.ndarray

    def x(self, x: float, depth: float) -> float:
        """Project a point of the head; depth is measured from the eyes, forwards."""
        return x * self.cos + depth * self.sin

    def outline(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the head's centre and half width at heights y."""
        down = clamp((y - 6) / (self.chin - 6))
        up = clamp((6 - y) / 78)
        half = np.where(
            y > 6, np.sqrt(1 - down**self.jaw), (1 - up**2.5) ** np.float32(0.45)
        )
        centre = (20 * down**1.5 - 30) * self.sin
        return centre, self.cheek * half

    def side(self, sign: int) -> float:
        """Return how much a feature on one side is foreshortened."""
        return self.cos - 0.45 * sign * self.sin

    def fold(self, patch: Patch, x: float, depth: float):
        """Return coordinates for drawing a feature on both sides of the face at once.

        Args:
            patch: where to draw.
            x: distance of the feature from the middle of the face.
            depth: its depth, from the eyes forwards.

        Returns:
            Offsets from the nearer feature's centre, float32 [w], as they are and as
            seen on a face turned to the front with positive x outwards.
        """
        left, right = self.x(-x, depth), self.x(x, depth)
        is_left = patch.x < (left + right) / 2
        offset = patch.x - np.where(is_left, left, right).astype(np.float32)
        scale = np.where(is_left, -1 / self.side(-1), 1 / self.side(1))
        return offset, offset * scale.astype(np.float32)


def geometry(traits: Traits) -> Geometry:
    """Place the parts of a head."""
    person, shot, has = traits.person, traits.shot, traits.has
    male, oval, chubby = has("Male"), has("Oval_Face"), has("Chubby")
    light = np.array([shot.light_x, shot.light_y - 0.35, 1.3])
    return Geometry(
        sin=float(np.sin(shot.yaw)),
        cos=float(np.cos(shot.yaw)),
        cheek=44.5 + 2 * person.width + 1.5 * male - 4 * oval + 5 * chubby,
        chin=63 + 2.5 * person.length + 3 * male + 4 * oval + chubby,
        jaw=2.2 + 0.35 * person.jaw + 0.5 * male - 0.35 * oval + 0.7 * chubby,
        eye=19.5 + 0.8 * person.eye_spacing,
        nose=23 + 1.5 * person.nose_length + 2.5 * has("Pointy_Nose"),
        mouth=41 + person.length,
        nose_width=1.0
        + 0.1 * person.nose_width
        + 0.08 * male
        + 0.38 * has("Big_Nose")
        - 0.2 * has("Pointy_Nose"),
        mouth_width=15.2
        + 1.2 * person.mouth_width
        + 0.5 * male
        + has("Smiling") * (2.2 + shot.expression),
        skin=_skin(traits),
        light=(light / np.linalg.norm(light)).astype(np.float32),
    )


def _skin(traits: Traits) -> np.ndarray:
    person = traits.person
    colour = blend(_SKINS, 0.12 + 0.88 * person.skin_tone)
    colour = colour + person.undertone * np.array([-3, 3, -4], np.float32)
    if traits.has("Pale_Skin"):
        colour = mix(colour, (255, 238, 230), 0.6)
    return colour.astype(np.float32)


def _light(plan: Geometry, traits: Traits, height: np.ndarray) -> np.ndarray:
    """Return the light on a relief of the given height (pixels), 1 facing the light."""
    slope_x = np.zeros_like(height)
    slope_x[:, 1:-1] = 0.5 * (height[:, 2:] - height[:, :-2])
    slope_y = slope(height)
    lx, ly, lz = plan.light
    facing = lz - slope_x * lx
    facing -= slope_y * ly
    slope_x *= slope_x
    slope_y *= slope_y
    slope_x += slope_y
    slope_x += 1
    facing /= np.sqrt(slope_x, out=slope_x)
    ambient = traits.shot.ambient
    light = facing.clip(0, 1, out=facing)
    light *= (1 - ambient) / 0.94
    light += ambient
    return light


def _skin_under(plan: Geometry, light: np.ndarray) -> np.ndarray:
    """Return skin under a light [h, w] as colours [3, h, w]; shadows turn warm."""
    warmth = np.array([0.84, 1.04, 1.12], np.float32)
    floor = (plan.skin * (1 - warmth))[:, None, None]
    colour = (plan.skin * warmth)[:, None, None] * light
    colour += floor
    return colour


def draw_neck(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Paint the neck and the upper chest in the shadow of the chin."""
    middle = plan.x(0, -24)
    # Clothes cover what lies further out.
    patch = crop(canvas, middle - 46, 40, middle + 46, 106)
    least = 25.5 + 5 * traits.has("Male") + 5 * traits.has("Chubby")
    half = least + clamp((patch.y - 56) / 16, 0, 4) ** 2 * 5
    across = (patch.x - middle) / half
    light = 0.93 - 0.22 * across**2 + 0.16 * across * plan.light[0]
    centre, _ = plan.outline(np.array(plan.chin, np.float32))
    shadow = bumps(
        patch.x, patch.y, [(centre - 8 * plan.light[0], plan.chin - 4, 42, 17, 0.42)]
    )
    cords = bell(np.abs(across) - 0.42 + (patch.y - 70) / 140, 0.1)
    light -= shadow + 0.05 * cords
    patch.paint(step((1 - np.abs(across)) * half), _skin_under(plan, light))


def draw_ears(canvas: Patch, plan: Geometry) -> None:
    """Paint both ears; the head will cover the far one."""
    for sign in (-1, 1):
        x = plan.x(sign * (plan.cheek - 1), -38)
        patch = crop(canvas, x - 12, -14, x + 12, 34)
        away = (patch.x - x) * sign - 1.5 + (patch.y - 6) / 8
        radius = np.sqrt((away / 6) ** 2 + ((patch.y - 7) / 14) ** 2)
        light = 0.88 + 0.1 * sign * plan.light[0] - 0.25 * bell(radius - 0.45, 0.2)
        colour = (
            _skin_under(plan, light)
            * np.array([1, 0.93, 0.92], np.float32)[:, None, None]
        )
        patch.paint(step((1 - radius) * 7), colour)


def draw_head(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Paint the skin of the head as a relief under the light of the shot."""
    rows = crop(canvas, 0, -74, 0, plan.chin + 3)
    centre, half = plan.outline(rows.y)
    left, right = (centre - half).min(), (centre + half).max()
    patch = crop(canvas, left - 3, -74, right + 4, plan.chin + 3)
    half = np.maximum(half, np.float32(0.5))
    offset = patch.x - centre
    across = clamp(offset / half, -1, 1)
    across *= across
    height = 36 * np.sqrt(1.06 - across)
    height -= 15 * ((patch.y + 4) / 70) ** 2
    height += bumps(patch.x, patch.y, _relief(plan, traits))
    light = _light(plan, traits, height)
    across *= across
    across *= 0.1
    light -= across
    has = traits.has
    rough = 0.008 if has("Attractive") else 0.022
    rough += 0.015 * traits.oldness
    grain = skin_texture(light.shape, traits.shot.texture)
    light += rough * grain
    colour = _skin_under(plan, light)
    flush = bumps(patch.x, patch.y, _flush(plan, traits))
    colour[1] *= 1 - 0.2 * flush
    colour[2] *= 1 - 0.17 * flush
    shine = clamp(light - 0.93) * (0.5 if has("Heavy_Makeup") else 0.9)
    colour += 255 * 0.55 * shine
    edge = (half - np.abs(offset)) / np.sqrt(1 + slope(half) ** 2)
    mask = step(edge, 1.6)
    mask *= half > 1
    patch.paint(mask, colour.clip(0, 255, out=colour))


def _relief(plan: Geometry, traits: Traits) -> list[tuple[float, ...]]:
    """Return the bumps of a face: rows (x, y, width, height, elevation in pixels)."""
    has, male = traits.has, traits.has("Male")
    high, smile = has("High_Cheekbones"), has("Smiling")
    big, pointy = has("Big_Nose"), has("Pointy_Nose")
    old, wide = traits.oldness, plan.nose_width
    cheek = 2.2 + 2.2 * smile + 3.6 * high
    rows: list[tuple[float, ...]] = [
        (plan.x(0, 4), -34, 26, 17, 2.0),
        (plan.x(0, 12), -2, 4.2 * wide, 9, 4.0),
        (plan.x(0, 14), 9, 4.6 * wide, 9, 5.5),
        (plan.x(0, 17), plan.nose - 2, 6.4 * wide, 6.0, 6.5 + 2.5 * big + 2 * pointy),
        (plan.x(0, 6), plan.mouth - 2, 17, 11, 3.0),
        (plan.x(0, 7), plan.mouth - 10, 2.4, 4, -0.7),
        (plan.x(0, 5), plan.mouth + 10.5, 9, 3.4, -2.2),
        (plan.x(0, 5), plan.chin - 7, 10, 7.5, 3.6),
        (plan.x(0, 2), plan.chin - 8, 2.2, 5, -0.9 * male),
    ]
    for sign in (-1, 1):
        squeeze = plan.side(sign)
        rows += [
            (plan.x(17 * sign, 2), -10, 13 * squeeze, 5, 1.6 + 1.2 * male),
            (plan.x(20 * sign, 0), -2, 11 * squeeze, 7, -3.4),
            (plan.x(9 * sign, 2), 0, 4, 6, -1.0),
            (plan.x(26 * sign, -3), 21, 13 * squeeze, 9, cheek),
            (plan.x(33 * sign, -8), 40, 9, 11, -1.4 - 3.2 * high + has("Chubby") * 4),
            (plan.x(8.2 * wide * sign, 10), plan.nose + 1, 4 * wide, 4.2, 3.4 + big),
            (plan.x(14 * wide * sign, 4), plan.nose + 5, 4, 6, -1.2 - 0.8 * smile),
            (plan.x(24 * sign, 0), 46, 6, 10, 1.8 * smile - 2.6 * old),
            (plan.x(33 * sign, -6), 50, 9, 8, 2.2 * old),
        ]
    return rows


def _flush(plan: Geometry, traits: Traits) -> list[tuple[float, ...]]:
    """Return where blood or rouge reddens the skin, as rows of bumps."""
    rosy = 0.65 * traits.has("Rosy_Cheeks") + 0.18 * traits.has("Heavy_Makeup")
    rows: list[tuple[float, ...]] = [
        (plan.x(0, 15), plan.nose, 8, 8, 0.45),
        (plan.x(0, 5), plan.chin - 4, 13, 8, 0.25),
    ]
    for sign in (-1, 1):
        rows.append((plan.x(27 * sign, -4), 21, 13 * plan.side(sign), 10, 0.35 + rosy))
    return rows
