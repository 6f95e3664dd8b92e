"""The header of NumPy's `.npy` files, read by a pattern: nothing in it is evaluated.

The form is that of `numpy.lib.format`, version 1.0. What a header claims is compared
with the bytes there are before any memory is taken, in archives (`.npz`) too, whose
arrays must be stored as they are, or come to no more than their reader allows.
"""

import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

import attrs
import numpy as np

from pipelines import trust

_NO_ARCHIVE = (
    *(zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, struct.error),
    zlib.error,
)
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[|<>=][biufSU]\d{1,4})', "
    rb"'fortran_order': (?P<column_major>True|False), "
    rb"'shape': \((?P<shape>[\d, ]{0,300})\),? ?\} *\n"
)


@attrs.frozen
class Header:
    """What stands before an array's content.

    Attributes:
        shape: Of the array.
        dtype: Of its values: booleans, numbers or texts of one length.
        column_major: Whether the first axis runs fastest.
        offset: Where the content begins, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    column_major: bool
    offset: int

    @property
    def order(self) -> Literal["C", "F"]:
        """The order of its values, in NumPy's word."""
        return "F" if self.column_major else "C"

    @property
    def num_bytes(self) -> int:
        """Length of the whole file that it claims, in bytes."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO) -> Header:
    """Read the header at the begin of a file.

    Raises:
        ValueError: It is damaged, or of an array of anything but numbers and texts.
    """
    begin = file.read(len(_MAGIC) + 2)
    if len(begin) < len(_MAGIC) + 2 or not begin.startswith(_MAGIC):
        raise ValueError("no .npy array of version 1.0")
    (length,) = struct.unpack("<H", begin[len(_MAGIC) :])
    match = _HEADER.fullmatch(file.read(length))
    if not match:
        raise ValueError("no array of numbers or texts")
    sizes = match["shape"].replace(b" ", b"").split(b",")
    shape = tuple(int(size) for size in sizes if size)
    try:
        dtype = np.dtype(match["descr"].decode())
    except (TypeError, OverflowError) as error:
        raise ValueError("no array of numbers or texts") from error
    return Header(shape, dtype, match["column_major"] == b"True", len(begin) + length)


def mapped(path: str) -> np.ndarray:
    """Return the numbers of a local file, mapped from it: it takes no memory.

    Raises:
        OSError: It can't be read.
        ValueError: It is damaged.
    """
    with trust.open_regular(path) as file:
        header = read_header(file)
        if header.dtype.kind in "SU":
            raise ValueError("no array of numbers")
        _check_size(header, os.fstat(file.fileno()).st_size)
        if header.offset == header.num_bytes:  # Nothing can't be mapped.
            return np.empty(header.shape, header.dtype, header.order)
        place = header.offset, header.shape, header.order
        return np.memmap(file, header.dtype, "r", *place)


def read_archive(path: str, most: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of an archive as `np.savez` writes it, by name.

    Args:
        path: The archive.
        most: Bytes that its arrays may take in all if it is compressed, as
            `np.savez_compressed` writes it; 0: it must not be.

    Raises:
        OSError: It can't be read.
        ValueError: It is damaged, or holds something else.
    """
    arrays = {}
    try:
        with trust.open_regular(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                # Stored, it is no larger than the archive; no more is unpacked than
                # the archive says.
                if member.compress_type != zipfile.ZIP_STORED:
                    most -= member.file_size
                    if most < 0:
                        raise ValueError(f"{member.filename} is compressed too much")
                name = member.filename.removesuffix(".npy")
                arrays[name] = _whole(archive.read(member))
    except _NO_ARCHIVE as error:
        raise ValueError(f"{os.path.basename(path)}: {error}") from error
    return arrays


def write_archive(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays where `read_archive` can read them, not compressed.

    Args:
        path: The file, which ends with `.npz`.
        arrays: Name to array, by names that `np.savez` doesn't take itself.
    """
    named: dict[str, Any] = dict(arrays)
    np.savez(path, **named)


def _whole(data: bytes) -> np.ndarray:
    header = read_header(io.BytesIO(data))
    _check_size(header, len(data))
    flat = np.frombuffer(data, header.dtype, offset=header.offset)
    return flat.reshape(header.shape, order=header.order).copy(header.order)


def _check_size(header: Header, num_bytes: int) -> None:
    if header.num_bytes != num_bytes:
        raise ValueError(
            f"an array of {header.dtype} {list(header.shape)} in {num_bytes:,} bytes"
        )


def read(data: bytes, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return the array that a whole file holds.

    Args:
        data: The file's content.
        shape: What it must be.
        dtype: What it must be.

    Raises:
        ValueError: It is damaged or another array.
    """
    header = read_header(io.BytesIO(data))
    expected = (shape, np.dtype(dtype), False, len(data))
    if (header.shape, header.dtype, header.column_major, header.num_bytes) != expected:
        raise ValueError(f"an array of {header.dtype} {list(header.shape)}")
    return np.frombuffer(data, dtype, offset=header.offset).reshape(shape).copy()
