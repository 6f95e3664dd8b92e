"""Sources that say more than they hold, and files that never end.

Each must be refused in a sentence, or name its bad images, within `limits`.
"""

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized
from pyarrow import parquet

from pipelines import config as config_lib
from pipelines import files, sources
from pipelines.converting import conversion, plan
from tests.attack import limits
from tests.pipelines import fixtures

_CONFIG = config_lib.ConvertConfig(image_size=16, encoding="png")
_MANY = 2**31 - 1


def _path(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def _idx_header(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


def _idx(*shape):
    return lambda folder: _path(folder, "images-idx3-ubyte", _idx_header(*shape))


def _idx_gz(content):
    def make(folder):
        return _path(folder, "images-idx3-ubyte.gz", gzip.compress(content, 9))

    return make


def _idx_rank(folder):
    return _path(folder, "images-idx3-ubyte", b"\0\0\x08\xff" + bytes(1020))


def _labels(content):
    def make(folder):
        images = _idx_header(2, 3, 3) + bytes(18)
        _path(folder, "labels-idx1-ubyte", content)
        return _path(folder, "images-idx3-ubyte", images)

    return make


def _npy(shape, descr="|u1"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _npz(member, method=zipfile.ZIP_DEFLATED, size=None):
    """Make an archive of one array, whose directory may claim another size."""

    def make(folder):
        path = os.path.join(folder, "some.npz")
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("images.npy", member)
            if size:
                archive.infolist()[0].file_size = size
        return path

    return make


def _long_npy_header():
    # Version 2.0, whose headers may have 4 GB, which pack to 4 MB.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    size, parts, checksum = 0, [], 0
    for part in (b"\x93NUMPY\x02\x00\xff\xff\xff\x3f", *[zeros] * 16 * limits.SCALE):
        parts.append(packer.compress(part))
        checksum = zlib.crc32(part, checksum)
        size += len(part)
    return b"".join([*parts, packer.flush()]), size, checksum


def _npz_long_header(folder):
    data, size, checksum = _long_npy_header()
    name = b"images.npy"
    head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, checksum, len(data), size, 10, 0)
    local = b"PK\x03\x04" + head + name
    central = b"PK\x01\x02\x14\0" + head + bytes(10) + struct.pack("<I", 0) + name
    where = len(local) + len(data)
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), where, 0)
    return _path(folder, "some.npz", local + data + central + end)


def _annotated(name, content):
    def make(folder):
        fixtures.write_celeba(folder, 2)
        with open(os.path.join(folder, name), "wb") as file:
            content(file)
        return folder

    return make


def _one_line(file):
    file.write(b"2\n")
    file.truncate(3 << 30)  # Of zeros, which take no room on the disk.


def _columns(file):
    file.write(b"2\n" + b" ".join(b"c%d" % n for n in range(2_000)) + b"\n")


def _large_number(file):
    for name in fixtures.names(2):
        file.write(f"{name} {2**40}\n".encode())


def _pipe(name):
    def make(folder):
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        os.mkfifo(os.path.join(folder, name))
        return folder

    return make


def _annotation_pipe(folder):
    fixtures.write_celeba(folder, 2, annotated=False)
    return _pipe("identity_CelebA.txt")(folder)


def _zip(method, size, times=1):
    """Make an archive of large files that are no pictures."""

    def make(folder):
        path = os.path.join(folder, "images.zip")
        with zipfile.ZipFile(path, "w", method) as archive:
            for number in range(times):
                archive.writestr(f"{number}.png", bytes(size))
        return path

    return make


def _encrypted(folder):
    path = fixtures.pack(fixtures.write_celeba(folder, 2), f"{folder}.zip")
    with open(path, "rb+") as file:
        content = bytearray(file.read())
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
        file.seek(0)
        file.write(content)
    return path


def _png_claim(folder):
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n\0\0\0\r" + ihdr
    content += struct.pack(">I", zlib.crc32(ihdr))
    return os.path.dirname(_path(folder, "a.png", content))


def _name_of_bytes(folder):
    buffer = io.BytesIO()
    fixtures.photo(0).save(buffer, "png")
    with open(os.path.join(os.fsencode(folder), b"\xff.png"), "wb") as file:
        file.write(buffer.getvalue())
    return folder


def _tar(member, size, data=b""):
    """Make a tar of a member that claims to have a size."""

    def make(folder):
        header = tarfile.TarInfo("a.png")
        header.type, header.size = member, size
        return _path(folder, "a.tar", header.tobuf(tarfile.GNU_FORMAT) + data)

    return make


def _tar_of_names(folder):
    """Make a tar whose header of a long name has 3 GB, which take no room on disk."""
    path = _tar(tarfile.GNUTYPE_LONGNAME, 3 << 30)(folder)
    os.truncate(path, 3 << 30)
    return path


def _parquet_of_zeros(folder):
    """Make a Parquet file of few bytes whose images have 1.1 GB unpacked."""
    path = os.path.join(folder, "a.parquet")
    kind = pa.schema([("image", pa.binary())])
    with parquet.ParquetWriter(
        path, kind, compression="zstd", use_dictionary=False
    ) as writer:
        image = pa.array([bytes(1 << 26)])
        batches = [pa.record_batch([image], schema=kind)] * 17 * limits.SCALE
        writer.write_table(pa.Table.from_batches(batches))
    return path


