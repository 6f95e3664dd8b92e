"""Tars of images and their annotations, as WebDataset writes them: streams of members.

Members that follow one another and share the path up to the first dot of their name are
one example: its image (`.jpg`, `.png`, ...), and `.json` (an object of columns), `.cls`
or `.txt` (a value). Nothing is unpacked (github.com/webdataset/webdataset).
"""

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import attrs
import numpy as np

from pipelines import documents, files, trust
from pipelines.converting import images
from pipelines.sources import rows, trees

_AT_ONCE = 1 << 10
_BLOCK = 512
# Of what is held whole: the headers of long names, and annotations.
_MAX_HELD = 1 << 20
_MAX_PICTURE = 1 << 26


class _Limited(io.RawIOBase):
    """A file of which little is read at once, whatever a header says."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HELD:
            raise OSError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Say whether a member is a file whose bytes stand in the archive as they are."""
    return member.isreg() and not member.issparse()


@attrs.define
class _Example:
    """What has been read of one example.

    Attributes:
        stem: What its members share.
        image: Path of its image; empty: none yet.
        place: Where the image begins in the file and its length, in bytes.
        values: Its annotations.
        ignored: Ends of members that aren't read, and why.
    """

    stem: str
    image: str = ""
    place: tuple[int, int] = (0, 0)
    values: dict = attrs.field(factory=dict)
    ignored: dict = attrs.field(factory=dict)


def _members(path: str) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Yield the regular files of a tar, each with the file to read its content from.

    Raises:
        ValueError: It is cut off or damaged.
        UserError: It has members that may lead out of it.
    """
    try:
        with (
            trust.open_regular(path) as file,
            tarfile.open(fileobj=_Limited(file), mode="r:") as archive,
        ):
            while member := archive.next():
                # Else all of them stay in memory.
                archive.members.clear()  # type: ignore[attr-defined]  # No public name.
                name = member.name.removeprefix("./")
                if member.isdir():
                    continue
                if not _is_plain(member) or trees.escapes(name):
                    raise files.UserError(
                        "Expected a tar of plain files inside its own folder, received "
                        f"{path} with the member {member.name[:200]!r}; it is unsafe, "
                        "so pack the archive again without it."
                    )
                if not trees.is_hidden(name):
                    yield member, file
            file.seek(archive.offset)
            # Reading ends silently at a damaged header, too.
            if file.read(_BLOCK) != bytes(_BLOCK):
                raise ValueError("it has no end")
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error


def _examples(path: str) -> Iterator[_Example]:
    """Yield each example, with an image or not."""
    example = _Example("")
    for member, file in _members(path):
        name = member.name.removeprefix("./")
        folder, _, bare = name.rpartition("/")
        stem, _, end = bare.partition(".")
        stem = f"{folder}/{stem}" if folder else stem
        if stem != example.stem:
            if example.stem:
                yield example
            example = _Example(stem)
        end = end.lower()
        if f".{end}" in images.SUFFIXES:
            if example.image:
                raise ValueError(f"{name[:80]!r} is a second image of {stem[:80]!r}")
            example.image, example.place = name, (member.offset_data, member.size)
        elif end in ("json", "cls", "txt"):
            example.values |= _values(end, member, file)
        else:
            example.ignored[end] = "members of this end aren't read"
    if example.stem:
        yield example


def _values(end: str, member: tarfile.TarInfo, file: BinaryIO) -> dict:
    """Return the annotations in a member."""
    if member.size > _MAX_HELD:
        raise ValueError(f"{member.name[:80]!r} has {member.size:,} bytes")
    file.seek(member.offset_data)
    data = file.read(member.size)
    if end == "json":
        values = documents.parse(data)
        if not isinstance(values, dict):
            raise ValueError(f"{member.name[:80]!r} holds no object")
        return values
    return {end: data.decode().strip()}


def chunks(path: str) -> Iterator[rows.Chunk]:
    """Yield all examples of a tar, without their images."""
    pending: list[_Example] = []
    for example in _examples(path):
        pending.append(example)
        if len(pending) == _AT_ONCE:
            yield _chunk(pending)
            pending = []
    if pending:
        yield _chunk(pending)


def _chunk(examples: list[_Example]) -> rows.Chunk:
    columns, ignored = {}, {}
    for example in examples:
        if not example.image:
            ignored["members without an image"] = f"such as those of {example.stem!r}"
        ignored |= example.ignored
    examples = [example for example in examples if example.image]
    names = dict.fromkeys(name for example in examples for name in example.values)
    for name in names:
        values = [example.values.get(name) for example in examples]
        if any(isinstance(value, list | dict) for value in values):
            ignored[name] = "it holds lists or objects"
        else:
            columns[name] = values
    keys = [example.image for example in examples]
    places = [example.place for example in examples]
    return rows.Chunk(keys, columns, ignored=ignored, places=places)


def pictures(path: str, _: np.ndarray, places: np.ndarray) -> Iterator[images.Picture]:
    """Yield the encoded images at some places, (begin, length) in bytes."""
    with trust.open_regular(path) as file:
        for begin, length in places.tolist():
            file.seek(begin)
            yield file.read(length) if length <= _MAX_PICTURE else b""


FORM = rows.Form(".tar", "tar", chunks, pictures, (MemoryError, RecursionError))
