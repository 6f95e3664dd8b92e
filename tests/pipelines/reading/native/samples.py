"""JPEG and PNG images of every kind that their formats know, 16 x 12 pixels."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 16, 12
# Channels of PNG's color types, and the depths each may have.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# First row, first column, row step and column step of the passes of Adam7.
_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
    *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)


def pngs() -> list[bytes]:
    """Return PNGs of each color type, depth, interlacing and transparency."""
    return [
        _png(color, depth, interlaced, transparent)
        for color, depths in _PNG_DEPTHS.items()
        for depth in depths
        for interlaced in (False, True)
        for transparent in ((False, True) if color < 4 else (False,))
    ]


def _png(color: int, depth: int, interlaced: bool, transparent: bool) -> bytes:
    generator = np.random.default_rng(color * 32 + depth)
    lines = []
    for y, x, dy, dx in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns = len(range(x, WIDTH, dx))
        row_bytes = -(-columns * _PNG_CHANNELS[color] * depth // 8)
        for row in range(y, HEIGHT, dy) if columns else ():
            lines += [bytes([row % 5]), generator.bytes(row_bytes)]

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, interlaced)
    chunks = [(b"IHDR", header)]
    if color == 3:
        chunks.append((b"PLTE", generator.bytes(3 * 2**depth)))
    if transparent:
        chunks.append((b"tRNS", b"\0\1" * {0: 1, 2: 3, 3: 1}[color]))
    chunks += [(b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*named) for named in chunks)


def jpegs(channels: int) -> list[bytes]:
    """Return JPEGs that can be decoded to 1 or 3 channels."""
    kinds = [
        {"mode": "RGB"},
        {"mode": "RGB", "subsampling": 0, "quality": 95},
        {"mode": "RGB", "progressive": True},
        {"mode": "RGB", "restart_marker_blocks": 1, "optimize": True},
        {"mode": "L"},
        {"mode": "L", "progressive": True},
    ]
    if channels == 3:  # libjpeg makes no grey of CMYK.
        kinds.append({"mode": "CMYK"})
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    encoded = []
    for kind in kinds:
        file = io.BytesIO()
        image = Image.fromarray(pixels).convert(kind.pop("mode"))
        image.save(file, "JPEG", **kind)
        encoded.append(file.getvalue())
    return encoded
