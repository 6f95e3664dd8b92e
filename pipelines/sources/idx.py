"""Images in idx files, the form of MNIST (yann.lecun.com/exdb/mnist), also gzipped.

`--source` is one of them or the folder that holds them. The source digest covers the
files' names and sizes.
"""

import gzip
import io
import math
import os
import re
import struct
from typing import BinaryIO

import numpy as np

from pipelines import trust
from pipelines.converting import source as source_lib
from pipelines.sources import archives, arrays
from pipelines.sources import request as request_lib

_IMAGES = re.compile(r"images[-.]idx[34]-ubyte(\.gz)?$")
_MAX_RANK = 4


def _open_idx(path: str) -> BinaryIO:
    file = trust.open_regular(path)
    return io.BufferedReader(gzip.open(file)) if path.endswith(".gz") else file


def _idx_rows(path: str) -> arrays.Rows:
    """Read the header of an idx file (yann.lecun.com/exdb/mnist)."""
    try:
        with _open_idx(path) as file:
            zeros, kind, rank = struct.unpack(">HBB", file.read(4))
            if zeros or kind != 8 or not 1 <= rank <= _MAX_RANK:
                raise ValueError("no idx file of unsigned bytes")
            shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        claimed, size = 4 + 4 * rank + math.prod(shape), os.path.getsize(path)
        packed = path.endswith(".gz")
        if claimed > (archives.inflated(size) if packed else size):
            raise EOFError(f"it says {claimed:,} bytes, and has {size:,}")
    except archives.UNREADABLE as error:
        raise arrays.damaged(path, error) from error

    def open_rows() -> BinaryIO:
        file = _open_idx(path)
        file.read(4 + 4 * rank)
        return file

    return arrays.Rows(path, shape, np.dtype(np.uint8), open_rows)


def _labels_path(path: str) -> str | None:
    """Return the file of labels beside a file of images, in either spelling."""
    folder, name = os.path.split(path)
    stem = _IMAGES.sub("", name)
    for middle in ("-idx1-ubyte", ".idx1-ubyte"):
        for end in ("", ".gz"):
            candidate = os.path.join(folder, f"{stem}labels{middle}{end}")
            if os.path.exists(candidate):
                return candidate
    return None


def _find(path: str) -> list[str]:
    """Return the idx files of images at a path: itself, or those in the folder."""
    if os.path.isfile(path):
        return [path] if re.search(r"idx\d-ubyte(\.gz)?$", path) else []
    if not os.path.isdir(path):
        return []
    names = sorted(name for name in os.listdir(path) if _IMAGES.search(name))
    return [os.path.join(path, name) for name in names]


def recognises(request: request_lib.Request) -> bool:
    """Say whether there are idx files of images."""
    return bool(_find(request.source))


def open_idx(request: request_lib.Request) -> source_lib.Source:
    """Open idx files of images, with the files of labels that lie beside them.

    Raises:
        UserError: A damaged file, or one that holds no images.
    """
    paths = _find(request.source)
    images = arrays.by_split({os.path.basename(p): _idx_rows(p) for p in paths})
    labels = {}
    for split, rows in images.items():
        if beside := _labels_path(rows.label):
            labels[split] = _idx_rows(beside)
    files = [*paths, *filter(None, map(_labels_path, paths))]
    prints = [f"{os.path.basename(f)}\t{os.path.getsize(f)}" for f in sorted(files)]
    return arrays.make_source(request, prints, images, labels)
