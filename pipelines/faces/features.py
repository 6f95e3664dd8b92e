"""The features of a procedural face: eyes, brows, nose, mouth, beard, lines of age."""

import numpy as np

from pipelines.faces.canvas import (
    Patch,
    bell,
    blend,
    bumps,
    clamp,
    crop,
    mix,
    pick,
    step,
    strand_table,
)
from pipelines.faces.hair import hair_colour
from pipelines.faces.head import Geometry
from pipelines.faces.traits import Traits

IRISES = (
    (52, 32, 22),
    (76, 48, 28),
    (104, 70, 36),
    (110, 96, 56),
    (86, 112, 84),
    (92, 122, 146),
    (128, 150, 166),
    (70, 112, 164),
)
_LIPSTICKS = ((172, 30, 48), (204, 58, 92), (142, 36, 60), (214, 92, 96), (188, 50, 34))
_EYE_SHADOWS = ((92, 66, 56), (74, 70, 92), (110, 66, 90), (60, 60, 62), (120, 88, 60))

# The tint of creases of the skin.
_CREASE = (0.8, 1, 1)


def draw(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw all features on a shaded head."""
    draw_age_lines(canvas, plan, traits)
    draw_nose(canvas, plan, traits)
    draw_beard(canvas, plan, traits)
    draw_mouth(canvas, plan, traits)
    draw_moustache(canvas, plan, traits)
    draw_eyes(canvas, plan, traits)
    draw_brows(canvas, plan, traits)


def draw_eyes(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw the eyes with lids, lashes, irises and highlights."""
    person, shot, has = traits.person, traits.shot, traits.has
    patch = crop(canvas, -46, -17, 46, 17)
    _, u = plan.fold(patch, plan.eye, 0)
    v = patch.y
    size = 1 + 0.07 * person.eye_size + 0.05 * (not has("Male"))
    smile, narrow = has("Smiling"), has("Narrow_Eyes")
    reach = 11.8 * size + 0.4 * narrow
    opening = size * (0.56 if narrow else 1.0)
    tilt = (0.03 + 0.04 * person.eye_tilt) * u + 0.4
    arch = clamp(1 - (np.abs(u) / reach) ** 2.3)
    upper = -4.9 * opening * arch ** np.float32(0.8) - tilt
    lower = (3.5 - 0.9 * smile) * opening * arch - tilt

    made_up = has("Heavy_Makeup")
    crease = upper - 2.6 - 1.4 * size * bell(u, 11)
    if made_up:
        lid = step(v - crease + 5, 7) * step(upper + 2 - v, 2) * bell(u - 2, 14)
        patch.paint(0.4 * lid, pick(_EYE_SHADOWS, shot.style))
    patch.shade(0.33 * bell(v - crease, 1.0) * bell(u, 11), (0.8, 1, 1))
    patch.shade(0.2 * bell(v - lower - 1.2, 1.5) * bell(u, 10), (0.8, 1, 1))
    if has("Bags_Under_Eyes"):
        _draw_bag(patch, u, v, lower)

    _draw_eyeballs(canvas, plan, traits, (reach, upper, lower))
    lash = 0.9 + 0.35 * (not has("Male")) + 0.5 * made_up
    wing = reach + 1 + 1.8 * made_up
    line = bell(v - upper + 0.3 * lash, lash) * step(wing - np.abs(u), 2.5)
    patch.paint(0.88 * line, (30, 20, 18))
    below = bell(v - lower - 0.3, 0.8) * step(reach - np.abs(u), 4)
    patch.paint((0.2 + 0.25 * made_up) * below, (54, 34, 30))


def _draw_eyeballs(canvas: Patch, plan: Geometry, traits: Traits, lids) -> None:
    """Draw what shows between the lids: (reach, upper, lower) as of draw_eyes."""
    reach, upper, lower = lids
    patch = crop(canvas, -46, -10, 46, 8)
    offset, u = plan.fold(patch, plan.eye, 0)
    v = patch.y
    ball = 1 - 0.34 * (u / reach) ** 2 - 0.5 * bell(v - upper, 3.0)
    ball *= 0.72 + 0.28 * traits.shot.ambient / 0.7
    colour = np.array([226, 218, 213], np.float32)[:, None, None] * ball
    corner = np.array([196, 130, 122], np.float32)[:, None, None]
    colour += bell(u + reach - 1, 2.2) * (corner - colour)
    _paint_iris(colour, offset, v, plan, traits)
    inside = step(v - upper) * step(lower - v) * step(reach - np.abs(u))
    patch.paint(inside, colour)


def _paint_iris(colour, offset, v, plan: Geometry, traits: Traits) -> None:
    """Put iris, pupil and the light's reflection on an eyeball's colours."""
    shot = traits.shot
    dx = offset - 1.6 * shot.gaze - 3.0 * plan.sin
    dy = v + 1.1
    radius = np.sqrt(dx * dx + dy * dy)
    iris = blend(IRISES, traits.person.iris)
    depth = 0.55 + 0.45 * step(dy, 7) - 0.45 * step(radius - 4.4, 1.8)
    colour += step(5.4 - radius, 1.3) * (iris[:, None, None] * depth - colour)
    colour *= 1 - 0.95 * step(2.4 - radius, 1.2)
    glint = bell(dx - 2.2 * plan.light[0] - 0.4, 1.15) * bell(dy + 2.0, 1.15)
    colour += glint * (255 - colour)


def _draw_bag(patch: Patch, u, v, lower) -> None:
    """Swell and darken the skin under an eye."""
    sag = lower + 6.5
    patch.shade(0.42 * bell(v - sag, 1.7) * bell(u + 1, 10), (0.75, 1, 0.85))
    patch.shade(0.22 * bell(v - lower - 3, 3) * bell(u + 4, 9), (0.9, 1, 0.8))
    patch.paint(0.12 * bell(v - lower - 3.6, 1.4) * bell(u, 9), (255, 235, 220))


def draw_brows(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw the eyebrows, hair by hair, thinning outwards."""
    has = traits.has
    patch = crop(canvas, -48, -30, 48, -4)
    _, u = plan.fold(patch, plan.eye, 2)
    u = u + 1
    arched, bushy, male = has("Arched_Eyebrows"), has("Bushy_Eyebrows"), has("Male")
    place = clamp((u + 13) / 30)
    rise = (1.9 + 3.0 * arched - 0.7 * male) * np.sin(np.pi * place ** np.float32(1.25))
    level = -12.6 - 0.9 * traits.person.brow_height + 1.2 * male - rise + 0.8 * arched
    thickest = 1.7 + 0.6 * male - 0.35 * arched + 1.7 * bushy
    thick = thickest * clamp(1.25 - place, 0.15, 1.0)
    hairs = _strands(u * 2.2 + patch.y * 1.7, patch.y * 3 + u * 2, traits)
    mask = step(thick - np.abs(patch.y - level), 1.7) * step(17 - u, 5)
    mask = mask * step(u + 11.5, 4)
    mask = mask * clamp(0.72 + 0.2 * bushy + 0.16 * hairs)
    patch.paint(mask, _brow_colour(traits))


def _brow_colour(traits: Traits) -> np.ndarray:
    shade = 0.72 if traits.has("Blond_Hair", "Gray_Hair") else 0.62
    return mix((44, 30, 24), hair_colour(traits) * shade, 0.75)


def _strands(across: np.ndarray, along: np.ndarray, traits: Traits) -> np.ndarray:
    """Look hair up at coordinates that broadcast; mean 0, deviation about 1."""
    offset = traits.shot.texture
    rows = (along + offset % 256).astype(np.int32) & 255
    columns = (across + offset % 1024).astype(np.int32) & 1023
    return strand_table().take(rows * 1024 + columns)


def draw_nose(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw nostrils, the creases of the wings and the shadow below the tip."""
    wide, y = plan.nose_width, plan.nose
    patch = crop(canvas, -40, -6, 40, 44)
    tip = plan.x(0, 15)
    rows = [(tip - 3 * plan.light[0], y + 7.5, 9 * wide, 2.6, 0.2)]
    for sign in (-1, 1):
        nostril = plan.x(4.6 * wide * sign, 13)
        wing = plan.x(10.6 * wide * sign, 8)
        rows += [
            (nostril, y + 5.2, 2.6 * wide * plan.side(sign), 1.3, 0.6),
            (wing, y + 2.5, 1.5, 3.6, 0.24),
            (plan.x(7.6 * wide * sign, 12), y + 5.8, 2.8, 1.2, 0.2),
            (plan.x(7 * sign, 5), 2, 3, 9, 0.05 + 0.1 * (sign * plan.light[0] < 0)),
        ]
    patch.shade(clamp(bumps(patch.x, patch.y, rows), 0, 0.8), (0.82, 1, 1))
    shine = bumps(
        patch.x,
        patch.y,
        [
            (tip + 2.5 * plan.light[0], y - 3.5, 2.4, 2.4, 0.26),
            (plan.x(0, 13) + 1.5 * plan.light[0], 6, 1.6, 9, 0.13),
        ],
    )
    patch.paint(shine, np.minimum(plan.skin + 75, 255))


def draw_mouth(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw lips, and teeth and the dark between them when the mouth is open."""
    person, shot, has = traits.person, traits.shot, traits.has
    centre = plan.x(0, 8)
    wide = 1.25 * plan.mouth_width + 4
    patch = crop(canvas, centre - wide, plan.mouth - 16, centre + wide, plan.mouth + 24)
    dx = patch.x - centre
    reach = plan.mouth_width * np.where(dx < 0, plan.side(-1), plan.side(1))
    s = dx / reach.astype(np.float32)
    v = patch.y - plan.mouth
    smile, opened = has("Smiling"), has("Mouth_Slightly_Open")
    lift = smile * (3.0 + 1.6 * shot.expression) + 0.3
    belly = clamp(1 - s * s)
    line = lift * (0.35 - s * s)
    full = 1 + 0.18 * person.lip_fullness + 0.55 * has("Big_Lips")
    full -= 0.1 * has("Male") + 0.12 * smile + 0.15 * traits.oldness
    gap = opened * (3.6 + 2.6 * shot.expression + 1.6 * smile)
    gap_top = line - 0.3 * gap * belly
    gap_bottom = line + 0.7 * gap * belly
    bow = 1 - 0.24 * bell(s, 0.13) + 0.1 * bell(np.abs(s) - 0.25, 0.2)
    top = gap_top - 4.4 * full * bow * belly ** np.float32(0.75)
    bottom = gap_bottom + 6.2 * full * belly ** np.float32(0.85)

    colour = _lip_colour(plan, traits)
    texture = _strands(s * 26, v * 0, traits)
    depth = (v - gap_bottom) / np.maximum(bottom - gap_bottom, 1)
    light = 0.8 + (v >= line) * (0.18 + 0.1 * bell(depth - 0.35, 0.3))
    light = light - 0.12 * step(depth - 0.8, 0.6) + 0.025 * texture
    lips = step(v - top, 1.5) * step(bottom - v, 1.8) * step((1 - np.abs(s)) * 14, 2)
    patch.shade(0.3 * bell(v - bottom - 2.5, 2.2) * belly, (0.8, 1, 1))
    patch.paint(lips, colour[:, None, None] * light)
    gloss = bell(depth - 0.38, 0.16) * bell(s - 0.15 * plan.light[0], 0.34)
    shine = 0.2 + 0.28 * has("Wearing_Lipstick")
    patch.paint(shine * gloss * lips, np.minimum(colour + 110, 255))
    if opened:
        _draw_teeth(patch, s, v, gap_top, gap_bottom, smile)
    corners = bell(np.abs(s) - 1, 0.09) * bell(v - lift * -0.6, 2.2)
    seam = bell(v - line, 1.0) * step((1 - np.abs(s)) * 14, 3) * (not opened)
    patch.shade(clamp(0.5 * corners + 0.62 * seam), (0.85, 1, 1))


def _draw_teeth(patch: Patch, s, v, gap_top, gap_bottom, smile: bool) -> None:
    """Fill an open mouth: dark red, the upper teeth, fewer of them without a smile."""
    inside = step(v - gap_top) * step(gap_bottom - v) * step((1 - np.abs(s)) * 14, 2)
    patch.paint(inside, (58, 20, 22))
    tongue = bell(s, 0.55) * step(v - gap_bottom + 2.6, 2)
    patch.paint(0.7 * inside * tongue, (158, 78, 78))
    length = 6.4 if smile else 2.6
    teeth = step(gap_top + length * (1 - 0.35 * s * s) - v, 1.4) * step(
        v - gap_top, 2.4
    )
    teeth = teeth * step(0.86 - np.abs(s), 0.2)
    between = 0.08 * np.cos(s * 26) ** 8
    tone = (1 - 0.35 * s * s - between) * np.ones_like(v)
    white = np.array([244, 238, 228], np.float32)[:, None, None]
    patch.paint(inside * teeth, white * tone)


def _lip_colour(plan: Geometry, traits: Traits) -> np.ndarray:
    natural = mix(plan.skin, (172, 74, 76), 0.5 - 0.14 * traits.has("Male"))
    if traits.has("Wearing_Lipstick"):
        return mix(natural, pick(_LIPSTICKS, traits.shot.style), 0.74)
    return natural


def draw_beard(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw stubble, goatee, sideburns or, where no style is named, a full beard."""
    has = traits.has
    styles = ("5_o_Clock_Shadow", "Goatee", "Sideburns", "Mustache")
    full = not has("No_Beard", *styles)
    if has("No_Beard") and not has(*styles):
        return
    patch = crop(canvas, -66, -14, 66, 82)
    centre, half = plan.outline(patch.y)
    mouth = plan.x(0, 8)
    across = (patch.x - centre) / np.maximum(half, 1)
    inside = step(half - np.abs(patch.x - centre), 3) * (patch.y < plan.chin)
    jaw = step(patch.y - 22 - 22 * (1 - across * across), 9)
    lip = bell((patch.x - mouth) / plan.mouth_width, 0.95)
    lip = lip * bell(patch.y - plan.mouth + 9, 4.5)
    area = clamp(jaw + lip) * inside
    grain = _strands(patch.x * 7.3, patch.y * 29 + patch.x * 17, traits)
    colour = mix((36, 28, 26), hair_colour(traits) * 0.7, 0.7)
    if has("5_o_Clock_Shadow"):
        shadow = clamp(0.36 + 0.1 * grain) * area
        patch.paint(shadow, mix(colour, (70, 74, 80), 0.35))
    dense = clamp(0.8 + 0.1 * traits.person.beard_density + 0.14 * grain)
    if full:
        patch.paint(dense * area, colour)
    if has("Goatee"):
        offset = (patch.x - plan.x(0, 6)) / (plan.mouth_width + 1)
        tuft = step((1 - offset * offset) * 12, 6) * step(patch.y - plan.mouth - 7, 4)
        patch.paint(dense * tuft * inside, colour)
    if has("Sideburns"):
        strip = step(np.abs(across) - 0.86, 0.16) * step(38 - patch.y, 12)
        strip = strip * step(patch.y + 6, 14)
        patch.paint(dense * strip * inside, colour)


def draw_moustache(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw a moustache over the upper lip; a full beard has one too."""
    has = traits.has
    styles = ("5_o_Clock_Shadow", "Goatee", "Sideburns", "No_Beard")
    if not has("Mustache") and has(*styles):
        return
    centre = plan.x(0, 9)
    patch = crop(canvas, centre - 30, plan.mouth - 18, centre + 30, plan.mouth + 10)
    s = (patch.x - centre) / (plan.mouth_width + 1.5)
    v = patch.y - plan.mouth
    middle = -6.6 + 6.2 * s * s - 1.5 * has("Smiling") * s * s
    thick = (3.6 - 0.9 * bell(s, 0.1)) * clamp(1 - s**4)
    grain = _strands(s * 60 + v * np.sign(s) * 2, v * 4, traits)
    mask = step(thick - np.abs(v - middle), 2.2) * step((1.05 - np.abs(s)) * 14, 3)
    colour = mix((36, 28, 26), hair_colour(traits) * 0.7, 0.7)
    patch.paint(mask * clamp(0.82 + 0.14 * grain), colour)


def draw_age_lines(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    """Draw the folds from nose to mouth, crow's feet, forehead lines, double chin."""
    _draw_mouth_folds(canvas, plan, traits)
    if traits.oldness:
        _draw_wrinkles(canvas, plan, traits.oldness)
    if traits.has("Double_Chin"):
        patch = crop(canvas, -60, plan.chin - 22, 60, plan.chin + 16)
        amount = np.zeros((patch.y.size, patch.x.size), np.float32)
        dx = patch.x - plan.x(0, 2)
        for y, strength in ((plan.chin - 2, 0.35), (plan.chin + 8, 0.45)):
            curve = y - (dx / 22) ** 2 * 5
            amount += strength * bell(patch.y - curve, 1.9) * bell(dx, 22)
        patch.shade(amount, _CREASE)


def _draw_mouth_folds(canvas: Patch, plan: Geometry, traits: Traits) -> None:
    patch = crop(canvas, -60, plan.nose - 1, 60, plan.mouth + 8)
    depth = 0.05 + 0.2 * traits.has("Smiling") + 0.36 * traits.oldness
    drop = clamp((patch.y - plan.nose - 1) / 19, 0, 1.1)
    reach = 11.5 * plan.nose_width + (plan.mouth_width - 5) * drop ** np.float32(0.8)
    window = step(patch.y - plan.nose - 2, 4) * step(plan.mouth + 3 - patch.y, 8)
    dx = patch.x - plan.x(0, 4)
    folds = (bell(dx * sign / plan.side(sign) - reach, 1.7) for sign in (-1, 1))
    patch.shade(depth * window * sum(folds), _CREASE)


def _draw_wrinkles(canvas: Patch, plan: Geometry, oldness: float) -> None:
    """Draw lines on the forehead and crow's feet."""
    patch = crop(canvas, -60, -50, 60, 20)
    amount = np.zeros((patch.y.size, patch.x.size), np.float32)
    wave = 1.2 * np.sin(patch.x / 9)
    brow = bell(patch.x - plan.x(0, 2), 24)
    for y in (-37, -30, -23):
        amount += 0.24 * oldness * bell(patch.y - y - wave, 1.1) * brow
    amount += 0.26 * oldness * _crows_feet(patch, plan)
    patch.shade(clamp(amount, 0, 0.7), _CREASE)


def _crows_feet(patch: Patch, plan: Geometry) -> np.ndarray:
    lines = np.zeros((patch.y.size, patch.x.size), np.float32)
    for sign in (-1, 1):
        corner = plan.x(sign * (plan.eye + 13), -4)
        away = (patch.x - corner) * sign
        for slope in (-0.5, 0.0, 0.5):
            lines += bell(patch.y - slope * away, 0.9) * bell(away - 4, 4)
    return lines
