"""What a procedural face wears: clothes, glasses, hats and jewellery."""

import numpy as np

from pipelines.faces.canvas import (
    Patch,
    bell,
    clamp,
    crop,
    mix,
    pick,
    skin_texture,
    step,
)
from pipelines.faces.head import Geometry
from pipelines.faces.traits import Traits, wears_sunglasses

_HATS = ((36, 38, 44), (96, 62, 40), (34, 56, 104), (168, 40, 44), (196, 178, 142))
_TIES = ((150, 28, 40), (34, 52, 110), (60, 60, 66), (96, 40, 96), (186, 140, 40))
_FRAMES = ((28, 24, 26), (92, 56, 34), (150, 148, 150), (176, 142, 76))
_METALS = ((224, 188, 96), (226, 228, 232), (244, 238, 230))


def draw_clothes(canvas: Patch, plan: Geometry, traits: Traits, colour) -> None:
    """Paint the shoulders: a jacket, shirt and tie, or a plain neckline."""
    patch = crop(canvas, -105, 58, 105, 123)
    centre = plan.x(0, -20)
    dx = patch.x - centre
    wide = 30 + 6 * traits.has("Male")
    shoulder = 68 + 0.34 * clamp(np.abs(dx) - wide, 0, 90)
    weave = skin_texture((patch.y.size, patch.x.size), traits.shot.texture)
    light = 0.9 - 0.25 * (dx / 105) ** 2 + 0.12 * dx / 105 * plan.light[0]
    light = light + 0.035 * weave
    cloth = np.asarray(colour, np.float32)[:, None, None] * light
    formal = traits.has("Wearing_Necktie")
    depth = (100, 92, 86)[traits.shot.texture % 3]
    neckline = depth - clamp(np.abs(dx) / wide, 0, 1.4) ** 2 * (depth - 70)
    if formal:
        neckline = np.full_like(dx, 84)
    body = step(patch.y - shoulder, 1.5) * step(patch.y - neckline, 1.5)
    columns = np.flatnonzero(np.abs(dx) < wide)
    near = slice(columns[0], columns[-1] + 1)
    hem = bell(patch.y - neckline[near] + 2, 3) * step(wide - 6 - np.abs(dx[near]), 6)
    Patch(patch.pixels[:, :, near], patch.x[near], patch.y).shade(0.3 * hem)
    if formal:
        _draw_shirt_and_tie(patch, dx, cloth, traits)
    else:
        patch.paint(body, cloth)


def _draw_shirt_and_tie(patch: Patch, dx, cloth, traits: Traits) -> None:
    """Paint the jacket with lapels, a white collar and a knotted tie."""
    side = np.abs(dx)
    shoulder = 68 + 0.3 * clamp(side - 34, 0, 90)
    jacket = step(patch.y - shoulder, 1.5) * step(side - 20 + (patch.y - 76) * 0.42, 2)
    lean = patch.y - 64
    shirt = step(patch.y - 66, 2) * step(side - 25 + lean * 0.85) * step(36 - side, 2)
    shirt = clamp(shirt + step(patch.y - 87) * step(22 - side, 2))
    white = np.array([236, 238, 242], np.float32)[:, None, None]
    fold = 0.22 * bell(side - 31 + lean * 0.85, 1.4) + 0.1 * bell(side - 10, 9)
    patch.paint(shirt, white * (0.93 - fold))
    dark = np.minimum(cloth, 150) * 0.7
    lapel = 0.3 * bell(side - 21 + (patch.y - 76) * 0.42, 1.3)
    patch.paint(jacket, dark * (1 - lapel))
    tie = pick(_TIES, traits.shot.style)
    knot = step(8.5 - 0.33 * np.abs(patch.y - 80) * 1.5 - side) * step(patch.y - 77)
    knot = knot * step(88 - patch.y)
    blade = step(4.5 + (patch.y - 86) * 0.22 - side) * step(patch.y - 87)
    stripes = 0.85 + 0.18 * np.sign(np.sin((dx + patch.y) / 2.6))
    shape = clamp(knot + blade)
    tone = np.asarray(tie, np.float32)[:, None, None] * (1.1 - 0.06 * side) * stripes
    patch.shade(0.4 * step(11 - side, 6) * step(patch.y - 77, 3) * (1 - shape))
    patch.paint(shape, clamp(tone, 0, 255))


