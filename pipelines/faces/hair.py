"""The hair of a procedural face: its outline, its strands and where the face shows."""

import attrs
import numpy as np

from pipelines.faces.canvas import (
    Patch,
    bell,
    blend,
    clamp,
    crop,
    mix,
    slope,
    step,
    strand_table,
)
from pipelines.faces.head import Geometry
from pipelines.faces.traits import Traits

_COLOURS = {
    "Black_Hair": (34, 28, 28),
    "Brown_Hair": (98, 62, 40),
    "Blond_Hair": (216, 178, 118),
    "Gray_Hair": (172, 170, 168),
}
_UNNAMED_COLOURS = ((66, 56, 52), (84, 46, 36), (146, 74, 42))


def hair_colour(traits: Traits) -> np.ndarray:
    """Return the colour of hair in full light, float32 [3]."""
    named = [colour for name, colour in _COLOURS.items() if traits.has(name)]
    shade = traits.person.hair_shade
    colour = named[0] if named else blend(_UNNAMED_COLOURS, 0.5 + 0.5 * shade)
    return np.asarray(colour, np.float32) * np.float32(1 + 0.16 * shade)


@attrs.frozen
class Hair:
    """Hair laid out over the canvas, ready to be painted behind and before the head.

    Attributes:
        patch: the part of the canvas it may cover.
        outer: float32 [h, w], the whole hair, head included.
        opening: float32 [h, w], where face and neck show through it.
        colour: float32 [3, h, w].
    """

    patch: Patch
    outer: np.ndarray
    opening: np.ndarray
    colour: np.ndarray

    @classmethod
    def of(cls, traits: Traits, plan: Geometry, canvas: Patch) -> "Hair":
        """Lay out the hair of a face."""
        _, top, bottom = _extent(traits, plan, canvas.y)
        rows = crop(canvas, 0, top - 3, 0, bottom + 14)
        width, _, _ = _extent(traits, plan, rows.y)
        centre, head = plan.outline(rows.y)
        centre = centre - 4 * plan.sin
        left, right = (centre - width).min() - 5, (centre + width).max() + 6
        patch = crop(canvas, left, top - 3, right, bottom + 14)
        parting = _parting(traits, plan)
        root = centre + (parting - centre) * clamp(1 - (patch.y - top) / 60)
        offset = patch.x - root
        left = 1 / np.maximum(root - (centre - width), 18)
        right = 1 / np.maximum(centre + width - root, 18)
        strand = offset * np.where(offset < 0, left, right)
        wave = _wave(traits, strand, patch.y - top)
        texture = _texture(traits, strand, patch.y - top, wave)
        loose = clamp((patch.y - top) / 60, 0, 1.2)
        edge = width - np.abs(patch.x - centre)
        edge /= np.sqrt(1 + slope(width) ** 2)
        edge += loose * texture
        outer = step(edge - 1, 3) * step(bottom + 4 * texture - patch.y, 6)
        outer *= step(patch.y - top - 1.5, 2)
        opening = _opening(traits, plan, patch, centre, head, parting, texture)
        colour = _shade(traits, plan, strand, patch.y - top, texture, wave)
        return cls(patch, outer, opening, colour)

    def draw_back(self) -> None:
        """Paint the hair behind ears and neck, in its own shadow."""
        patch = self.patch
        # Higher up the head and the hair in front hide it.
        rows = slice(max(int(-45 - patch.y[0, 0]), 0), None)
        low = Patch(patch.pixels[:, rows], patch.x, patch.y[rows])
        low.paint(self.outer[rows], self.colour[:, rows] * np.float32(0.62))

    def draw_front(self) -> None:
        """Paint the hair over forehead, temples and shoulders, with its shadow."""
        patch, mask = self.patch, self.outer * (1 - self.opening)
        rows = slice(5, max(int(20 - patch.y[0, 0]), 6))
        shadow = clamp(mask[: rows.stop - 5] - mask[rows])
        shadow *= 0.3 * self.opening[rows]
        under = Patch(patch.pixels[:, rows], patch.x, patch.y[rows])
        under.shade(shadow, (0.85, 1, 1))
        patch.paint(mask, self.colour)


def _is_short(traits: Traits) -> bool:
    return traits.person.hair_length < 0.32


def _parting(traits: Traits, plan: Geometry) -> float:
    return plan.x(24 * traits.shot.parting, -30)


