"""FFHQ's `ffhq-dataset-v2.json`: an object an image, of which some facts are kept.

    {"0": {"category": "training",
           "image": {"file_path": "images1024x1024/00000/00000.png",
                     "pixel_size": [1024, 1024], "face_landmarks": [[x, y], ...]},
           "thumbnail": {"file_path": "thumbnails128x128/00000/00000.png",
                         "pixel_size": [128, 128]},
           "in_the_wild": {"file_path": "in-the-wild-images/00000/00000.png",
                           "face_rect": [left, top, right, bottom],
                           "face_landmarks": [[x, y], ...]}}, ...}

(github.com/NVlabs/ffhq-dataset). The file has 255 MB: it is read an image at a time.
"""

import io
import json
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from pipelines import documents, files
from pipelines.converting import source as source_lib
from pipelines.sources import archives, columns, placing, roles, trees

FILE = "ffhq-dataset-v2.json"
# The pictures' place in an entry, by the folder they lie in.
_WILD = "in_the_wild"
_PLACES = {
    "images1024x1024": "image",
    "thumbnails128x128": "thumbnail",
    "in-the-wild-images": _WILD,
}
# Of the 68 landmarks of dlib: the eyes' means, the nose's tip, the mouth's corners.
_POINTS = ((36, 42), (42, 48), (30, 31), (48, 49), (54, 55))

_MAX_ENTRY = 1 << 16
_AT_ONCE = 1 << 12
_MALFORMED = (LookupError, TypeError, ArithmeticError, RecursionError)


def read(
    tree: trees.Tree, path: str, names: placing.Names, folder: str
) -> placing.Table:
    """Read the splits and the five points of the images, in the wild their boxes too.

    Args:
        tree: Where the file lies.
        path: Its path there.
        names: The images.
        folder: The folder of the images, of `_PLACES`.

    Raises:
        UserError: It is damaged, or lacks images.
    """
    found = [columns.Column(path, "category", "split")]
    found += [columns.Column(path, name, "landmarks") for name in source_lib.LANDMARKS]
    if _PLACES[folder] == _WILD:
        found += [columns.Column(path, name, "box") for name in roles.BOX]
    placed = placing.Placed(names, path)
    rows = []
    try:
        with tree.open(path) as file:
            entries = (_facts(entry, _PLACES[folder]) for entry in _entries(file))
            for name, row in entries:
                if placed.add(name):
                    rows.append(row)
                if len(rows) == _AT_ONCE:
                    _extend(found, rows)
    except (*archives.UNREADABLE, *_MALFORMED) as error:
        reason = " ".join(str(error).split())[:80]
        raise files.UserError(
            f"Expected the list of FFHQ in {path}, it is damaged ({reason}); fetch it "
            "again, or remove it to convert without it."
        ) from error
    _extend(found, rows)
    return placed.table(found, tree)


def _extend(found: list[columns.Column], rows: list[list]) -> None:
    """Move some rows to the columns."""
    for place, column in enumerate(found):
        column.extend([row[place] for row in rows])
    rows.clear()


def _facts(entry: dict, place: str) -> tuple[str, list]:
    """Return an image's path and its values in the columns."""
    picture, whole = entry[place], entry[_WILD if place == _WILD else "image"]
    points = np.array(whole["face_landmarks"], np.float64)
    if points.shape != (68, 2) or not np.abs(points).max() < 1e6:
        raise ValueError("no 68 landmarks of two coordinates")
    # A thumbnail has its landmarks in the image's pixels.
    scale = 1.0
    if place == "thumbnail":
        scale = picture["pixel_size"][0] / whole["pixel_size"][0]
    five = np.stack([points[begin:end].mean(0) for begin, end in _POINTS]) * scale
    values = np.rint(five).astype(int).ravel().tolist()
    if place == _WILD:
        left, top, right, bottom = picture["face_rect"]
        box = (left, top, right - left, bottom - top)
        values += [round(float(value)) for value in box]
    return documents.build(str, picture["file_path"]), [entry["category"], *values]


def _entries(file: BinaryIO) -> Iterator[dict]:
    """Yield the values of the outermost object, an entry in memory at a time."""
    decoder = json.JSONDecoder()
    text = io.TextIOWrapper(file, encoding="utf-8-sig")
    buffer = text.read(_MAX_ENTRY)
    buffer = _after(buffer.lstrip(), "{")
    while not buffer.startswith("}"):
        if len(buffer) < _MAX_ENTRY:
            buffer += text.read(4 * _MAX_ENTRY)
        key, end = decoder.raw_decode(buffer)
        documents.build(str, key, "a key")
        buffer = _after(buffer[end:].lstrip(), ":")
        value, end = decoder.raw_decode(buffer)
        yield documents.build(dict, value, f"{key[:40]!r}")
        buffer = buffer[end:].lstrip()
        if buffer.startswith(","):
            buffer = buffer[1:].lstrip()


def _after(buffer: str, mark: str) -> str:
    if not buffer.startswith(mark):
        raise ValueError(f"no {mark} where one should be")
    return buffer[1:].lstrip()
