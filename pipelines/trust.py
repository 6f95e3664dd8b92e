"""Which files are believed: private ones, regular ones, and names that stay inside.

What others may have written is looked at before it is opened: a named pipe hangs its
reader for ever, a folder that others may write to gives what they like. Nothing but
Python's standard library is imported.
"""

import os
import re
import stat
from typing import BinaryIO

from pipelines import files

# Names of data sets and splits: they become parts of file names.
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: str, remedy: str) -> None:
    """Make a folder that is this user's alone, unless it is there.

    Args:
        folder: The folder; of one that is there, nobody but this user, or the machine's
            administrator, may own it or write to it.
        remedy: How to choose another one, for the message.

    Raises:
        UserError: Another user owns it or may write to it, or it can't be made.
    """
    try:
        os.makedirs(os.path.dirname(folder) or ".", exist_ok=True)
        if not os.path.isdir(folder):
            # Another process may make it first; mode as if there were no umask.
            os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.stat(folder)
    except OSError as error:
        raise files.UserError(
            f"Expected to make the folder {folder}, it failed ({error.strerror}). "
            f"{remedy}"
        ) from error
    if not _is_private(found):
        raise files.UserError(
            f"Expected {folder} to be a folder that this user alone may write to, for "
            f"what is in it is run; found owner {found.st_uid} and mode "
            f"{stat.S_IMODE(found.st_mode):04o}. Take others' rights away (chmod 700). "
            f"Or: {remedy}"
        )


def is_private(path: str) -> bool:
    """Say whether a file is regular, no link, and no other user's to change."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and _is_private(found)


def _is_private(found: os.stat_result) -> bool:
    ours = found.st_uid in (os.geteuid(), 0)
    return ours and not found.st_mode & _OTHERS_WRITE


def open_regular(path: str) -> BinaryIO:
    """Open a local file for reading; links are followed.

    Raises:
        OSError: It isn't there, can't be read, or is no regular file: a folder, a
            named pipe, a device.
    """
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"not a regular file: {path}")
    return open(descriptor, "rb")


def printable(text: object, most: int = 10_000) -> str:
    """Return a text without what would steer a terminal, such as escapes in a name.

    Args:
        text: Any; line ends are kept.
        most: How many of its characters.
    """
    shown = (c if c.isprintable() or c == "\n" else "?" for c in str(text)[:most])
    return "".join(shown)


def leads_out(folder: str, name: str) -> bool:
    """Say whether a file's name, or a link of that name, leads out of a folder.

    Args:
        folder: A folder; a remote one has no links.
        name: Of a file in it, also deeper, with `/` between the parts.
    """
    parts = name.split("/")
    if "" in parts or "." in parts or ".." in parts or "\\" in name or "\0" in name:
        return True
    if files.is_remote(folder):
        return False
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, *parts))
    return os.path.commonpath([root, path]) != root
