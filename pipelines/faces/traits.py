"""Who is in a procedural face and how the picture was taken.

Everything that makes one face is drawn here, once: the forty attributes, the traits
that belong to the person (the same in all pictures of an identity) and those of the
single shot. The drawing itself then holds no chance but textures, so changing one
attribute changes what that attribute means and nothing else.
"""

import functools

import attrs
import numpy as np

# In the order of list_attr_celeba.txt.
ATTRIBUTE_NAMES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)

# A block of consecutive images shows a block of identities in turn, so that small
# trees hold all three partitions and large ones many pictures of each person.
IDENTITIES_PER_BLOCK = 20
IMAGES_PER_BLOCK = 200


@attrs.frozen
class Person:
    """What all pictures of an identity share; fractions in [0, 1], jitters in [-1, 1].

    Attributes:
        attributes: names of the lasting attributes (sex, age, hair colour, shape …).
        skin_tone: 0 lightest, 1 darkest.
        undertone: -1 rosy, 1 olive.
        age: 0 youngest, 1 oldest.
        width, length, jaw: jitters of the head's outline.
        eye_size, eye_spacing, eye_tilt, brow_height: jitters around the eyes.
        nose_width, nose_length, mouth_width, lip_fullness: jitters below.
        iris: fraction along the palette of iris colours.
        hair_shade: jitter of the hair colour.
        hair_length, hair_volume: fractions; short men's hair to below the shoulders.
        beard_density: fraction.
    """

    attributes: frozenset[str]
    skin_tone: float
    undertone: float
    age: float
    width: float
    length: float
    jaw: float
    eye_size: float
    eye_spacing: float
    eye_tilt: float
    brow_height: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    iris: float
    hair_shade: float
    hair_length: float
    hair_volume: float
    beard_density: float


@attrs.frozen
class Shot:
    """What belongs to one picture; fractions in [0, 1], jitters in [-1, 1].

    Attributes:
        yaw, roll: radians; positive turns the face to the image's right, clockwise.
        zoom: scale of the face, about 1.
        shift_x, shift_y: displacement of the face in pixels.
        gaze: jitter of where the eyes look.
        expression: fraction; how strong the smile or how wide the mouth.
        light_x, light_y: direction the light comes from, jitters.
        ambient: fraction of light without direction.
        exposure, warmth: jitters of brightness and colour temperature.
        parting: jitter; where the hair parts.
        style: fraction that picks among kinds of glasses, hats, lipsticks, jewels.
        texture: seed of background, clothes and textures.
    """

    yaw: float
    roll: float
    zoom: float
    shift_x: float
    shift_y: float
    gaze: float
    expression: float
    light_x: float
    light_y: float
    ambient: float
    exposure: float
    warmth: float
    parting: float
    style: float
    texture: int


@attrs.frozen
class Traits:
    """One face to be drawn: the person, the shot and the attributes that hold."""

    person: Person
    shot: Shot
    attributes: frozenset[str]

    def has(self, *names: str) -> bool:
        """Say whether any of the attributes holds."""
        return not self.attributes.isdisjoint(names)

    @property
    def oldness(self) -> float:
        """Return 0 for the young, otherwise a fraction of more than a half."""
        return 0.0 if self.has("Young") else max(self.person.age, 0.55)

    def as_labels(self) -> tuple[int, ...]:
        """Return the attributes as 40 zeros and ones, in the official order."""
        return tuple(int(name in self.attributes) for name in ATTRIBUTE_NAMES)


def identity(index: int) -> int:
    """Return the number of the person on image `index`, from 1."""
    block, place = divmod(index, IMAGES_PER_BLOCK)
    return 1 + block * IDENTITIES_PER_BLOCK + place % IDENTITIES_PER_BLOCK


