"""Numbered mutations of bytes: the same number gives the same mutation."""

import random
from collections.abc import Callable

_WORDS = (
    *(b"", b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'"', b"\0"),
    *(b"99999999999999999999", b"4294967295", b"../../x", b"/etc/passwd", b"\xff\xfe"),
    *(b"\x1b[2J", b"[" * 3_000, b"\xff" * 8, b"\x7f\xff\xff\xff"),
)


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 1, 1, 4, 32))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def _remove(data: bytearray, draw: random.Random) -> None:
    begin = draw.randrange(len(data))
    del data[begin : begin + draw.choice((1, 4, 64))]


def _repeat(data: bytearray, draw: random.Random) -> None:
    begin = draw.randrange(len(data))
    data[begin:begin] = data[begin : begin + draw.choice((1, 4, 64))]


def _insert(data: bytearray, draw: random.Random) -> None:
    begin = draw.randrange(len(data))
    data[begin:begin] = draw.choice(_WORDS)


def _overwrite(data: bytearray, draw: random.Random) -> None:
    word = draw.choice(_WORDS)
    begin = draw.randrange(len(data))
    data[begin : begin + len(word)] = word


def _replace_number(data: bytearray, draw: random.Random) -> None:
    places = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if places:
        begin = end = draw.choice(places)
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[begin:end] = draw.choice(_WORDS)


_KINDS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _cut, _remove, _repeat, _insert, _overwrite, _replace_number),
)


def mutated(data: bytes, number: int) -> bytes:
    """Return other bytes than those given, which hold at least one."""
    draw = random.Random(number)
    changed = bytearray(data)
    while changed == data:
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            if changed:
                draw.choice(_KINDS)(changed, draw)
    return bytes(changed)