def draw_accessories(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw what lies over face and hair."""
    has = traits.has
    if has("Wearing_Necklace"):
        _draw_necklace(canvas, plan, traits)
    if has("Wearing_Earrings"):
        _draw_earrings(canvas, plan, traits)
    if has("Wearing_Hat"):
        _draw_hat(canvas, plan, traits)
    if has("Eyeglasses"):
        _draw_glasses(canvas, plan, traits)


def _draw_necklace(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    patch = crop(canvas, -44, 58, 44, 104)
    dx = patch.x - plan.x(0, -20)
    curve = 86 - (dx / 30) ** 2 * 16
    pearls = traits.shot.style > 0.5
    beads = np.abs(np.sin(dx * np.float32(0.72))) if pearls else 0.8
    radius = 2.7 if pearls else 1.3
    mask = step(radius * np.sqrt(beads) - np.abs(patch.y - curve), 1.2)
    mask = mask * step(31 - np.abs(dx), 2)
    colour = np.asarray(_METALS[2 if pearls else 0], np.float32)[:, None, None]
    patch.shade(0.35 * bell(patch.y - curve - 2.5, 2) * step(31 - np.abs(dx), 4))
    patch.paint(mask, colour * (0.9 + 0.1 * bell(patch.y - curve + 0.8, 1)))
    if not pearls:
        pendant = step(4 - np.sqrt(dx**2 + (patch.y - 90) ** 2))
        patch.paint(pendant, (236, 206, 120))


def _draw_earrings(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Hang studs, hoops or drops from the lobes that the yaw leaves in sight."""
    style = traits.shot.style
    metal = pick(_METALS, (style * 7) % 1)
    for sign in (-1, 1):
        x, y = plan.x(sign * (plan.cheek + 1), -34), 26.0
        patch = crop(canvas, x - 12, y - 8, x + 12, y + 30)
        dx, dy = patch.x - x, patch.y - y
        if style < 0.33:
            shape = step(4.0 - np.sqrt(dx**2 + (dy - 2) ** 2))
        elif style < 0.66:
            ring = np.sqrt((dx * 1.25) ** 2 + (dy - 9) ** 2)
            shape = step(1.6 - np.abs(ring - 9))
        else:
            drop = step(4.2 - np.sqrt(dx**2 + ((dy - 14) * 0.6) ** 2))
            shape = clamp(drop + step(1.1 - np.abs(dx)) * step(dy) * step(14 - dy))
        light = 0.8 + 0.3 * bell(dx + 1, 1.6) - 0.02 * dy
        colour = np.asarray(metal, np.float32)[:, None, None] * light
        patch.shade(0.35 * np.roll(shape, 2, axis=0))
        patch.paint(shape, clamp(colour, 0, 255))


def _draw_hat(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Put on a knitted cap, a peaked cap or a brimmed hat."""
    style = traits.shot.style
    colour = np.asarray(pick(_HATS, (style * 5) % 1), np.float32)[:, None, None]
    patch = crop(canvas, -105, -127, 105, 0)
    centre = plan.x(0, -26)
    dx = patch.x - centre
    reach = plan.cheek + 9 + 3 * traits.person.hair_volume
    line = -42 + 9 * (dx / reach) ** 2
    crown = 52.0 if style < 0.66 else 46.0
    up = (line - patch.y) / crown
    half = reach * clamp(1 - clamp(up, 0, 1) ** 3) ** np.float32(0.5)
    body = step(half - np.abs(dx), 1.5) * step(line - patch.y, 1.5) * (half > 1)
    across = dx / reach
    light = 0.9 - 0.35 * across**2 + 0.18 * across * plan.light[0] - 0.12 * up
    patch.shade(0.5 * step(reach - 6 - np.abs(dx), 8) * bell(patch.y - line - 3, 8))
    if style < 0.33:
        light = light + 0.1 * np.sin(across * 46) * np.ones_like(patch.y)
        light = light + 0.12 * bell(patch.y - line + 15, 1.5) * -1
        patch.paint(body, clamp(colour * light, 0, 255))
    elif style < 0.66:
        seam = 0.16 * bell(across - 0.25 * up, 0.02) + 0.1 * bell(
            np.abs(across) - 0.6, 0.02
        )
        patch.paint(body, clamp(colour * (light - seam), 0, 255))
        nose = plan.x(0, 22)
        peak = (patch.x - nose) / (reach * 0.8)
        drop = line + 11 * np.sqrt(clamp(1 - peak**2))
        visor = (
            step(drop - patch.y, 1.5)
            * step(patch.y - line + 3)
            * step(1 - np.abs(peak), 0.1)
        )
        patch.paint(visor, clamp(colour * (0.62 - 0.12 * peak**2), 0, 255))
    else:
        dent = 0.14 * bell(across, 0.35) * clamp(up)
        band = step(17 - (line - patch.y), 1.5)
        patch.paint(body, clamp(colour * (light - dent) * (1 - 0.55 * band), 0, 255))
        brim = np.sqrt((dx / (reach * 1.45)) ** 2 + ((patch.y + 42) / 9) ** 2)
        rim = step((1 - brim) * 9, 1.5)
        patch.paint(rim, clamp(colour * (0.85 - 0.25 * across**2 + 0.1 * brim), 0, 255))


def _draw_glasses(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw a frame around each eye, bridge and temples; dark lenses now and then."""
    style = traits.shot.style
    dark = wears_sunglasses(True, traits.shot)
    thick = 2.6 if dark or style < 0.35 else 1.3
    colour = np.asarray(_FRAMES[0] if dark else pick(_FRAMES, (style * 11) % 1))
    tall, power = (15.5, 2.6) if dark else (10.5 + 14 * (style % 0.25), 2.4 + 4 * style)
    patch = crop(canvas, -66, -22, 66, 30)
    lens = np.zeros((patch.y.size, patch.x.size), np.float32)
    frame = np.zeros_like(lens)
    for sign in (-1, 1):
        centre, squeeze = plan.x(sign * (plan.eye + 0.8), 8), plan.side(sign)
        u = np.abs((patch.x - centre) / (16.6 * squeeze))
        v = np.abs((patch.y - 2.0) / tall)
        distance = ((u**power + v**power) ** (1 / power) - 1) * 13
        frame = np.maximum(frame, step(thick / 2 - np.abs(distance), 1.1))
        lens = np.maximum(lens, step(-distance, 1.0))
        hinge, ear = plan.x(sign * (plan.eye + 17), 6), plan.x(sign * plan.cheek, -34)
        along = clamp((patch.x - hinge) / (ear - hinge if ear != hinge else 1), -1, 2)
        temple = step(thick * 0.45 - np.abs(patch.y + 3), 1.1) * step(along * 20)
        frame = np.maximum(frame, temple * step((1 - along) * 20))
    bridge = step(plan.eye - 15 - np.abs(patch.x - plan.x(0, 10)))
    frame = np.maximum(frame, bridge * step(thick / 2 + 0.2 - np.abs(patch.y + 3), 1.1))
    patch.shade(0.25 * np.roll(frame, 3, axis=0))
    glare = bell(patch.x * 0.7 + patch.y + 4 + 14 * plan.light[0], 7) * lens
    if dark:
        tint = mix((22, 20, 26), (96, 70, 52), (style * 3) % 1)[:, None, None]
        patch.paint(
            0.93 * lens, tint * (0.7 + 0.025 * (patch.y + 12)) * np.ones_like(lens)
        )
        patch.paint(0.16 * glare, (255, 255, 255))
    else:
        patch.paint(0.09 * lens + 0.14 * glare, (245, 250, 255))
    patch.paint(frame, colour)
