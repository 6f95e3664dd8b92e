"""Files on disk: atomic writing, locks, checksums, and the error that users see.

A file or folder is written aside under a name that no reader looks for (`asides`), in
the same folder, flushed, brought to the disk (fsync) and renamed; then the folder that
holds it is brought to the disk, too. So a process killed at any moment leaves the old
content or the new one under the final name. What a killed process left aside is removed
by the next one on the same host that writes the same name.

Paths with `://` go through TensorFlow's file systems, which bring a file to its place
on closing. Nothing but Python's standard library is imported at the top.
"""

import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import IO

from pipelines import asides, failures

_BLOCK_BYTES = 1 << 20
# The lock files that this process holds, from the first to the last.
_held: list[str] = []
_HOLDER = re.compile(r"(\d{1,9}) ([A-Za-z0-9-]{1,32})")
# How often, and how long each time, to wait for what a lock's new holder writes.
_LOOKS, _LOOK_SECONDS = 200, 0.025
# From <linux/fs.h> and <fcntl.h>.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class UserError(Exception):
    """Bad settings, missing or damaged files, mismatched artefacts.

    The message is one sentence or two: what was expected, what was received and
    what to do. Programs print it without a traceback and exit with `exit_code`.
    """

    exit_code = 1


class PlaceError(UserError):
    """A place that can't be used: no room, no right, a folder that is gone.

    Attributes:
        failure: What was refused. Whoever knows the flag that names the place can say
            so, see `failures.Failure.sentence`.
    """

    def __init__(self, failure: failures.Failure):
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return self.failure.sentence()


def is_remote(path: str) -> bool:
    """Say whether a path is one of TensorFlow's file systems, such as `gs://`."""
    return "://" in path


@contextlib.contextmanager
def writing(path: str, begin: str = "") -> Iterator[None]:
    """Tell of a failure in writing to a path in one sentence.

    What fails elsewhere, such as in reading what is written, is passed on.

    Args:
        path: What is written.
        begin: What the names begin with that it has meanwhile; empty: `path`.

    Raises:
        PlaceError: The place can't be used.
    """
    try:
        yield
    except Exception as error:
        failure = failures.find(error)
        if not failure and is_remote(path) and failures.is_tensorflows(error):
            failure = failures.Failure(path, 0, " ".join(error.message.split()))
        if not failure or not _concerns(failure.path, path, begin or path):
            raise
        raise PlaceError(dataclasses.replace(failure, path=path)) from error


def _concerns(failed: str, *paths: str) -> bool:
    """Say whether a path, "" where none is known, is in one of paths or holds it."""
    return any(p.startswith(failed) or failed.startswith(p) for p in paths)


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
    aside = asides.path(begin)
    with writing(path, begin):
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
        path: The folder, on a local disk. The folders that hold it are made, too, but
            none that this process has locked and that was removed meanwhile.

    Raises:
        UserError: It can't be written, or is remote.
    """
    if is_remote(path):
        raise UserError(
            f"Expected a folder of this machine, received {path}; write it to a local "
            "folder and copy that."
        )
    path = os.path.realpath(path)
    aside = asides.path(path)
    with writing(path):
        remove_leftovers(path)
        try:
            _require_held(path)
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
    with writing(path, begin):
        remove_leftovers(begin)
        if os.path.isdir(path):
            aside = asides.path(begin)
            os.rename(path, aside)
            shutil.rmtree(aside)


def remove_leftovers(path: str) -> None:
    """Remove what processes of this host that are gone left aside in writing a path.

    Of a folder that was replaced in two steps, between which there was none of its
    name, the old one gets its name back. What a process of another host has aside is
    left and named. Remote paths are left as they are.
    """
    if is_remote(path) or not os.path.isdir(os.path.dirname(path.rstrip("/")) or "."):
        return
    for leftover, is_replaced in asides.leftovers(path):
        if is_replaced and not os.path.lexists(path):
            os.rename(leftover, path)
        else:
            _remove(leftover)


@contextlib.contextmanager
def locked(path: str, refusal: str = "") -> Iterator[None]:
    """Hold a lock file for a while; a process that dies lets go of it.

    The file is removed at the end; of a process that was killed it stays, and is free.

    Args:
        path: The file.
        refusal: What to say where another process holds it, before who that is; empty:
            wait for it.

    Raises:
        UserError: Another process holds it, or the file system has no locks.
    """
    with writing(path):
        file = _lock(path, refusal)
    with file:
        lock = os.path.realpath(path)
        _held.append(lock)
        try:
            yield
        finally:
            _held.remove(lock)
            if _is_named(file, path):
                _remove(path)


def _lock(path: str, refusal: str) -> IO:
    """Open a lock file, alone, while it bears its name; it says who holds it."""
    looks = 0
    while True:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(path, "a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
            except BlockingIOError as error:
                holder, looks = _holder(file), looks + 1
                if not holder and looks < _LOOKS:
                    # It has only just taken the lock.
                    time.sleep(_LOOK_SECONDS)
                    continue
                raise UserError(f"{refusal}{holder}") from error
            # Its holder may have removed it before letting go.
            if _is_named(file, path):
                file.truncate(0)
                file.write(f"{os.getpid()} {asides.host()}")
                file.flush()
                stack.pop_all()
                return file


def _require_held(path: str) -> None:
    """Raise a `FileNotFoundError` if a folder that holds a path lost our lock."""
    for lock in _held:
        folder = os.path.join(os.path.dirname(lock), "")
        if path.startswith(folder) and not os.path.lexists(lock):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)


def _is_named(file: IO, path: str) -> bool:
    """Say whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(file: IO) -> str:
    """Say who holds a lock, nothing where the file doesn't tell, or of one before."""
    file.seek(0)
    match = _HOLDER.fullmatch(file.read(100))
    if not match or (match[2] == asides.host() and not asides.lives(int(match[1]))):
        return ""
    return f" It is process {match[1]} on {match[2]}."


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


def _open(path: str, mode: str) -> IO:
    if not is_remote(path):
        if "b" in mode:
            return open(path, mode)
        return open(path, mode, encoding="utf-8", newline="")
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
        old = asides.path(path, "old")
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
