"""Kills at the n-th change of the file system, within the process.

A change is what Python does to names and files under a folder: opening to write,
renaming, removing, making folders, syncing. At the n-th, and at each after it, `Killed`
is raised in its place: what unwinds can't change anything any more, as after SIGKILL.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from unittest import mock

from pipelines import files

NEVER = sys.maxsize
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """Stands for SIGKILL."""


class Changes:
    """Counts changes under a folder, and kills at one.

    Args:
        root: The folder.
        number: Change, from 1, in place of which the process is killed.

    Attributes:
        count: Changes so far, those that weren't made included.
    """

    def __init__(self, root: str, number: int):
        self.root = os.path.realpath(root)
        self.number = number
        self.count = 0

    @property
    def killed(self) -> bool:
        """Whether the process counts as killed."""
        return self.count >= self.number

    def take(self, path) -> None:
        """Count a change of a path, if it is under the folder."""
        if isinstance(path, (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(path))
            if path.startswith(self.root):
                self.count += 1
                if self.killed:
                    raise Killed


_current: list[Changes] = []


def _hook(event: str, arguments: tuple) -> None:
    if not _current:
        return
    if event in _EVENTS or (event == "open" and arguments[2] & _WRITES):
        _current[-1].take(arguments[0])


@contextlib.contextmanager
def at(number: int, root: str) -> Iterator[Changes]:
    """Kill what runs inside at a change under `root`; `Killed` ends here."""
    if not _hooked:
        sys.addaudithook(_hook)  # It can't be taken back, only be told nothing.
        _hooked.append(True)
    changes = Changes(root, number)
    sync, swap = files.sync, files._swap

    def syncing(path):
        changes.take(path)
        sync(path)

    def swapping(first, second):
        changes.take(second)
        return swap(first, second)

    _current.append(changes)
    try:
        with (
            mock.patch.object(files, "sync", syncing),
            mock.patch.object(files, "_swap", swapping),
            contextlib.suppress(Killed),
        ):
            yield changes
    finally:
        _current.remove(changes)


_hooked: list[bool] = []
