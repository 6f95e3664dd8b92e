"""The header of NumPy's `.npy` files, read by a pattern: nothing in it is evaluated.

The form is that of `numpy.lib.format`, version 1.0. What a header claims is compared
with the bytes there are before any memory is taken.
"""

import io
import math
import re
import struct
from typing import BinaryIO

import attrs
import numpy as np

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
    except TypeError as error:
        raise ValueError("no array of numbers or texts") from error
    return Header(shape, dtype, match["column_major"] == b"True", len(begin) + length)


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
