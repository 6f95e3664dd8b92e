"""What happens at the n-th change of the file system, within the process.

A change is what Python does to names and files under a folder: opening to write,
renaming, removing, making folders, syncing. In place of the n-th, and of each after it,
something else happens: the process counts as killed, or the machine refuses.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from unittest import mock

from pipelines import files

NEVER = sys.maxsize
# Those that need room, and those that don't.
_GROWING = {"open", "os.mkdir", "os.truncate", "sync"}
_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# Takes an event's name and its path, and may raise.
Act = Callable[[str, str], None]


class Killed(BaseException):
    """Stands for SIGKILL."""


def kill(event: str, path: str) -> None:
    """Count as killed: what unwinds can't change anything any more."""
    raise Killed


def refuse(number: int) -> Act:
    """Refuse changes as the system does, with a number of `errno`."""
    needs_room = number in (errno.ENOSPC, errno.EDQUOT)

    def act(event, path):
        if event in _GROWING or not needs_room:
            raise OSError(number, os.strerror(number), path)

    return act


def once(function: Callable[[], None]) -> Act:
    """Call a function at the first change that isn't made, and go on."""
    called = []

    def act(event, path):
        if not called:
            called.append(True)
            function()

    return act


class Changes:
    """Counts changes under a folder, and acts from one on.

    Args:
        root: The folder.
        number: Change, from 1, in place of or before which something happens.
        act: What.

    Attributes:
        count: Changes so far, those that weren't made included.
    """

    def __init__(self, root: str, number: int, act: Act):
        self.root = os.path.realpath(root)
        self.number = number
        self.act = act
        self.count = 0
        self._acts = False

    @property
    def reached(self) -> bool:
        """Whether something has happened."""
        return self.count >= self.number

    def take(self, event: str, path) -> None:
        """Count a change of a path, if it is under the folder."""
        if self._acts or not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.path.realpath(os.fsdecode(path))
        if not path.startswith(self.root):
            return
        self.count += 1
        if self.reached:
            self._acts = True
            try:
                self.act(event, path)
            finally:
                self._acts = False


_current: list[Changes] = []


def _hook(event: str, arguments: tuple) -> None:
    if not _current:
        return
    if event in _EVENTS or (event == "open" and arguments[2] & _WRITES):
        _current[-1].take(event, _path(event, *arguments[:2]))


def _path(event: str, path, folder):
    """Return where a change is: what is removed may be named within an open folder."""
    if event in ("os.remove", "os.rmdir") and folder >= 0:
        return os.path.join(f"/proc/self/fd/{folder}", os.fsdecode(path))
    return path


@contextlib.contextmanager
def at(number: int, root: str, act: Act = kill) -> Iterator[Changes]:
    """Act from a change under `root` on; `Killed` ends here."""
    if not _hooked:
        sys.addaudithook(_hook)  # It can't be taken back, only be told nothing.
        _hooked.append(True)
    changes = Changes(root, number, act)
    sync, swap = files.sync, files._swap

    def syncing(path):
        changes.take("sync", path)
        sync(path)

    def swapping(first, second):
        changes.take("os.rename", second)
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
