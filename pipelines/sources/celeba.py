"""CelebA as it is distributed: aligned images and annotation files beside them.

Every image file inside a folder `img_align_celeba` is one example, its key the
plain file name. The annotation files are found by name anywhere in the tree (the
root, `Anno/`, `Eval/`) and each is used when present:

    list_eval_partition.txt          name 0|1|2 (train, validation, test)
    identity_CelebA.txt              name person
    list_attr_celeba.txt             count; 40 names; then: name and 40 times -1|1
    list_landmarks_align_celeba.txt  count; 10 names; then: name and 10 coordinates
"""

import hashlib
import io
import os
import posixpath
import re
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from pipelines import files
from pipelines.convert import images
from pipelines.convert import source as source_lib
from pipelines.sources import archives, trees
from pipelines.sources import request as request_lib

FOLDER = "img_align_celeba"
PARTITION_FILE = "list_eval_partition.txt"
IDENTITY_FILE = "identity_CelebA.txt"
ATTRIBUTES_FILE = "list_attr_celeba.txt"
LANDMARKS_FILE = "list_landmarks_align_celeba.txt"

# CelebA's have at most 0.5 KB in a line and 40 columns.
_MAX_LINE_BYTES = 1 << 14
_MAX_COLUMNS = 256
_COUNT = re.compile(r"[0-9]{1,12}")
_LIMITS = np.iinfo(np.int32)


@attrs.frozen
class Table:
    """One annotation file, its rows in the order of the images.

    Attributes:
        columns: Names from the file's header, empty where it has none.
        values: int32 [num_images, num_columns].
        sha256: Hexadecimal digest of the file's content.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    sha256: str


def _lines(file: io.BufferedIOBase, digest, path: str) -> Iterator[tuple[int, list]]:
    """Yield (line number, words) of the lines that hold any, hashing all of them."""
    lines = iter(lambda: file.readline(_MAX_LINE_BYTES), b"")
    for number, line in enumerate(lines, 1):
        digest.update(line)
        if len(line) == _MAX_LINE_BYTES:
            raise files.UserError(
                f"Expected lines of less than {_MAX_LINE_BYTES:,} bytes in {path}, "
                f"received more in line {number}; fetch the file again."
            )
        try:
            words = line.decode("utf-8-sig").split()
        except UnicodeDecodeError as error:
            raise files.UserError(
                f"Expected text in {path}, received bytes that are none in line "
                f"{number}; fetch the file again."
            ) from error
        if words:
            yield number, words


def _header(lines: Iterator[tuple[int, list]], path: str) -> tuple[int, tuple]:
    count = next(lines, (1, []))[1]
    columns = next(lines, (2, []))[1]
    if len(count) != 1 or not _COUNT.fullmatch(count[0]) or not columns:
        raise files.UserError(
            f"Expected the number of rows and then the column names at the head of "
            f"{path}, received {' '.join(count)[:60]!r}; fetch the file again."
        )
    if len(set(columns)) < len(columns) or len(columns) > _MAX_COLUMNS:
        raise files.UserError(
            f"Expected at most {_MAX_COLUMNS} different names of columns in {path}, "
            f"received {len(columns)}, {len(set(columns))} different; fetch the file "
            "again."
        )
    return int(count[0]), tuple(columns)


def _integers(words: Sequence[str], num: int, path: str, number: int) -> list[int]:
    try:
        values = [int(word) for word in words]
        small = all(_LIMITS.min <= value <= _LIMITS.max for value in values)
        if len(words) == num and small:
            return values
    except ValueError:
        pass
    raise files.UserError(
        f"Expected {num} integer{'s' * (num > 1)} after the image's name in line "
        f"{number} of {path}, received {' '.join(words)[:60]!r}; fetch the file again."
    )


def read_table(
    tree: trees.Tree, path: str, rows: dict[str, int], header: bool, strict: bool
) -> Table:
    """Read one annotation file line by line.

    Args:
        tree: Where the file lies.
        path: Its path there.
        rows: Image name to row of the result; each must be in the file.
        header: Whether a count and column names stand above the rows; without
            them there is one column.
        strict: Whether rows of images that are not in `rows` are an error.

    Raises:
        UserError: A malformed, duplicate or missing row.
    """
    digest = hashlib.sha256()
    seen = np.zeros(len(rows), bool)
    with tree.open(path) as file:
        lines = _lines(file, digest, path)
        count, columns = _header(lines, path) if header else (None, ())
        values = np.zeros((len(rows), len(columns) or 1), np.int32)
        num_rows = 0
        for number, (name, *words) in lines:
            num_rows += 1
            row = rows.get(name)
            if row is not None:
                _check_new(seen[row], name, path, number)
                seen[row] = True
                values[row] = _integers(words, values.shape[1], path, number)
            elif strict:
                raise files.UserError(
                    f"Expected only images that exist in {path}, received "
                    f"{name[:80]!r} in line {number}, which is not in {FOLDER}; add "
                    "the image or remove the line."
                )
    if count not in (None, num_rows):
        raise files.UserError(
            f"Expected {count} rows in {path} as its first line says, received "
            f"{num_rows}; fetch the file again."
        )
    if not seen.all():
        missing = next(name for name, row in rows.items() if not seen[row])
        raise files.UserError(
            f"Expected every image in {path}, {np.sum(~seen)} are missing, first "
            f"{missing!r}; complete the file, or remove it to convert without it."
        )
    return Table(columns, values, digest.hexdigest())


def _check_new(seen: bool, name: str, path: str, number: int) -> None:
    if seen:
        raise files.UserError(
            f"Expected every name once in {path}, received {name[:80]!r} again in line "
            f"{number}; remove one of the lines."
        )


def _check_values(table: Table, path: str, allowed: Sequence[int]) -> None:
    wrong = table.values[~np.isin(table.values, allowed)]
    if wrong.size:
        raise files.UserError(
            f"Expected only the values {', '.join(map(str, allowed))} in {path}, "
            f"received {wrong[0]}; fetch the file again."
        )


def find_images(tree: trees.Tree) -> dict[str, str]:
    """Map the name of each image to its path in the tree, sorted by name.

    Raises:
        UserError: Two images share a name.
    """
    paths = {}
    for path in tree.sizes:
        *folders, name = path.split("/")
        if FOLDER in folders and name.lower().endswith(images.SUFFIXES):
            if name in paths:
                raise files.UserError(
                    f"Expected every name once in {FOLDER}, received both "
                    f"{paths[name]!r} and {path!r}; remove one of them."
                )
            paths[name] = path
    return dict(sorted(paths.items()))


def _find_tables(tree: trees.Tree) -> dict[str, str]:
    """Map the name of each annotation file that is there to its path."""
    paths = {}
    names = (PARTITION_FILE, IDENTITY_FILE, ATTRIBUTES_FILE, LANDMARKS_FILE)
    for path in tree.sizes:
        name = posixpath.basename(path)
        if name in names:
            if name in paths:
                raise files.UserError(
                    f"Expected one {name}, received both {paths[name]!r} and "
                    f"{path!r}; remove one of them."
                )
            paths[name] = path
    return paths


def _read_tables(tree: trees.Tree, rows: dict[str, int]) -> dict[str, Table]:
    paths = _find_tables(tree)
    tables = {}
    for name, path in paths.items():
        header = name in (ATTRIBUTES_FILE, LANDMARKS_FILE)
        strict = name == PARTITION_FILE
        try:
            tables[name] = read_table(tree, path, rows, header, strict)
        except archives.UNREADABLE as error:
            raise files.UserError(
                f"Expected a readable file {path}, it can't be read ({error}); fetch "
                "it again."
            ) from error
    if PARTITION_FILE in tables:
        _check_values(tables[PARTITION_FILE], paths[PARTITION_FILE], (0, 1, 2))
    if ATTRIBUTES_FILE in tables:
        _check_values(tables[ATTRIBUTES_FILE], paths[ATTRIBUTES_FILE], (-1, 1))
    return tables


def _digest(tree: trees.Tree, paths: dict, tables: dict[str, Table]) -> str:
    digest = hashlib.sha256()
    for name, path in paths.items():
        digest.update(f"{name}\t{tree.fingerprint(path)}\n".encode())
    for name in sorted(tables):
        digest.update(f"{name}\t{tables[name].sha256}\n".encode())
    return digest.hexdigest()


def find_pictures(tree: trees.Tree) -> trees.Tree | None:
    """Return the tree that holds the images: itself or its `img_align_celeba.zip`."""
    if find_images(tree):
        return tree
    if isinstance(tree, trees.Folder):
        for path in tree.sizes:
            if posixpath.basename(path) == f"{FOLDER}.zip":
                return trees.Archive(tree.picture(path))
    return None


def recognises(request: request_lib.Request) -> bool:
    """Say whether there is a tree with CelebA's images."""
    return os.path.exists(request.source) and bool(find_pictures(request.tree))