def _extent(traits: Traits, plan: Geometry, y: np.ndarray):
    """Return the half width [h, 1] of the hair, its top and its bottom (y)."""
    person, has = traits.person, traits.has
    lift = 5 + 8 * person.hair_volume + 3 * has("Wavy_Hair") - 2 * has("Straight_Hair")
    if has("Bald"):
        lift = 1.0
    top = -71.0 - lift
    rise = clamp((y + 8) / (top + 8))
    dome = (1 - rise**2.6) ** np.float32(0.46)
    dome = np.where(y < top, 0, dome)
    if _is_short(traits):
        side = 0.5 + 2 * person.hair_volume * (1 - has("Bald"))
        fade = clamp((5 - y) / 40)
        width = dome * (plan.cheek + side * fade + 0.45 * lift * bell(y + 42, 26))
        return width, top, 8.0 + 14 * person.hair_length
    fall = clamp((y + 5) / 70, 0, 1.4)
    width = (
        plan.cheek + 7 + 5 * person.hair_volume + (3 + 6 * person.hair_volume) * fall
    )
    if has("Wavy_Hair"):
        width = width + 2.5 * fall * np.sin(y / 7.0) + 4 * fall
    elif has("Straight_Hair"):
        width = width - 4 * fall
    return dome * width, top, 25 + 105 * person.hair_length


def _wave(traits: Traits, strand, drop) -> np.ndarray | float:
    """Return how far waves swing, growing downwards; 0 where hair is not wavy."""
    if not traits.has("Wavy_Hair"):
        return 0.0
    return np.sin(drop / 6.4 + 3 * strand) * clamp(drop / 66, 0.2, 1)


def _texture(traits: Traits, strand, drop, wave) -> np.ndarray:
    """Return the strands, [h, w], mean 0 and deviation about 1."""
    shot, straight = traits.shot, traits.has("Straight_Hair")
    bend = 0.012 * np.sin(drop / 26 + shot.parting * 3)
    if _is_short(traits):
        bend = bend + 0.5 * shot.parting * clamp(drop / 50)
    spread = np.float32(96 if straight else 84)
    place = strand * spread + (bend * spread + shot.texture % 1024)
    place += (0.1 * spread) * wave
    at = place.astype(np.int64)
    at &= 1023
    at += ((drop * (0.5 if straight else 1.0)).astype(np.int64) & 255) * 1024
    return strand_table().take(at, mode="clip")


def _opening(
    traits: Traits, plan: Geometry, patch: Patch, centre, head, parting, texture
) -> np.ndarray:
    """Return where the face shows: below the hairline and between the side locks."""
    person, has = traits.person, traits.has
    across = (patch.x - centre) / plan.cheek
    square = across * across
    hairline = -52 + 2.5 * person.brow_height + 30 * square * square
    hairline -= 7 * bell(np.abs(across) - 0.62, 0.2)
    if not _is_short(traits):
        hairline = -57 + 0.5 * np.abs(patch.x - parting)
    if has("Receding_Hairline"):
        hairline = hairline - 10 - 12 * bell(np.abs(across) - 0.48, 0.26)
    if has("Bald"):
        hairline = -120 + 60 * square
    if has("Bangs"):
        side = 1 if traits.shot.parting > 0 else -1
        sweep = 7 * side * clamp((patch.x - parting) / 40, -1, 1)
        hairline = -20 + sweep - 3 * bell(across, 0.6)
    jag, blur = (3.4, 4) if has("Bangs") else (1.6, 8)
    below = step(patch.y - hairline - jag * texture, blur)
    if _is_short(traits):
        temple = clamp((patch.y + 38) / 30)
        sides = (head - 3.5) + temple * 3 + 12 * step(patch.y - 1, 14)
    else:
        flow = clamp((patch.y + 40) / 40)
        sides = plan.cheek * (0.76 + 0.17 * flow)
        sides = sides + 4 * traits.shot.parting * np.sign(patch.x - centre)
        sides = sides - 5 * clamp((patch.y - 20) / 50)
    between = step(sides - np.abs(patch.x - centre) + 1.5 * texture, 3)
    return below * between


def _shade(traits: Traits, plan: Geometry, strand, drop, texture, wave) -> np.ndarray:
    """Return the lit colour of the hair, [3, h, w]: strands, gloss and soft shadow."""
    straight = traits.has("Straight_Hair")
    base = hair_colour(traits)
    square = strand * strand
    light = 0.2 * plan.light[0] * strand
    light += 0.86 - 0.1 * clamp((drop - 70) / 120)
    light += 0.13 * texture
    light -= 0.24 * square
    light += 0.12 * wave
    height = 12 if _is_short(traits) else 24
    gloss = bell(drop - height - 16 * square, 9 if straight else 13)
    gloss *= (0.6 + 0.5 * texture).clip(0, 9)
    gloss *= 0.26 if straight else 0.16
    shine = mix(base, (255, 246, 232), 0.55)[:, None, None]
    colour = base[:, None, None] * light.clip(0.25, 1.3, out=light)
    colour += gloss * shine
    return colour.clip(0, 255, out=colour)
