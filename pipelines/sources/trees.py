"""Folders and zip archives of files, read alike.

Both list their regular files by relative path with `/`, hidden ones left out, and the
names of the folders on these paths.
"""

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol

import attrs

from pipelines import files, trust
from pipelines.sources import archives

# More than any image of a face needs; several are in memory at a time.
MAX_PICTURE_BYTES = 1 << 26


# What systems leave beside files, in lower case.
_LEFT_BEHIND = ("__macosx", "thumbs.db", "desktop.ini")


def is_hidden(name: str) -> bool:
    """Say whether a path is of a hidden file (`._x`), or one that systems leave."""
    parts = name.lower().split("/")
    return any(part.startswith(".") or part in _LEFT_BEHIND for part in parts)


def folder_names(paths: Iterable[str]) -> frozenset[str]:
    """Return the names of all folders that some paths lead through."""
    folders = {path.rpartition("/")[0] for path in paths}
    return frozenset(part for folder in folders for part in folder.split("/"))


class Tree(Protocol):
    """Files that are listed and read by name, wherever they lie."""

    @property
    def root(self) -> str:
        """Where they lie, for messages."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Name of each file to its size in bytes."""

    @property
    def folders(self) -> frozenset[str]:
        """Names of the folders that files lie in."""

    def fingerprint(self, name: str) -> str:
        """Return what the source digest covers of a picture."""

    def pictures(self, names: Iterable[str]) -> Iterator[str] | Iterator[bytes]:
        """Return the paths or the bytes of pictures."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""


@attrs.frozen
class Folder:
    """A folder on the local file system."""

    root: str
    sizes: dict[str, int] = attrs.field(init=False)
    folders: frozenset[str] = attrs.field(init=False)

    @folders.default
    def _name_folders(self) -> frozenset[str]:
        return folder_names(self.sizes)

    @sizes.default
    def _list(self) -> dict[str, int]:
        sizes = {}
        seen = set()
        walk = os.walk(self.root, onerror=_refuse, followlinks=True)
        for folder, inner_folders, names in walk:
            if os.path.realpath(folder) in seen:  # A link back up, or a second one.
                inner_folders.clear()
                continue
            seen.add(os.path.realpath(folder))
            inner = os.path.relpath(folder, self.root).replace(os.sep, "/")
            for name in names:
                path = posixpath.normpath(posixpath.join(inner, name))
                if not is_hidden(path):
                    sizes[_checked(path)] = _size(os.path.join(folder, name))
        return dict(sorted(sizes.items()))

    def fingerprint(self, name: str) -> str:
        """Return what the source digest covers of a picture: its size in bytes."""
        return str(self.sizes[name])

    def picture(self, name: str) -> str:
        """Return the path of a picture, for a worker to open."""
        return os.path.join(self.root, *name.split("/"))

    def pictures(self, names: Iterable[str]) -> Iterator[str]:
        """Return the paths of pictures."""
        return map(self.picture, names)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; raises those of `archives.UNREADABLE`."""
        return trust.open_regular(self.picture(name))


def _refuse(error: OSError) -> None:
    raise files.UserError(
        f"Expected a readable folder, received {error.filename} ({error.strerror}); "
        "mend its permissions."
    )


def _checked(path: str) -> str:
    """Return a path that can be a key; names in other encodings than UTF-8 can't."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="surrogateescape").decode(errors="replace")
        raise files.UserError(
            f"Expected names of files in UTF-8, received {shown!r}; rename it."
        ) from error
    return path


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # A dangling link: opening it names it as a bad image.
        return 0


@attrs.frozen
class Archive:
    """A zip archive, read in place; nothing is ever extracted."""

    root: str
    _file: archives.ZipFile = attrs.field(init=False)
    sizes: dict[str, int] = attrs.field(init=False)
    folders: frozenset[str] = attrs.field(init=False)

    @folders.default
    def _name_folders(self) -> frozenset[str]:
        return folder_names(self.sizes)

    @_file.default
    def _open_file(self) -> archives.ZipFile:
        try:
            return archives.open_zip(self.root)
        except archives.UNREADABLE as error:
            raise files.UserError(
                f"Expected a readable zip archive, received {self.root} ({error}); "
                "fetch it again."
            ) from error

    @sizes.default
    def _list(self) -> dict[str, int]:
        sizes = {}
        for member in self._file.infolist():
            name = member.filename
            if escapes(name):
                raise files.UserError(
                    "Expected a zip archive of plain files inside its own folder, "
                    f"received {self.root} with the member {name!r}; it is unsafe, so "
                    "pack the archive again without it."
                )
            if member.is_dir() or is_hidden(name):
                continue
            if fault := archives.fault_of(member):
                raise files.UserError(
                    f"Expected a zip archive whose members are stored or deflated, "
                    f"received {self.root} with {name!r}, {fault}; pack it again."
                )
            if name in sizes:
                raise files.UserError(
                    f"Expected every name once, received {self.root} with two members "
                    f"{name!r}; pack the archive again."
                )
            sizes[name] = member.file_size
        return dict(sorted(sizes.items()))

    def fingerprint(self, name: str) -> str:
        """Return what the source digest covers of a picture: size and CRC-32."""
        return f"{self.sizes[name]}:{self._file.getinfo(name).CRC:08x}"

    def picture(self, name: str) -> bytes:
        """Return the bytes of a picture; none if it is damaged or far too large."""
        if self.sizes[name] > MAX_PICTURE_BYTES:
            return b""
        try:
            return self._file.read(name)
        except archives.UNREADABLE:
            return b""

    def pictures(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield the bytes of pictures."""
        return map(self.picture, names)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; raises those of `archives.UNREADABLE`."""
        return archives.open_member(self._file, name)


def escapes(name: str) -> bool:
    """Say whether a member's name leads out of its archive."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or not parts[0] or parts[0].endswith(":") or "\\" in name


def open_tree(path: str) -> Folder | Archive:
    """Open a folder or a zip archive.

    Raises:
        UserError: The path is missing or no folder and no zip archive; a zip
            archive has members outside of its folder, or two of one name.
    """
    if os.path.isdir(path):
        return Folder(path)
    if os.path.isfile(path):
        if closed := archives.closed(path):
            raise files.UserError(
                f"Expected a folder or a zip archive as --source, received {path}, "
                f"{closed}."
            )
        return Archive(path)
    raise files.UserError(
        f"Expected a folder or a zip archive of images, found nothing at {path}; mend "
        "--source."
    )
