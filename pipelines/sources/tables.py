"""Text files of annotations: a line an image, in whatever way they are separated.

Read are the official files of CelebA (spaces; a count and the names of columns above
the rows, or neither) and tables of comma, semicolon or tab separated values with a
header, with any line ends, with or without a byte order mark.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator

import attrs

from pipelines import files
from pipelines.converting import images
from pipelines.sources import archives, columns, placing, trees

SUFFIXES = (".txt", ".csv", ".tsv")

# CelebA's have at most 0.5 KB in a line and 40 columns.
_MAX_LINE = 1 << 14
_MAX_COLUMNS = 256
_SEPARATORS = "\t;,"
_COUNT = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[-+]?[0-9.]+")
_ROWS_AT_ONCE = 1 << 12


def read(
    tree: trees.Tree,
    path: str,
    names: placing.Names,
    role: str = "",
    strict: bool = False,
) -> placing.Table:
    """Read a file, line by line.

    Args:
        tree: Where the file lies.
        path: Its path there.
        names: The images.
        role: What its columns become, where its name says so; empty: by their names.
        strict: Whether rows of images that aren't there are an error.

    Raises:
        UserError: It is damaged, or has malformed, duplicate or missing rows.
    """
    placed = placing.Placed(names, path, strict)
    try:
        with tree.open(path) as file:
            found = _parse(file, path, placed, role)
        return placed.table(found, tree)
    except (*archives.UNREADABLE, csv.Error) as error:
        what = "text in UTF-8" if isinstance(error, UnicodeError) else "a readable file"
        raise files.UserError(
            f"Expected {what} in {path}, it can't be read ({error}); fetch it again."
        ) from error


def lines(file, path: str) -> Iterator[str]:
    """Yield the lines, whatever they end with."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline=None)
    for number, line in enumerate(iter(lambda: text.readline(_MAX_LINE), ""), 1):
        if len(line) == _MAX_LINE:
            raise files.UserError(
                f"Expected lines of less than {_MAX_LINE:,} characters in {path}, "
                f"received more in line {number}; fetch the file again."
            )
        yield line


def cells(text: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of the lines that hold any.

    A tab, semicolon or comma in the first line, or in the second where the first is
    but a count, separates all; where there is none, spaces do.
    """
    head = list(itertools.islice(text, 2))
    where = (
        head[-1] if head and _COUNT.fullmatch(head[0].strip()) else "".join(head[:1])
    )
    separator = next((mark for mark in _SEPARATORS if mark in where), None)
    everything = itertools.chain(head, text)
    if separator:
        rows = csv.reader(everything, delimiter=separator, skipinitialspace=True)
        for row in rows:
            values = list(map(str.strip, row))
            if any(values):
                yield rows.line_num, values
        return
    for number, line in enumerate(everything, 1):
        if words := line.split():
            yield number, words


def _is_image(cell: str) -> bool:
    return cell.lower().endswith(images.SUFFIXES)


@attrs.frozen
class _Head:
    """What stands above the rows.

    Attributes:
        count: Number of rows, as the file says, or None.
        names: Of all columns, that of the images among them.
        image: Which column names the images.
    """

    count: int | None
    names: list[str]
    image: int


def _head(
    rows: Iterator[tuple[int, list]], path: str, placed: placing.Placed
) -> tuple[_Head, Iterator]:
    """Read the head of a file; return it and all its rows."""
    first = next(rows, (1, []))
    count = None
    if len(first[1]) == 1 and _COUNT.fullmatch(first[1][0]):
        count, first = int(first[1][0]), next(rows, (2, []))
    header, data = first[1], first
    values_follow = len(header) > 1 and all(map(_NUMBER.fullmatch, header[1:]))
    if count is None and (any(map(_is_image, header)) or values_follow):
        header = []
    else:
        data = next(rows, (first[0] + 1, []))
    width = len(data[1])
    if not header:
        header = [f"column {place}" for place in range(1, width + 1)]
    elif len(header) == width - 1:  # The images' own column has no name.
        header = ["", *header]
    if not data[1] or len(header) != width or width < 2 or width > _MAX_COLUMNS:
        raise files.UserError(
            f"Expected at most {_MAX_COLUMNS} names of columns and as many values in "
            f"each row of {path}, or a number of rows above them, received "
            f"{' '.join(first[1])[:60]!r} and {width} values; fetch the file again."
        )
    named = [place for place, cell in enumerate(data[1]) if _is_image(cell)]
    named += [p for p, name in enumerate(header) if name.lower() in columns.KEYS]
    named += [] if named else [0]
    image = next((p for p in named if placed.knows(data[1][p])), named[0])
    rest = itertools.chain([data], rows)
    return _Head(count, header, image), rest


def _parse(file, path: str, placed: placing.Placed, role: str) -> list[columns.Column]:
    head, rows = _head(cells(lines(file, path)), path, placed)
    found = [
        columns.Column(path, name, role)
        for place, name in enumerate(head.names)
        if place != head.image
    ]
    num_rows = 0

    def known() -> Iterator[list[str]]:
        """Yield the values of the images that are there."""
        nonlocal num_rows
        for number, cells in rows:
            num_rows += 1
            _check_width(cells, head, path, number)
            if placed.add(cells.pop(head.image), f" in line {number}"):
                yield cells

    stream = known()
    while some := list(itertools.islice(stream, _ROWS_AT_ONCE)):
        for column, values in zip(found, zip(*some, strict=True), strict=True):
            column.extend(values)
    if head.count not in (None, num_rows):
        raise files.UserError(
            f"Expected {head.count} rows in {path} as its first line says, received "
            f"{num_rows}; fetch the file again."
        )
    return found


def _check_width(cells: list[str], head: _Head, path: str, number: int) -> None:
    if len(cells) != len(head.names):
        num = len(head.names) - 1
        raise files.UserError(
            f"Expected {num} value{'s' * (num > 1)} beside the image's name in line "
            f"{number} of {path}, received {len(cells) - 1} "
            f"({' '.join(cells)[:60]!r}); fetch the file again."
        )
