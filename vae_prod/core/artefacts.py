"""Folders of arrays that say how they were made, written aside and then renamed."""

import contextlib
import fcntl
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines import files

MADE = "made.json"
_ARRAYS = "arrays.npz"


@contextlib.contextmanager
def written_aside(path: str) -> Iterator[str]:
    """Give a new folder to write to; afterwards it gets its name.

    An older folder of that name is replaced; after an error it stays as it was.

    Args:
        path: The folder's name.

    Yields:
        The folder to write to.

    Raises:
        UserError: It can't be written.
    """
    aside = f"{path.rstrip('/')}.tmp"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        os.makedirs(aside)
        yield aside
        shutil.rmtree(path, ignore_errors=True)
        os.rename(aside, path)
    except OSError as error:
        raise files.UserError(f"Expected to write {path}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def alone(path: str, refusal: str) -> Iterator[None]:
    """Hold a lock file for a while, which a killed process loses.

    Args:
        path: The file; it stays, for a name that comes and goes protects nothing.
        refusal: What to say where another process holds it.

    Raises:
        UserError: Another process holds it.
    """
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise files.UserError(refusal) from error
        yield


def write_made(folder: str, made: Mapping) -> None:
    """Write how a folder's content was made."""
    with open(os.path.join(folder, MADE), "w") as file:
        file.write(json.dumps(made, indent=1) + "\n")


def read_made(folder: str) -> dict:
    """Read how a folder's content was made; raises OSError or ValueError."""
    with open(os.path.join(folder, MADE)) as file:
        return json.load(file)


def save(path: str, arrays: Mapping[str, np.ndarray], made: Mapping) -> None:
    """Write arrays and how they were made to a folder; an older one is replaced."""
    with written_aside(path) as aside:
        np.savez(os.path.join(aside, _ARRAYS), **arrays)
        write_made(aside, made)


def load(path: str, what: str, remedy: str) -> tuple[dict[str, np.ndarray], dict]:
    """Read what `save` wrote.

    Args:
        path: The folder.
        what: What it holds, for the error's sentence.
        remedy: What to do where it is missing or damaged.

    Returns:
        The arrays by name, and how they were made.

    Raises:
        UserError: There is no such folder, or it can't be read.
    """
    if not os.path.isdir(path):
        raise files.UserError(f"Expected {what} in {path}, found none. {remedy}")
    try:
        with np.load(os.path.join(path, _ARRAYS)) as file:
            return dict(file), read_made(path)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise files.UserError(
            f"Expected {what} in {path}, it can't be read ({error}). {remedy}"
        ) from error
