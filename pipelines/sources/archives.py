"""Zip archives and their members, of which nothing is believed that can be checked.

Members are stored or deflated: other methods take memory as the archive says.
"""

import io
import os
import re
import struct
import typing
import zipfile
import zlib
from typing import BinaryIO, TypeAlias

from pipelines import trust

ZipFile: TypeAlias = zipfile.ZipFile
Member: TypeAlias = zipfile.ZipInfo
# What reading a damaged file may raise. RuntimeError: of an encrypted member, or
# NotImplementedError of a form that isn't known.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
# Deflate makes at most 1,032 bytes of one (RFC 1951: 258 bytes of two bits).
_MOST_FROM_ONE = 1032
# Forms that aren't opened, by the end of the name, and what to do about each.
_CLOSED = (
    (
        r"\.z\d\d|\.(zip|7z|tar)\.\d+|\.\d{3}",
        "a part of an archive in several",
        "join the parts and unpack them (7z x FIRST_PART)",
    ),
    (r"\.(tar\.\w+|tgz|tbz2?|txz)", "a compressed tar", "decompress it to a .tar"),
    (r"\.(7z|rar|gz|bz2|xz|zst)", "an archive of another form than zip", "unpack it"),
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_zip(path: str) -> ZipFile:
    """Open an archive.

    Raises:
        Those of `UNREADABLE`: It is none, or damaged.
    """
    return zipfile.ZipFile(trust.open_regular(path))


def closed(path: str) -> str:
    """Say what a file is that isn't opened, and what to do about it; or nothing."""
    if path.lower().endswith(".zip") and os.path.exists(f"{path[:-4]}.z01"):
        path = f"{path[:-4]}.z01"
    for end, what, remedy in _CLOSED:
        if re.search(f"({end})$", path.lower()):
            return f"{what}; {remedy}"
    return ""


def fault_of(member: Member) -> str:
    """Say why a member can't be read, or that its claimed size can't be; or nothing."""
    if member.flag_bits & 1:
        return "which is encrypted"
    if member.compress_type not in _METHODS:
        return f"which is packed by method {member.compress_type}"
    if member.file_size > inflated(member.compress_size):
        return f"which can't have {member.file_size:,} bytes"
    return ""


def inflated(num_bytes: int) -> int:
    """Return how many bytes deflate makes of some, at most."""
    return (num_bytes + 1) * _MOST_FROM_ONE


def open_member(archive: ZipFile, name: str) -> BinaryIO:
    """Open a member for reading; its checksum is compared at its end.

    Raises:
        Those of `UNREADABLE`: It is damaged.
    """
    opened = typing.cast(zipfile.ZipExtFile, archive.open(name))
    return io.BufferedReader(opened)
