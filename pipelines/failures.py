"""What a machine refuses: no room, no right, a folder that is gone; in one sentence.

Python raises an `OSError` with the system's number, TensorFlow an `OpError` with
`PATH; REASON`, the system's text for that number. Both are known here by the number, so
that a mistake in the package is never taken for a failure of the machine.

Nothing but Python's standard library is imported.
"""

import dataclasses
import errno
import os
import re
import shutil
import sys
from typing import TypeGuard

# What was found, and what to do about it.
_ROOM = "Make room"
_GONE = ("its file system is gone", "Bring it back")
_FORBIDDEN = ("this user may not", "Change its rights")
_UNABLE = ("its file system can't", "Mount another one")
_TOO_MANY = ("too many files are open", "Raise the limit (ulimit -n)")
_KINDS = {
    errno.ENOSPC: ("there is no room", _ROOM),
    errno.EDQUOT: ("this user's quota is used up", _ROOM),
    errno.EFBIG: ("its file would be too large", "Raise the limit (ulimit -f)"),
    errno.EROFS: ("its file system takes no changes", "Mount it for writing"),
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENOENT: ("it, or its folder, isn't there", "Bring it back"),
    errno.ENOTDIR: ("a part of its path is no folder", "Mend the path"),
    errno.EISDIR: ("it is a folder", "Mend the path"),
    errno.EEXIST: ("something else has its name", "Mend the path"),
    errno.ENAMETOOLONG: ("its name is too long", "Shorten it"),
    errno.ELOOP: ("its links lead in a circle", "Mend the path"),
    errno.EBUSY: ("it is in use", "Wait for its end"),
    errno.EIO: ("its disk failed", "Look after the disk"),
    errno.ESTALE: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.ENOTCONN: _GONE,
    errno.EREMOTEIO: _GONE,
    errno.EHOSTDOWN: _GONE,
    errno.ENOLCK: _UNABLE,
    errno.EOPNOTSUPP: _UNABLE,
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
}
_OTHER = ("it failed", "Mend the place")
# What TensorFlow puts after a path: the system's texts, and one of its own.
_NUMBERS = {f"; {os.strerror(number)}": number for number in _KINDS}
_NUMBERS[" is not a directory"] = errno.ENOTDIR
_REASONS = "|".join(map(re.escape, _NUMBERS))
_TENSORFLOWS = re.compile(rf"(?:\}}\}} )?(?P<path>[^;{{}}]+?)(?P<reason>{_REASONS})")


@dataclasses.dataclass(frozen=True)
class Failure:
    """What was refused.

    Attributes:
        path: What was to be opened, read, written or named; empty: the error says not.
        number: The system's number, of `errno`; 0: none, of a remote file system.
        reason: The system's text.
    """

    path: str
    number: int
    reason: str

    def sentence(self, flag: str = "") -> str:
        """Say what was expected, what was found and what to do.

        Args:
            flag: The flag that names the place, such as `--out`, where one does.
        """
        found, remedy = _KINDS.get(self.number, _OTHER)
        reason = self.reason
        if self.number == errno.ENOSPC:
            reason += _free(self.path)
        return (
            f"Expected to use {self.path or 'files on this machine'}, {found} "
            f"({reason}). {remedy} and run the same command again, or choose another "
            f"{flag or 'place'}."
        )


def find(error: BaseException) -> Failure | None:
    """Return what the machine refused, None where the error is of another kind."""
    if isinstance(error, OSError):
        if error.errno not in _KINDS:
            return None
        path = error.filename if isinstance(error.filename, (str, bytes)) else ""
        reason = " ".join((error.strerror or os.strerror(error.errno)).split())
        return Failure(os.fsdecode(path), error.errno, reason)
    if is_tensorflows(error) and (match := _TENSORFLOWS.search(error.message)):
        number = _NUMBERS[match["reason"]]
        return Failure(match["path"].strip(), number, os.strerror(number))
    return None


class TensorFlowError(Exception):
    """Stands for TensorFlow's `OpError` where types are checked."""

    message: str


def is_tensorflows(error: BaseException) -> TypeGuard[TensorFlowError]:
    """Say whether an error is an `OpError`, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)


def _free(path: str) -> str:
    """Say how much room a path's disk has, nothing where that can't be told."""
    folder = os.path.abspath(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        return f"; {shutil.disk_usage(folder).free / 1e6:,.1f} MB free now"
    except OSError:
        return ""
