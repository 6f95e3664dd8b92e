"""A report that one can read anywhere: one HTML file, pictures inside.

A report is made of sections, a section of parts: `Text`, `Verdict`, `Table`, `Picture`
and `Code`. The file needs no network, runs no script, and its policy forbids both. It
is laid out for a desktop, a phone and paper (`report.html.jinja`, `report.css`).
"""

import base64
import hashlib
import importlib.resources
import io
import math
import numbers
import os
import re
from collections.abc import Sequence
from typing import ClassVar

import attrs
import jinja2
from PIL import Image

from pipelines import files

# Headings that fit on a screen need no list of contents.
_SECTIONS_WITHOUT_CONTENTS = 3
# Of a file's name without its ending, in bytes; file systems take 255.
_LONGEST_NAME = 200


@attrs.frozen
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@attrs.frozen
class Verdict:
    """A sentence to act upon, which stands out."""

    kind: ClassVar[str] = "verdict"
    text: str


@attrs.frozen
class Code:
    """Commands or flags, to be copied as they are."""

    kind: ClassVar[str] = "code"
    text: str


@attrs.frozen
class Table:
    """Rows of values under headings; the first column names the row.

    Attributes:
        columns: The headings.
        rows: As many values each; numbers are formatted, see `format_value`.
        caption: What the table shows; empty for none.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""

    def __attrs_post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"A row must have a value for each of {list(self.columns)}, "
                    f"received {list(row)}."
                )

    def holds_numbers(self, column: int) -> bool:
        """Say whether a column, by its number, holds no text."""
        return bool(column) and not any(
            isinstance(row[column], str) for row in self.rows
        )


def file_name(text: str) -> str:
    """Return a name for a file that texts from data, such as attributes, are part of.

    Letters and digits of any script, `_`, `.` and `-` stay; of each other character
    there stands its code point, as `-2f-` for `/`. A long name ends in its digest.
    """
    name = re.sub(r"[^\w.-]", lambda found: f"-{ord(found[0]):x}-", text)
    if len(name.encode()) <= _LONGEST_NAME:
        return name or "-"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME // 4]}-{digest}"


@attrs.frozen
class Picture:
    """A picture with what it shows in words.

    Attributes:
        name: Its file's name, without the ending; of other texts, see `file_name`.
        png: The picture as PNG.
        caption: What to see in it.
        alt: What it shows, for those who can't see it; default: the caption.
        scale: Screen pixels to a pixel, for pictures of small images.
    """

    kind: ClassVar[str] = "picture"
    name: str = attrs.field(converter=file_name)
    png: bytes = attrs.field(repr=False)
    caption: str
    alt: str = ""
    scale: float = 1

    def shown_size(self) -> tuple[int, int]:
        """Return the width and height that it is shown with, in screen pixels."""
        width, height = Image.open(io.BytesIO(self.png)).size
        return round(self.scale * width), round(self.scale * height)

    def base64(self) -> str:
        """Return its bytes as they stand in the page."""
        return base64.b64encode(self.png).decode()


Part = Text | Verdict | Code | Table | Picture


@attrs.frozen
class Section:
    """A heading and what stands under it."""

    heading: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        """Its place in the page, for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-")


@attrs.frozen
class Report:
    """A whole report.

    Attributes:
        title: Its title.
        summary: What it is about, in a sentence or two.
        sections: Its sections, in order.
    """

    title: str
    summary: str
    sections: Sequence[Section]

    def pictures(self) -> list[Picture]:
        """Return all pictures, in order."""
        parts = (part for section in self.sections for part in section.parts)
        return [part for part in parts if isinstance(part, Picture)]

    def html(self) -> str:
        """Return the page."""
        folder = importlib.resources.files(__package__)
        environment = jinja2.Environment(
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["format_value"] = format_value
        template = environment.from_string((folder / "report.html.jinja").read_text())
        return template.render(
            report=self,
            style=(folder / "report.css").read_text(),
            has_contents=len(self.sections) > _SECTIONS_WITHOUT_CONTENTS,
        )

    def write(self, path: str) -> None:
        """Write the page, aside first, then under its name."""
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        files.write(path, self.html())


def format_value(value: object) -> str:
    """Write a value for people: numbers to about four digits, None as n/a."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    if not isinstance(value, numbers.Real):
        return str(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    size = float(abs(value))
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 100:
        return f"{value:,.0f}" if size >= 1e4 else f"{value:,.1f}"
    return f"{value:.4g}"
