"""Crops: which region of a picture becomes an image, as `--crop` says.

`FORMS` holds all forms; the help of the flag, its refusals and tests follow from it.
Regions are in pixels of the upright picture. Those of annotations may reach beyond it,
where its edge is repeated.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import attrs
from attrs import validators

from pipelines import files, settings

# Of a region that annotations give, the least share that is within the picture.
_MIN_INSIDE = 0.25


class AnnotationError(files.UserError):
    """A face isn't where the annotations of its picture say."""


@attrs.frozen
class Region:
    """A rectangle of a picture, turned about its centre.

    Attributes:
        left: Its first column, before it is turned.
        upper: Its first row.
        right: The column behind its last one.
        lower: The row behind its last one.
        angle: Radians it is turned by, clockwise as seen.
    """

    left: float
    upper: float
    right: float
    lower: float
    angle: float = 0.0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, upper, right, lower)."""
        return self.left, self.upper, self.right, self.lower

    @property
    def size(self) -> tuple[float, float]:
        """(width, height)."""
        return self.right - self.left, self.lower - self.upper

    def is_within(self, size: tuple[int, int]) -> bool:
        """Say whether it is upright and nowhere beyond a picture of (width, height)."""
        starts = min(self.left, self.upper) >= 0
        stops = self.right <= size[0] and self.lower <= size[1]
        return not self.angle and starts and stops

    def bounds(self) -> tuple[int, int, int, int]:
        """Return the smallest upright box of whole pixels that holds it."""
        width, height = self.size
        cosine, sine = abs(math.cos(self.angle)), abs(math.sin(self.angle))
        across = (width * cosine + height * sine - width) / 2
        down = (width * sine + height * cosine - height) / 2
        return (
            math.floor(self.left - across),
            math.floor(self.upper - down),
            math.ceil(self.right + across),
            math.ceil(self.lower + down),
        )

    def to_picture(self) -> tuple[float, float, float, float, float, float]:
        """Return the affine map from the region's pixels to the picture's.

        Returns:
            (a, b, c, d, e, f): x = a u + b v + c and y = d u + e v + f of the point
            (u, v), counted from the region's own upper left corner.
        """
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        width, height = self.size
        x = (self.left + self.right - width * cosine + height * sine) / 2
        y = (self.upper + self.lower - width * sine - height * cosine) / 2
        return cosine, -sine, x, sine, cosine, y

    def shifted(self, right: float, down: float) -> "Region":
        """Return the same region of the picture moved."""
        return Region(
            self.left + right,
            self.upper + down,
            self.right + right,
            self.lower + down,
            self.angle,
        )

    def scaled(self, factor: float) -> "Region":
        """Return the same region of the picture enlarged by a factor."""
        left, upper, right, lower = (edge * factor for edge in self.box)
        return Region(left, upper, right, lower, self.angle)


@attrs.frozen
class Face:
    """Where a picture's face is, in pixels, as far as that is known.

    Attributes:
        box: Its bounding box (x, y, width, height).
        landmarks: (x, y) of the left eye, the right eye and more.
    """

    box: Sequence[int] | None = None
    landmarks: Sequence[Sequence[int]] | None = None


class Crop(Protocol):
    """A form with its numbers.

    Attributes:
        needs: The part of `Face` that it follows; empty: none.
    """

    needs: ClassVar[str]

    def region(self, size: tuple[int, int], face: Face) -> Region:
        """Return what is kept of an upright picture.

        Args:
            size: Its (width, height).
            face: Its face, with at least what the crop needs.

        Raises:
            UserError: The picture is too small for it.
            AnnotationError: The annotations lead out of the picture, or nowhere.
        """


def _centred(size: tuple[int, int], side: int) -> Region:
    left, upper = (size[0] - side) // 2, (size[1] - side) // 2
    return Region(left, upper, left + side, upper + side)


@attrs.frozen
class Whole:
    """The whole picture."""

    needs: ClassVar[str] = ""

    def region(self, size, face) -> Region:
        """Return the whole picture."""
        return Region(0, 0, *size)


@attrs.frozen
class Square:
    """The largest centred square."""

    needs: ClassVar[str] = ""

    def region(self, size, face) -> Region:
        """Return the largest centred square."""
        return _centred(size, min(size))


@attrs.frozen
class Centre:
    """A centred square of `side` pixels."""

    side: int = attrs.field(validator=settings.positive)
    needs: ClassVar[str] = ""

    def region(self, size, face) -> Region:
        """Return the centred square."""
        _require(size, self.side, self.side, f"{self.side}")
        return _centred(size, self.side)


@attrs.frozen
class Box:
    """Fixed columns and rows, as Pillow's `Image.crop` takes them."""

    left: int
    upper: int
    right: int
    lower: int = attrs.field()
    needs: ClassVar[str] = ""

    @lower.validator
    def _check_edges(self, _, lower: int) -> None:
        if not (self.left < self.right and self.upper < lower):
            raise ValueError(
                "must be a box with LEFT below RIGHT and TOP below BOTTOM, received "
                f"{self.left},{self.upper},{self.right},{lower}."
            )

    def region(self, size, face) -> Region:
        """Return the box."""
        edges = attrs.astuple(self)
        _require(size, self.right, self.lower, f"box:{','.join(map(str, edges))}")
        return Region(*edges)