def open_celeba(request: request_lib.Request) -> source_lib.Source:
    """Open a CelebA tree.

    Its digest covers the images' names and sizes (in a zip their checksums too)
    and the content of the annotation files. Where there is no partition file, images
    are split by a hash.

    Raises:
        UserError: Duplicate names, or annotation files that don't match the images.
    """
    tree, config = request.tree, request.config
    pictures = find_pictures(tree)
    paths = find_images(pictures)
    names = list(paths)
    tables = _read_tables(tree, {name: row for row, name in enumerate(names)})
    columns = {
        field: tables[file].values
        for field, file in (
            ("attributes", ATTRIBUTES_FILE),
            ("landmarks", LANDMARKS_FILE),
            ("identity", IDENTITY_FILE),
        )
        if file in tables
    }
    if "attributes" in columns:
        columns["attributes"] = (columns["attributes"] > 0).astype(np.int8)

    def read(_: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        for row in positions.tolist():
            annotations = {field: v[row].tolist() for field, v in columns.items()}
            picture = pictures.picture(paths[names[row]])
            yield source_lib.Stored(names[row], picture, annotations)

    if PARTITION_FILE in tables:
        splits = source_lib.partition_splits(tables[PARTITION_FILE].values[:, 0])
    else:
        splits = source_lib.hash_splits(names, config.split_ratios, config.seed)
    headers = {name: table.columns for name, table in tables.items()}
    return source_lib.Source(
        name="celeb_a",
        version="2.1.0",
        digest=_digest(pictures, paths, tables),
        splits=splits,
        read=read,
        attributes=headers.get(ATTRIBUTES_FILE, ()),
        landmarks=headers.get(LANDMARKS_FILE, ()),
        identity="identity" in columns,
    )
