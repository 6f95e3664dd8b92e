"""Folders on disk: what is ours in them, what is whole, and one writer at a time.

A folder is ours if it bears a mark, a file that its writer alone leaves there; one that
holds other files is refused, never emptied. What a killed process left before the mark
had its name (`MARK.PID-HOST.tmp`, a lock) is known as ours, too.

Paths are literal: names are compared, never taken for patterns.
"""

import contextlib
import os
from collections.abc import Iterator

from pipelines import asides, files

LOCK = ".lock"
CACHE_VARIABLE = "VAE_PROD_CACHE"
_PATTERNS = set("[]*?")


def absolute(path: str) -> str:
    """Return a local path from the root down; a remote one stays as it is."""
    return path if files.is_remote(path) else os.path.abspath(path)


def user_cache() -> str:
    """Return the folder for what is made once for this user; it may not be there."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return folder
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "vae_prod")


def listed(folder: str) -> list[str]:
    """Return the names in a folder, sorted, but not hidden ones nor files aside.

    Args:
        folder: On a local disk; one that isn't there holds nothing.
    """
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(n for n in names if not (n[0] == "." or asides.final_name(n)))


def require_literal(path: str, flag: str) -> None:
    """Refuse a path whose names TensorFlow's reader of SavedModels takes for patterns.

    Raises:
        UserError: Naming the flag.
    """
    if found := sorted(_PATTERNS & set(path)):
        raise files.UserError(
            f"Expected a path without {' '.join(sorted(_PATTERNS))} as {flag}, which "
            f"model servers take for patterns, received {path} (with "
            f"{' '.join(found)}). Choose another."
        )


@contextlib.contextmanager
def without_patterns(folder: str) -> Iterator[str]:
    """Give a local folder a path for a while in which nothing looks like a pattern.

    For readers of TensorFlow's that take `[ ] * ?` in a path for patterns.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        path = f"/proc/self/fd/{descriptor}"
        yield path if os.path.isdir(path) else folder
    finally:
        os.close(descriptor)


def remove_leftovers(folder: str) -> None:
    """Remove what processes that are gone have left aside, of any name in a folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for name in {asides.final_name(name) for name in names} - {""}:
        files.remove_leftovers(os.path.join(folder, name))


def require_ours(folder: str, mark: str, flag: str) -> None:
    """Refuse a folder that holds files of others.

    Args:
        folder: New, empty, or with the mark.
        mark: Name of the file by which it is known as ours.
        flag: The flag that names it, such as `--out`.

    Raises:
        UserError: It holds files, and no mark; or it is remote, or can't be read.
    """
    if files.is_remote(folder):
        raise files.UserError(
            f"Expected a local folder or mount as {flag}, received {folder}."
        )
    with files.writing(folder):
        names = os.listdir(folder) if os.path.lexists(folder) else []
    others = [n for n in names if n != LOCK and asides.final_name(n) != mark]
    if others and mark not in names:
        raise files.UserError(
            f"Expected a new or empty folder, or one with {mark}, as {flag}, {folder} "
            f"holds other files ({min(others)}). Nothing was touched; choose another."
        )


@contextlib.contextmanager
def alone(folder: str, mark: str, flag: str) -> Iterator[None]:
    """Hold a folder that is written to bit by bit, as its only writer.

    Args:
        folder: As in `require_ours`; made if it isn't there.
        mark: As in `require_ours`.
        flag: As in `require_ours`.

    Raises:
        UserError: It isn't ours, can't be written, or another process holds it.
    """
    with _held(folder, mark, flag, os.path.join(folder, LOCK)):
        yield


@contextlib.contextmanager
def replacing(folder: str, mark: str, flag: str) -> Iterator[None]:
    """Hold the name of a folder that is written aside and replaced as a whole.

    Args and errors are those of `alone`.
    """
    parent, name = os.path.split(os.path.realpath(folder))
    with _held(folder, mark, flag, os.path.join(parent, f".{name}{LOCK}")):
        yield


@contextlib.contextmanager
def _held(folder: str, mark: str, flag: str, lock: str) -> Iterator[None]:
    require_ours(folder, mark, flag)
    with files.writing(folder):
        os.makedirs(os.path.dirname(lock), exist_ok=True)
    refusal = (
        f"Expected {flag}={folder} for this process alone, another one writes there. "
        "Wait for its end, end it, or choose another."
    )
    with files.locked(lock, refusal):
        yield
        if not os.path.lexists(lock):
            raise files.UserError(
                f"Expected {flag}={folder} to stay, it was removed while this process "
                "wrote there. Run the same command again."
            )