def sample(index: int, seed: int) -> Traits:
    """Draw the traits of image `index`, a pure function of (index, seed)."""
    number = identity(index)
    person = _sample_person(number, seed)
    rng = np.random.default_rng((seed, 1, index))
    shot = _sample_shot(rng)
    return Traits(person, shot, _sample_attributes(rng, person, shot))


@functools.lru_cache(64)  # The images of a person are close together.
def _sample_person(number: int, seed: int) -> Person:
    rng = np.random.default_rng((seed, 0, number))

    def jitter():
        return min(max(rng.normal(0, 0.5), -1.0), 1.0)

    tone = float(rng.beta(1.2, 2.2))
    names = _lasting_attributes(rng, tone)
    old = "Young" not in names
    length = rng.uniform(0.0, 0.3) if "Male" in names else rng.uniform(0.33, 1.0)
    return Person(
        attributes=frozenset(names),
        skin_tone=tone,
        undertone=jitter(),
        age=float(rng.uniform(0.55, 1.0) if old else rng.uniform(0.0, 0.35)),
        width=jitter(),
        length=jitter(),
        jaw=jitter(),
        eye_size=jitter(),
        eye_spacing=jitter(),
        eye_tilt=jitter(),
        brow_height=jitter(),
        nose_width=jitter(),
        nose_length=jitter(),
        mouth_width=jitter(),
        lip_fullness=jitter(),
        iris=float(rng.uniform(0.0, 0.45) if tone > 0.45 else rng.uniform()),
        hair_shade=jitter(),
        hair_length=float(length),
        hair_volume=float(rng.uniform()),
        beard_density=float(rng.uniform()),
    )


def _lasting_attributes(rng: np.random.Generator, tone: float) -> set[str]:
    """Draw what does not change from picture to picture, at CelebA's frequencies."""
    male = rng.random() < 0.42
    young = rng.random() < (0.66 if male else 0.86)
    names = {name for name, holds in (("Male", male), ("Young", young)) if holds}

    def maybe(name, probability):
        if rng.random() < probability:
            names.add(name)

    bald = male and rng.random() < (0.04 if young else 0.08)
    if bald:
        names.add("Bald")
    else:
        names.update(_hair_colour(rng, male, young, tone))
        maybe("Receding_Hairline", 0.03 if not male else 0.11 if young else 0.3)
        maybe("Wavy_Hair", 0.14 if male else 0.46)
        if "Wavy_Hair" not in names:
            maybe("Straight_Hair", 0.26 if male else 0.36)
    maybe("Pale_Skin", 0.16 if tone < 0.25 else 0.0)
    maybe("Chubby", 0.1 if male else 0.03)
    maybe("Double_Chin", 0.4 if "Chubby" in names else 0.02 if young else 0.08)
    maybe("Oval_Face", 0.22 if male else 0.33)
    maybe("Big_Nose", 0.42 if male else 0.1)
    maybe("Pointy_Nose", 0.18 if male else 0.35)
    maybe("Big_Lips", 0.15 if male else 0.3)
    maybe("Narrow_Eyes", 0.12)
    maybe("Bags_Under_Eyes", (0.3 if male else 0.08) if young else 0.45)
    maybe("Bushy_Eyebrows", 0.29 if male else 0.04)
    maybe("Arched_Eyebrows", 0.05 if male else 0.43)
    return names


def _hair_colour(rng, male, young, tone) -> set[str]:
    """Draw one of the four named hair colours, or none (red, ash and the like)."""
    gray = 0.0 if young else 0.25 if male else 0.15
    blond = 0.0 if tone > 0.55 else 0.06 if male else 0.3
    black = 0.2 + 0.5 * tone**2 if tone < 0.55 else 0.7
    draw = rng.random()
    for name, probability in (
        ("Gray_Hair", gray),
        ("Blond_Hair", blond),
        ("Black_Hair", black * (1 - gray - blond)),
        ("Brown_Hair", 0.27),
    ):
        if draw < probability:
            return {name}
        draw -= probability
    return set()


