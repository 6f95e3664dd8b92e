"""A report that one can read anywhere: one HTML file, pictures inside.

A report is made of sections, a section of parts: `Text`, `Verdict`, `Table`, `Picture`
and `Code`. The file needs no network, runs no script, and its policy forbids both. It
is laid out for a desktop, a phone and paper (`report.css`).
"""

import base64
import html
import importlib.resources
import io
import math
import numbers
import os
import re
from collections.abc import Sequence

import attrs
from PIL import Image

from pipelines import files

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Headings that fit on a screen need no list of contents.
_SECTIONS_WITHOUT_CONTENTS = 3


@attrs.frozen
class Text:
    """A paragraph."""

    text: str

    def html(self) -> str:
        """Return the paragraph as HTML."""
        return f"<p>{html.escape(self.text)}</p>"


@attrs.frozen
class Verdict:
    """A sentence to act upon, which stands out."""

    text: str

    def html(self) -> str:
        """Return the sentence as HTML."""
        return f'<p class="verdict">{html.escape(self.text)}</p>'


@attrs.frozen
class Code:
    """Commands or flags, to be copied as they are."""

    text: str

    def html(self) -> str:
        """Return the lines as HTML."""
        return f"<pre>{html.escape(self.text.rstrip())}</pre>"


@attrs.frozen
class Table:
    """Rows of values under headings; the first column names the row.

    Attributes:
        columns: The headings.
        rows: As many values each; numbers are formatted, see `format_value`.
        caption: What the table shows; empty for none.
    """

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

    def html(self) -> str:
        """Return the table as HTML; a wide one scrolls by itself."""
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>"
        heads = "".join(self._head(i) for i in range(len(self.columns)))
        rows = "\n".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        return (
            f'<figure class="table">{caption if self.caption else ""}<div tabindex="0">'
            f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>"
            "</div></figure>"
        )

    def _head(self, column: int) -> str:
        is_number = column and not any(
            isinstance(row[column], str) for row in self.rows
        )
        kind = ' class="number"' if is_number else ""
        return f'<th scope="col"{kind}>{html.escape(self.columns[column])}</th>'


def _cells(row: Sequence[object]) -> str:
    name, *values = row
    cells = [f'<th scope="row">{html.escape(format_value(name))}</th>']
    for value in values:
        kind = "" if isinstance(value, str) else ' class="number"'
        cells.append(f"<td{kind}>{html.escape(format_value(value))}</td>")
    return "".join(cells)


@attrs.frozen
class Picture:
    """A picture with what it shows in words.

    Attributes:
        name: Its file's name, without the ending; letters, digits, `_`, `-` and `.`.
        png: The picture as PNG.
        caption: What to see in it.
        alt: What it shows, for those who can't see it; default: the caption.
        scale: Screen pixels to a pixel, for pictures of small images.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.-]+"))
    png: bytes = attrs.field(repr=False)
    caption: str
    alt: str = ""
    scale: float = 1

    def html(self) -> str:
        """Return the picture as HTML, its bytes inside."""
        width, height = (
            round(self.scale * n) for n in Image.open(io.BytesIO(self.png)).size
        )
        data = base64.b64encode(self.png).decode()
        kind = ' class="enlarged"' if self.scale > 1 else ""
        return (
            f'<figure><img{kind} src="data:image/png;base64,{data}" width="{width}" '
            f'height="{height}" alt="{html.escape(self.alt or self.caption)}">'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


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

    def html(self) -> str:
        """Return the section as HTML."""
        parts = "\n".join(part.html() for part in self.parts)
        heading = html.escape(self.heading)
        return f'<section id="{self.anchor}">\n<h2>{heading}</h2>\n{parts}\n</section>'


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
        style = importlib.resources.files(__package__) / "report.css"
        sections = "\n".join(section.html() for section in self.sections)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{html.escape(self.title)}</title>\n"
            f"<style>\n{style.read_text()}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{html.escape(self.title)}</h1>\n<p>{html.escape(self.summary)}</p>\n"
            f"{self._contents()}{sections}\n</main>\n</body>\n</html>\n"
        )

    def _contents(self) -> str:
        if len(self.sections) <= _SECTIONS_WITHOUT_CONTENTS:
            return ""
        links = "\n".join(
            f'<li><a href="#{s.anchor}">{html.escape(s.heading)}</a></li>'
            for s in self.sections
        )
        return f'<nav aria-label="Contents"><ul>\n{links}\n</ul></nav>\n'

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
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if size >= 100:
        return f"{value:,.0f}" if size >= 1e4 else f"{value:,.1f}"
    return f"{value:.4g}"
