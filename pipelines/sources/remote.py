"""A folder of images on one of TensorFlow's file systems, such as `gs://`.

Each file is a request over a network, so several are asked for at a time: the sizes of
all of them when the folder is opened, and some pictures ahead of the one that is
converted. Nothing is copied to this machine.
"""

import collections
import io
import itertools
import posixpath
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import BinaryIO

import attrs

from pipelines import failures, files
from pipelines.sources import trees

# Requests at a time, and pictures asked for ahead.
_AT_ONCE, _AHEAD = 32, 64


@attrs.frozen
class Remote:
    """A remote folder, as `trees.Folder` is a local one."""

    root: str
    sizes: dict[str, int] = attrs.field(init=False)
    folders: frozenset[str] = attrs.field(init=False)

    @sizes.default
    def _list(self) -> dict[str, int]:
        from tensorflow.io import gfile

        def listed() -> list[str]:
            walk = gfile.walk(self.root, onerror=_raise)
            return [
                posixpath.join(folder, name)
                for folder, _, names in walk
                for name in names
            ]

        paths = _asked(self.root, listed)
        begin = len(self.root.rstrip("/")) + 1
        names = [path[begin:] for path in paths]
        kept = sorted(name for name in names if not trees.is_hidden(name))
        return dict(zip(kept, _in_order(self._size, kept, len(kept)), strict=True))

    @folders.default
    def _name_folders(self) -> frozenset[str]:
        return trees.folder_names(self.sizes)

    def _path(self, name: str) -> str:
        return posixpath.join(self.root, name)

    def _size(self, name: str) -> int:
        from tensorflow.io import gfile

        path = self._path(name)
        return _asked(path, lambda: gfile.stat(path).length)

    def _read(self, name: str) -> bytes:
        from tensorflow.io import gfile

        def content() -> bytes:
            with gfile.GFile(self._path(name), "rb") as file:
                return file.read()

        return _asked(self._path(name), content)

    def fingerprint(self, name: str) -> str:
        """Return what the source digest covers of a picture: its size in bytes."""
        return str(self.sizes[name])

    def pictures(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield the bytes of pictures; none of those that are far too large."""
        return _in_order(self._picture, names, _AHEAD)

    def _picture(self, name: str) -> bytes:
        too_large = self.sizes[name] > trees.MAX_PICTURE_BYTES
        return b"" if too_large else self._read(name)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading, all of which is fetched."""
        return io.BytesIO(self._read(name))


def is_folder(path: str) -> bool:
    """Say whether there is such a folder."""
    from tensorflow.io import gfile

    return _asked(path, lambda: gfile.isdir(path))


def _raise(error: Exception) -> None:
    raise error


def _asked(path: str, ask: Callable):
    """Return what a file system answers.

    Raises:
        UserError: It doesn't.
    """
    try:
        return ask()
    except Exception as error:
        if not failures.is_tensorflows(error):
            raise
        reason = " ".join(error.message.split())[:200]
        raise files.UserError(
            f"Expected to read {path}, its file system refused ({reason}). Mend "
            "--source or the rights to it, or run the same command again: it goes on."
        ) from error


def _in_order(ask: Callable, names: Iterable[str], ahead: int) -> Iterator:
    """Yield what is answered for each name, asked for while those before are used."""
    names = iter(names)
    with futures.ThreadPoolExecutor(_AT_ONCE) as threads:
        asked = collections.deque(
            threads.submit(ask, name) for name in itertools.islice(names, ahead)
        )
        try:
            while asked:
                answer = asked.popleft().result()
                asked.extend(threads.submit(ask, n) for n in itertools.islice(names, 1))
                yield answer
        finally:
            for each in asked:
                each.cancel()