def _parquet_of_rows(folder):
    """Make a Parquet file of few bytes that has many rows."""
    path = os.path.join(folder, "a.parquet")
    table = pa.table({"image": pa.array([b""] * (1 << 20)), "label": [1] * (1 << 20)})
    parquet.write_table(table, path)
    return path


_SOURCES = {
    "tar: a member of 8 GB": _tar(tarfile.REGTYPE, (8 << 30) - 1),
    "tar: a header of 8 GB": _tar(tarfile.XHDTYPE, (8 << 30) - 1),
    "tar: a name of 3 GB": _tar_of_names,
    "tar: empty": lambda folder: _path(folder, "a.tar", b""),
    "tar: a pipe": _pipe("a.tar"),
    "parquet: 1.1 GB of zeros": _parquet_of_zeros,
    "parquet: many rows": _parquet_of_rows,
    "parquet: empty": lambda folder: _path(folder, "a.parquet", b""),
    "parquet: a pipe": _pipe("a.parquet"),
    "array_record: empty": lambda folder: _path(folder, "a.array_record", b""),
    "array_record: a pipe": _pipe("a.array_record"),
    "idx: many images": _idx(_MANY, 1, 1),
    "idx: large images": _idx(1, _MANY, _MANY),
    "idx: 255 dimensions": _idx_rank,
    "idx: many packed images": _idx_gz(_idx_header(_MANY, 1, 1)),
    "idx: packed, all there, of one pixel": _idx_gz(
        _idx_header(11 << 20, 1, 1) + bytes(11 << 20)
    ),
    "idx: packed, one image, all there": _idx_gz(
        _idx_header(1, 5_000, 4_000 * limits.SCALE) + bytes(20_000_000 * limits.SCALE)
    ),
    "idx: packed, cut": _idx_gz(_idx_header(9_000, 8, 8) + bytes(9)),
    "idx: more than it says": _idx_gz(_idx_header(9, 8, 8) + bytes(6_000)),
    "idx: many labels": _labels(_idx_header(_MANY)),
    "idx: labels without values": _labels(_idx_header(2, 0)),
    "npz: many images": _npz(_npy((_MANY, 8, 8))),
    "npz: many, as the directory says": _npz(
        _npy((10**6, 8, 8)), size=10**6 * 64 + len(_npy((10**6, 8, 8)))
    ),
    "npz: too many by far": _npz(_npy((10**300,))),
    "npz: less than it says": _npz(_npy((9, 8, 8)) + bytes(6_000)),
    "npz: a header of version 2": _npz_long_header,
    "npz: a header that nests": _npz(_npy("(" * 9_000)),
    "npz: objects": _npz(_npy((2, 8, 8), "|O")),
    "npz: bz2": _npz(_npy((2, 8, 8)) + bytes(128), zipfile.ZIP_BZIP2),
    "npz: lzma": _npz(_npy((2, 8, 8)) + bytes(128), zipfile.ZIP_LZMA),
    "npz: empty": lambda folder: _path(folder, "some.npz", b""),
    "celeba: a line of 3 GB": _annotated("list_attr_celeba.txt", _one_line),
    "celeba: 2,000 columns": _annotated("list_landmarks_align_celeba.txt", _columns),
    "celeba: a large number": _annotated("identity_CelebA.txt", _large_number),
    "celeba: a pipe": _annotation_pipe,
    "images: a pipe": _pipe("a.png"),
    "images: a pipe among celeba's": _pipe("img_align_celeba/a.png"),
    "idx: a pipe": _pipe("images-idx3-ubyte"),
    "images: a PNG header of 60,000 x 60,000": _png_claim,
    "images: a name that is no text": _name_of_bytes,
    "zip: large files": _zip(zipfile.ZIP_DEFLATED, 70 << 20, limits.SCALE),
    "zip: lzma": _zip(zipfile.ZIP_LZMA, 1 << 20),
    "zip: encrypted": _encrypted,
    "zip: empty": lambda folder: _path(folder, "images.zip", b""),
}


class ClaimsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_SOURCES)
    def test_is_refused_in_a_sentence(self, name):
        source = _SOURCES[name](self.create_tempdir().full_path)
        out = os.path.join(self.create_tempdir().full_path, "out")
        with (
            limits.kept(),
            self.assertRaisesRegex(files.UserError, "^Expected") as refused,
        ):
            opened = sources.open_source(source, _CONFIG)
            conversion.convert(plan.make_plan(opened, _CONFIG), out)
        self.assertLess(len(str(refused.exception)), 1_000)

    def test_the_limits_hold(self):
        with self.assertRaises(MemoryError), limits.kept(1 << 28):
            np.ones(1 << 30, np.uint8)
        with self.assertRaises(limits.Exceeded), limits.kept(seconds=1):
            os.read(os.pipe()[0], 1)


if __name__ == "__main__":
    tf.test.main()