@attrs.frozen
class BoundingBox:
    """A square about the annotated bounding box.

    Attributes:
        margin: How far it reaches beyond the longer side of the box, at each end, as a
            fraction of that side.
    """

    margin: float = attrs.field(validator=validators.le(2))
    needs: ClassVar[str] = "box"

    def region(self, size, face) -> Region:
        """Return the square about the box."""
        x, y, width, height = face.box
        if min(width, height) < 1:
            raise AnnotationError(f"the bounding box is {width} x {height} pixels")
        side = round(max(width, height) * (1 + 2 * self.margin))
        left, upper = x + (width - side) // 2, y + (height - side) // 2
        return _inside(size, Region(left, upper, left + side, upper + side))


@attrs.frozen
class Eyes:
    """A square in which both eyes are level, at fixed places.

    Attributes:
        distance: Between the eyes, as a fraction of the square's side.
        height: Of the eyes below the upper edge, as a fraction of the side.
    """

    distance: float = attrs.field(validator=[validators.ge(0.1), validators.le(0.9)])
    height: float = attrs.field(validator=validators.le(1))
    needs: ClassVar[str] = "landmarks"

    def region(self, size, face) -> Region:
        """Return the square, turned as the eyes are."""
        (left_x, left_y), (right_x, right_y) = face.landmarks[:2]
        across, down = right_x - left_x, right_y - left_y
        apart = math.hypot(across, down)
        if apart < 2:
            raise AnnotationError(f"the eyes are {apart:.0f} pixels apart")
        side, angle = apart / self.distance, math.atan2(down, across)
        # From between the eyes to the square's centre, along the turned axis.
        below = (0.5 - self.height) * side
        x = (left_x + right_x) / 2 - below * math.sin(angle)
        y = (left_y + right_y) / 2 + below * math.cos(angle)
        edges = x - side / 2, y - side / 2, x + side / 2, y + side / 2
        return _inside(size, Region(*edges, angle))


def _require(size: tuple[int, int], width: int, height: int, written: str) -> None:
    if size[0] < width or size[1] < height:
        raise files.UserError(
            f"Expected images of at least {width} x {height} pixels for "
            f"--crop={written}, received {size[0]} x {size[1]}; choose a smaller "
            "--crop."
        )


def _inside(size: tuple[int, int], region: Region) -> Region:
    """Return a region of which enough is within the picture."""
    (width, height), (left, upper, right, lower) = size, region.box
    across = min(right, width) - max(left, 0)
    down = min(lower, height) - max(upper, 0)
    share = max(across, 0) * max(down, 0) / math.prod(region.size)
    if share < _MIN_INSIDE:
        raise AnnotationError(
            f"at least {_MIN_INSIDE:.0%} of the annotated face should be within the "
            f"picture of {width} x {height} pixels, {share:.0%} is"
        )
    return region


@attrs.frozen
class Form:
    """A form of `--crop`.

    Attributes:
        written: How it is written, numbers in capitals.
        text: What it keeps.
        pattern: A regular expression of it, with a group for each number.
        make: From the numbers to the crop.
    """

    written: str
    text: str
    pattern: str
    make: Callable[..., Crop]


_PIXELS, _PART = "([0-9]{1,5})", r"([0-9](?:\.[0-9]{1,6})?)"

FORMS = (
    Form("square", "the largest centred square", "square", Square),
    Form("none", "the whole picture, stretched if it isn't square", "none", Whole),
    Form("N", "the centred square of N pixels", _PIXELS, Centre),
    Form(
        "box:LEFT,TOP,RIGHT,BOTTOM",
        "these pixels, up to the column RIGHT and the row BOTTOM",
        f"box:{_PIXELS},{_PIXELS},{_PIXELS},{_PIXELS}",
        Box,
    ),
    Form(
        "bbox:M",
        "the square about the annotated bounding box, larger by M of its longer side "
        "at each end",
        f"bbox:{_PART}",
        BoundingBox,
    ),
    Form(
        "eyes:D,H",
        "a square turned as the annotated eyes are, with D of its side between them "
        "and H of it above them (eyes:0.27,0.51 gives faces as 140 does of CelebA's "
        "aligned images)",
        f"eyes:{_PART},{_PART}",
        Eyes,
    ),
)
HELP = "; ".join(f"{form.written}: {form.text}" for form in FORMS)


def parse(text: str) -> Crop:
    """Return the crop that a text says.

    Raises:
        ValueError: It is in none of the forms, or its numbers are out of range.
    """
    for form in FORMS:
        if match := re.fullmatch(form.pattern, text, re.ASCII):
            return form.make(*map(float if "." in text else int, match.groups()))
    forms = ", ".join(form.written for form in FORMS)
    raise ValueError(f"must be in one of the forms {forms}, received {text!r}.")


def without_annotations(text: str) -> str:
    """Return the crop for pictures that are cropped already, where a crop needs more.

    Args:
        text: A crop that `parse` takes.

    Returns:
        The text, or `square` where the crop follows annotations.
    """
    return "square" if parse(text).needs else text
