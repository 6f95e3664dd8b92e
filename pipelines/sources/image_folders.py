"""Hugging Face's folders of images: `metadata.csv` or `metadata.jsonl` beside them.

    train/metadata.jsonl    {"file_name": "0001.png", "Smiling": true}
    train/0001.png

Each such file is of the images in its own folder and below, which `file_name` names
from there (huggingface.co/docs/datasets/image_dataset). Together they are one table.
"""

import csv
import itertools
import posixpath
from collections.abc import Iterator

from pipelines import documents, files
from pipelines.sources import archives, columns, placing, roles, tables, trees

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE_NAME = "file_name"
_MAX_LINE = 1 << 16
_AT_ONCE = 1 << 12


def paths_of(paths: list[str]) -> list[str]:
    """Return the files that are such a table; a CSV alone is one like any other."""
    found = [path for path in paths if posixpath.basename(path).lower() in _NAMES]
    alone = len(found) == 1 and found[0].lower().endswith(".csv")
    return [] if alone else found


def read(tree: trees.Tree, paths: list[str], names: placing.Names) -> placing.Table:
    """Read all of them as one table.

    Args:
        tree: Where they lie.
        paths: Their paths there.
        names: The images.

    Raises:
        UserError: One is damaged, or images are missing in all of them.
    """
    label = posixpath.basename(paths[0]) if paths[1:] else paths[0]
    placed = placing.Placed(names, label, paths=paths)
    gathered = columns.Gathered()
    for path in paths:
        rows = _placed_rows(tree, path, placed)
        while some := list(itertools.islice(rows, _AT_ONCE)):
            gathered.add(label, len(some), _by_column(some))
    return placed.table(list(gathered.columns.values()), tree)


def _by_column(some: list[dict]) -> dict[str, list]:
    """Return the values of some rows by column; those of a list by its parts."""
    found: dict[str, list] = {}
    for name in dict.fromkeys(name for row in some for name in row):
        values = [row.get(name) for row in some]
        if any(isinstance(value, list | dict) for value in values):
            # What isn't several columns stays one, and is at fault.
            found |= roles.of_lists(name, values) or {name: values}
        else:
            found[name] = values
    return found


def _placed_rows(
    tree: trees.Tree, path: str, placed: placing.Placed
) -> Iterator[dict[str, object]]:
    """Yield the annotations of the images that are there."""
    read_rows = _lines if path.lower().endswith("l") else _cells
    folder = posixpath.dirname(path)
    try:
        with tree.open(path) as file:
            for number, row in read_rows(file, path):
                name = row.pop(_FILE_NAME, None)
                if not isinstance(name, str) or not name:
                    raise ValueError(f"line {number} has no {_FILE_NAME}")
                whole = posixpath.normpath(posixpath.join(folder, name))
                if placed.add(whole, f" in line {number} of {path}"):
                    yield row
    except (*archives.UNREADABLE, csv.Error, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise files.UserError(
            f"Expected a line an image, with its {_FILE_NAME}, in {path}, it is "
            f"damaged ({reason}); mend it, or remove it to convert without it."
        ) from error


def _lines(file, path: str) -> Iterator[tuple[int, dict]]:
    """Yield (line number, object) of a file of JSON lines."""
    del path
    for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
        if len(line) == _MAX_LINE:
            raise ValueError(f"line {number} has {_MAX_LINE:,} bytes and more")
        if line.strip():
            row = documents.parse(line)
            yield number, documents.build(dict, row, f"line {number}")


def _cells(file, path: str) -> Iterator[tuple[int, dict]]:
    """Yield (line number, values by name) of a CSV."""
    rows = tables.cells(tables.lines(file, path))
    _, header = next(rows, (1, []))
    if len(set(header)) < len(header):
        raise ValueError("a name of a column is there twice")
    for number, values in rows:
        if len(values) != len(header):
            raise ValueError(
                f"line {number} has {len(values)} values for {len(header)} columns"
            )
        yield number, dict(zip(header, values, strict=True))
