"""Files of rows, an image and its annotations in each: Parquet, tars, ArrayRecords.

A form of file gives two functions: one lists the rows of a file without their images,
the other gives the images at some of its rows. What is held of an image is its key and
the integers of its annotations.
"""

import array
import hashlib
import itertools
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from pipelines import files
from pipelines.converting import images
from pipelines.converting import source as source_lib
from pipelines.sources import annotated, annotations, archives, layouts, roles, trees
from pipelines.sources import columns as columns_lib
from pipelines.sources import request as request_lib
from pipelines.sources import splits as splits_lib

_MAX_KEY = 1_000


@attrs.frozen
class Chunk:
    """Some rows that follow one another in a file.

    Attributes:
        keys: Name of each image; empty texts: the file knows none.
        columns: Name of each column to its values, None where a row has none.
        classes: Names of the classes that a column numbers, where they are known.
        ignored: Columns that can't be annotations, and why.
        places: Where the form finds each image again, a pair of numbers; or nothing.
    """

    keys: Sequence[str]
    columns: Mapping[str, Sequence]
    classes: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    ignored: Mapping[str, str] = attrs.field(factory=dict)
    places: Sequence[tuple[int, int]] = ()


@attrs.frozen
class Form:
    """A form of file.

    Attributes:
        suffix: What such files' names end with.
        text: What they are called.
        chunks: From a path to all its rows.
        pictures: From a path, ascending rows in it and their places, int64 [n, 2], to
            their images.
        unreadable: What both may raise where the file is damaged.
    """

    suffix: str
    text: str
    chunks: Callable[[str], Iterator[Chunk]]
    pictures: Callable[[str, np.ndarray, np.ndarray], Iterator[images.Picture]]
    unreadable: tuple[type[Exception], ...]

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What opening and reading a file may raise."""
        return (*archives.UNREADABLE, *self.unreadable)


def _paths(form: Form, request: request_lib.Request) -> list[str]:
    """Return the files of a form at a path, itself or those in it, in order."""
    source = request.source
    if os.path.isfile(source):
        return [source] if source.lower().endswith(form.suffix) else []
    if not os.path.isdir(source) or not isinstance(request.tree, trees.Folder):
        return []
    tree = request.tree
    return [tree.picture(n) for n in tree.sizes if n.lower().endswith(form.suffix)]


def recognises(form: Form, request: request_lib.Request) -> bool:
    """Say whether there are files of a form."""
    return bool(_paths(form, request))


class _Gathered:
    """What the rows of all files say, in the order of the files."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._columns = columns_lib.Gathered()
        self.ignored: dict[str, str] = {}
        self.places = array.array("q")

    def add(self, label: str, chunk: Chunk) -> None:
        """Add some rows; a column that not all rows have is none."""
        self.keys.extend(chunk.keys)
        self.places.extend(itertools.chain.from_iterable(chunk.places))
        self._columns.add(label, len(chunk.keys), chunk.columns, chunk.classes)
        self.ignored |= chunk.ignored

    @property
    def columns(self) -> dict[str, columns_lib.Column]:
        """The columns by name."""
        return self._columns.columns


def open_rows(form: Form, request: request_lib.Request) -> source_lib.Source:
    """Open files of rows.

    Splits are those that the files' names speak of (`train-00000-of-00003`,
    `val/000.tar`) or a column tells; otherwise they are made by a hash. The digest
    covers the files' names and sizes and the annotations.

    Raises:
        UserError: A damaged file, no images, or images beside the files.
    """
    paths, root, warnings = _paths(form, request), request.source, []
    if os.path.isdir(root):
        _refuse_mixed(form, request.tree, paths)
        others = [n for n in request.tree.sizes if not n.lower().endswith(form.suffix)]
        warnings = annotations.unread(others)
    else:
        root = os.path.dirname(root)
    gathered, ends = _Gathered(), []
    label = f"*{form.suffix}"
    digest = hashlib.sha256()
    for path in paths:
        try:
            for chunk in form.chunks(path):
                gathered.add(label, chunk)
                if len(gathered.keys) > annotated.MAX_IMAGES:
                    raise ValueError(f"more than {annotated.MAX_IMAGES:,} images")
        except form.failures as error:
            raise _damaged(form, path, error) from error
        ends.append(len(gathered.keys))
        digest.update(f"{os.path.relpath(path, root)}\t".encode(errors="replace"))
        digest.update(f"{os.path.getsize(path)}\n".encode())
    relative = [os.path.relpath(path, root).replace(os.sep, "/") for path in paths]
    keys, uses = _keys(gathered, label, relative, ends)
    resolved = roles.resolve(list(gathered.columns.values()), lambda row: keys[row])
    uses += [
        source_lib.Use(label, (name,), "ignored", reason)
        for name, reason in gathered.ignored.items()
    ]
    digest.update("\n".join(keys).encode())
    for line in resolved.digest_lines():
        digest.update(line)

    named = []
    for path, begin, end in zip(relative, [0, *ends], ends, strict=False):
        named += [splits_lib.of_path(path)] * (end - begin)
    splits, more = splits_lib.assign(
        request.config,
        keys,
        named,
        resolved.partition,
        resolved.fields.get("identity"),
    )
    places = np.frombuffer(gathered.places, np.int64).reshape(-1, 2)

    def pictures(positions: np.ndarray) -> Iterator[images.Picture]:
        for number, path in enumerate(paths):
            begin = ends[number - 1] if number else 0
            inside = positions[(positions >= begin) & (positions < ends[number])]
            if len(inside):
                try:
                    at = places[inside] if len(places) else places
                    yield from form.pictures(path, inside - begin, at)
                except form.failures as error:
                    raise _damaged(form, path, error) from error

    return annotated.make_source(
        name=request.name,
        version="1.0.0",
        digest=digest.hexdigest(),
        keys=keys,
        splits=splits,
        resolved=resolved,
        pictures=pictures,
        uses=uses,
        warnings=[*warnings, *more],
    )


def _damaged(form: Form, path: str, error: Exception) -> files.UserError:
    reason = " ".join(str(error).split())[:200]
    return files.UserError(
        f"Expected a readable {form.text} in {path}, it is damaged or cut off "
        f"({reason}); fetch it again."
    )


def _refuse_mixed(form: Form, tree: trees.Tree, paths: list[str]) -> None:
    loose = [path for path in tree.sizes if layouts.is_image(path)]
    if loose:
        raise files.UserError(
            f"Expected images in one layout in {tree.root}, received {len(paths)} "
            f"files *{form.suffix} and {len(loose)} images ({loose[0]}); give the "
            "folder or file of one of them as --source."
        )


def _keys(
    gathered: _Gathered, label: str, relative: list[str], ends: list[int]
) -> tuple[list[str], list[source_lib.Use]]:
    """Return unique names: those of the rows, or file and row."""
    keys = gathered.keys
    fits = all(0 < len(key) <= _MAX_KEY and key.isprintable() for key in keys)
    if fits and len(set(keys)) == len(keys):
        return keys, [source_lib.Use(label, ("name of the image",), "key")]
    numbered, begin = [], 0
    for path, end in zip(relative, ends, strict=True):
        stem = posixpath.splitext(path)[0]
        numbered += [f"{stem}_{row:07d}" for row in range(end - begin)]
        begin = end
    reason = "it isn't each image's own" if any(keys) else "there is none"
    uses = [source_lib.Use(label, ("name of the image",), "ignored", reason)]
    return numbered, uses