def _sample_shot(rng: np.random.Generator) -> Shot:
    def jitter(scale):
        return min(max(rng.normal(0, 0.5), -1.0), 1.0) * scale

    return Shot(
        yaw=jitter(0.44),
        roll=jitter(0.08),
        zoom=1 + jitter(0.045),
        shift_x=jitter(2.0),
        shift_y=jitter(2.0),
        gaze=jitter(1.0),
        expression=float(rng.uniform()),
        light_x=jitter(1.4),
        light_y=float(rng.uniform(-1.0, 0.1)),
        ambient=float(rng.uniform(0.35, 0.7)),
        exposure=jitter(1.0),
        warmth=jitter(1.0),
        parting=float(rng.uniform(-1.0, 1.0)),
        style=float(rng.uniform()),
        texture=int(rng.integers(2**31)),
    )


def _sample_attributes(rng, person: Person, shot: Shot) -> frozenset[str]:
    """Add what changes from picture to picture and drop what would be hidden."""
    names = set(person.attributes)
    male, young = "Male" in names, "Young" in names

    def maybe(name, probability):
        if rng.random() < probability:
            names.add(name)

    maybe("Smiling", 0.4 if male else 0.54)
    maybe("High_Cheekbones", 0.74 if "Smiling" in names else 0.18)
    maybe("Mouth_Slightly_Open", 0.74 if "Smiling" in names else 0.25)
    maybe("Blurry", 0.05)
    maybe("Eyeglasses", 0.1 if male else 0.04)
    maybe("Wearing_Hat", 0.07 if male else 0.035)
    if male:
        names.update(_facial_hair(rng))
        maybe("Wearing_Necktie", 0.12 if young else 0.27)
        maybe("Wearing_Necklace", 0.03)
        maybe("Wearing_Earrings", 0.03)
    else:
        names.add("No_Beard")
        maybe("Heavy_Makeup", 0.72 if young else 0.35)
        made_up = "Heavy_Makeup" in names
        maybe("Wearing_Lipstick", 0.97 if made_up else 0.5)
        maybe("Rosy_Cheeks", 0.16 if made_up else 0.03)
        maybe("Wearing_Earrings", 0.31)
        maybe("Wearing_Necklace", 0.2)
    if not names & {"Bald", "Receding_Hairline"}:
        maybe("Bangs", 0.08 if male else 0.23)
    if "Wearing_Necktie" in names:
        names.discard("Wearing_Necklace")
    if "Wearing_Hat" in names:
        names -= {"Bald", "Bangs", "Receding_Hairline"}
    if wears_sunglasses("Eyeglasses" in names, shot):
        names -= {"Bags_Under_Eyes", "Narrow_Eyes"}
    if _is_attractive(names, person):
        names.add("Attractive")
    return frozenset(names)


def wears_sunglasses(glasses: bool, shot: Shot) -> bool:
    """Say whether the glasses of a shot, if it has any, are dark ones."""
    return glasses and shot.style > 0.7


def _facial_hair(rng) -> set[str]:
    if rng.random() < 0.6:
        return {"No_Beard"}
    styles = (
        ("5_o_Clock_Shadow", 0.66),
        ("Goatee", 0.38),
        ("Mustache", 0.25),
        ("Sideburns", 0.34),
    )
    return {name for name, probability in styles if rng.random() < probability}


def _is_attractive(names: set[str], person: Person) -> bool:
    """Follow what CelebA's annotators tended to say, without judgement of ours."""
    score = 1.1 * ("Young" in names) + 0.5 * ("Male" not in names)
    score += 0.3 * len(names & {"Heavy_Makeup", "Oval_Face", "Arched_Eyebrows"})
    score -= 0.8 * len(names & {"Chubby", "Double_Chin", "Bald", "Gray_Hair"})
    score -= 0.4 * len(names & {"Big_Nose", "Bags_Under_Eyes", "Eyeglasses", "Blurry"})
    return score + 0.3 * person.jaw > 1.3
