"""Files on disk: atomic writing, locks, checksums, and the error that users see.

A file or folder is written aside under a name that no reader looks for,

    NAME.PID.tmp

in the same folder, flushed, brought to the disk (fsync) and renamed; then the folder
that holds it is brought to the disk, too. So a process killed at any moment leaves the
old content or the new one under the final name. What a killed process left aside is
removed by the next one that writes the same name.

Paths with `://` go through TensorFlow's file systems, which bring a file to its place
on closing. Nothing but Python's standard library is imported at the top.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from typing import IO

_BLOCK_BYTES = 1 << 20
# NAME.PID.tmp, and NAME.PID.old between two renames.
_ASIDE = re.compile(r"(.+)\.(\d{1,9})\.(tmp|old)")
# From <linux/fs.h> and <fcntl.h>.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class UserError(Exception):
    """Bad settings, missing or damaged files, mismatched artefacts.

    The message is one sentence or two: what was expected, what was received and
    what to do. Programs print it without a traceback and exit with `exit_code`.
    """

    exit_code = 1


def is_remote(path: str) -> bool:
    """Say whether a path is one of TensorFlow's file systems, such as `gs://`."""
    return "://" in path


def write(path: str, content: bytes | str) -> None:
    """Write a file atomically; text as UTF-8.

    Raises:
        UserError: It can't be written.
    """
    with open_new(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def open_new(path: str, mode: str = "wb") -> Iterator[IO]:
    """Open a new file; at the end it gets its name, in place of an older one.

    After an error the older one stays as it was.

    Args:
        path: The file.
        mode: "wb", or "w" for text in UTF-8 whose line ends are kept as they are.

    Raises:
        UserError: It can't be written.
    """
    with new_file(path) as aside, _open(aside, mode) as file:
        yield file


@contextlib.contextmanager
def new_file(path: str, aside: str = "") -> Iterator[str]:
    """Give the path of a new file to write; at the end it gets its name.

    For writers that open files themselves. After an error, an older file stays.

    Args:
        path: The file.
        aside: What the name of the file that is written begins with, on the same file
            system; empty: `path`.

    Raises:
        UserError: It can't be written.
    """
    begin = aside or path
    aside = _aside(begin)
    with _writing(path):
        remove_leftovers(begin)
        try:
            yield aside
            sync(aside)
            _rename(aside, path)
        finally:
            _remove(aside)


@contextlib.contextmanager
def new_folder(path: str) -> Iterator[str]:
    """Give a new folder to write to; at the end it gets its name, all at once.

    An older folder is replaced: it keeps its name until the new one is whole and on
    the disk. After an error it stays as it was. Of a link, the target is replaced.

    Args:
        path: The folder, on a local disk.

    Raises:
        UserError: It can't be written, or is remote.
    """
    if is_remote(path):
        raise UserError(
            f"Expected a folder of this machine, received {path}; write it to a local "
            "folder and copy that."
        )
    path = os.path.realpath(path)
    aside = _aside(path)
    with _writing(path):
        remove_leftovers(path)
        try:
            os.makedirs(aside)
            yield aside
            _sync_tree(aside)
            _replace_folder(aside, path)
        finally:
            _remove(aside)


def remove_folder(path: str, aside: str = "") -> None:
    """Remove a folder if it is there: first its name, then its content.

    Args:
        path: The folder, on a local disk.
        aside: What the name begins with that it has meanwhile; empty: `path`.

    Raises:
        UserError: It can't be removed.
    """
    begin = aside or path
    with _writing(path):
        remove_leftovers(begin)
        if os.path.isdir(path):
            os.rename(path, _aside(begin))
            shutil.rmtree(_aside(begin))


def remove_leftovers(path: str) -> None:
    """Remove what processes that are gone have left aside in writing a path.

    Of a folder that was replaced in two steps, between which there was none of its
    name, the old one gets its name back. Remote paths are left as they are.
    """
    folder, name = os.path.split(path.rstrip("/"))
    if is_remote(path) or not os.path.isdir(folder or "."):
        return
    for entry in os.listdir(folder or "."):
        match = _ASIDE.fullmatch(entry)
        if not match or match[1] != name or _lives(int(match[2])):
            continue
        leftover = os.path.join(folder, entry)
        if match[3] == "old" and not os.path.lexists(path):
            os.rename(leftover, path)
        else:
            _remove(leftover)


def written_aside(name: str) -> str:
    """Return the final name of what lies aside under a name; empty: it isn't aside."""
    match = _ASIDE.fullmatch(name)
    return match[1] if match else ""


@contextlib.contextmanager
def locked(path: str, refusal: str = "") -> Iterator[None]:
    """Hold a lock file for a while; a process that dies lets go of it.

    The file is removed at the end; of a process that was killed it stays, and is free.

    Args:
        path: The file.
        refusal: What to say where another process holds it; empty: wait for it.

    Raises:
        UserError: Another process holds it, or the file system has no locks.
    """
    with _writing(path):
        file = _lock(path, refusal)
    with file:
        try:
            yield
        finally:
            _remove(path)


def _lock(path: str, refusal: str) -> IO:
    """Open a lock file, alone, while it bears its name."""
    while True:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(path, "a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
                # Its holder may have removed it before letting go.
                is_there = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
            except BlockingIOError as error:
                raise UserError(refusal) from error
            except FileNotFoundError:
                is_there = False
            if is_there:
                stack.pop_all()
                return file


def sync(path: str) -> None:
    """Bring a written file, or a folder's list of names, to the disk."""
    if is_remote(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: str) -> str:
    """Return the hexadecimal sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with _open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _aside(path: str) -> str:
    return f"{path.rstrip('/')}.{os.getpid()}.tmp"


def _lives(process: int) -> bool:
    """Say whether a process other than this one is there."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Another user's.
        return True
    return True


@contextlib.contextmanager
def _writing(path: str) -> Iterator[None]:
    """Tell of a failure in writing to a path in one sentence."""
    try:
        yield
    except _failures(path) as error:
        reason = " ".join(str(getattr(error, "message", error)).split())
        raise UserError(
            f"Expected to write {path}, it failed ({reason}). Free or mend the place "
            "and run the same command again, or choose another."
        ) from error


def _failures(path: str) -> tuple[type[Exception], ...]:
    """Return what writing to a path may raise."""
    if not is_remote(path):
        return (OSError,)
    from tensorflow import errors  # Seconds to import, for remote paths alone.

    return (OSError, errors.OpError)


def _open(path: str, mode: str) -> IO:
    if not is_remote(path):
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
        return open(path, mode, **text)
    from tensorflow.io import gfile

    return gfile.GFile(path, mode)


def _rename(aside: str, path: str) -> None:
    """Give a written file its name, on the disk, too."""
    if not is_remote(path):
        os.replace(aside, path)
        _sync_names(path)
        return
    from tensorflow.io import gfile

    gfile.rename(aside, path, overwrite=True)


def _replace_folder(aside: str, path: str) -> None:
    """Give a folder its name, in one step where the system can swap two names."""
    if not os.path.isdir(path):
        os.rename(aside, path)
    elif not _swap(aside, path):
        old = f"{path}.{os.getpid()}.old"
        os.rename(path, old)
        try:
            os.rename(aside, path)
        except OSError:
            os.rename(old, path)
            raise
        _sync_names(path)
        shutil.rmtree(old, ignore_errors=True)
    _sync_names(path)


def _swap(first: str, second: str) -> bool:
    """Swap two names at once; say whether the system could (Linux, local disks)."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    names = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second))
    return renameat2(*names, _RENAME_EXCHANGE) == 0


def _sync_tree(path: str) -> None:
    """Bring all that a folder holds to the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync(os.path.join(folder, name))
        _sync_names(os.path.join(folder, ""))


def _sync_names(path: str) -> None:
    """Bring the names in a path's folder to the disk, where the platform lets."""
    with contextlib.suppress(OSError):
        sync(os.path.dirname(path) or ".")


def _remove(path: str) -> None:
    """Remove a file or folder that was written aside, if it is there."""
    if is_remote(path):
        from tensorflow.io import gfile

        if gfile.exists(path):
            gfile.remove(path)
    elif os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.remove(path)
