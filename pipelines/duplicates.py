"""Duplicates among images, found by their fingerprints in linear time.

Vectors that are near lie on the same side of most planes, so words of bits, a plane
each, are much the same for copies (Charikar, 2002, section 3). Where such words are
sorted, copies that agree in the first bits stand together, and each image is compared
with the few that follow it (sorted neighbourhoods: Hernández & Stolfo, 1995). Several
passes, with other planes each, find copies that differ early in one.

Nothing here imports TensorFlow.
"""

from collections.abc import Callable, Iterator

import numpy as np

from pipelines import fingerprints as fingerprints_lib

_PASSES, _FOLLOWING, _BITS = 16, 6, 64
# Bits that words of copies may differ in: a share of 2 arcsin(d / 2) / pi on average at
# distance d, and a half for vectors that have nothing to do with each other.
_DIFFERENT = 14
# Distance from which on small shifts make no copies of two images.
_TOO_FAR = 0.5
# Rows and pairs at a time; they bound the memory.
_ROWS = 4096


def find(fingerprints: np.ndarray) -> np.ndarray:
    """Return which images are copies of each other, mirrored and moved ones too.

    Where there are many copies of one image not all pairs are named, but each of them
    is in one. Memory is some 800 bytes an image.

    Args:
        fingerprints: float16 or float32 [N, D], N at least 1, as
            `fingerprints.describe` gives them.

    Returns:
        int64 [P, 2], numbers of images, the smaller first; in ascending order.
    """
    count = len(fingerprints)
    codes = [_neighbours(words, count) for words in _words(fingerprints)]
    pairs = np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)
    pairs = pairs[_are_within(_TOO_FAR, fingerprints, pairs, _both)]
    variants, same = fingerprints_lib.variants, fingerprints_lib.SAME
    return pairs[_are_within(same, fingerprints, pairs, variants)]


def _words(fingerprints: np.ndarray) -> np.ndarray:
    """Return on which sides of random planes images lie, and mirrored images.

    The planes go through the mean, or all aligned faces were on the same side.

    Returns:
        uint64 [passes, 2 N].
    """
    shape = (fingerprints.shape[1], _PASSES * _BITS)
    planes = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    middle = fingerprints.mean(axis=0, dtype=np.float32) @ planes
    sides = [
        np.packbits(_both(np.asarray(rows, np.float32)) @ planes > middle, axis=-1)
        for rows in _chunks(fingerprints)
    ]
    joined = np.concatenate(sides, axis=1).reshape(-1, shape[1] // 8)
    return np.ascontiguousarray(joined).view(">u8").T.astype(np.uint64)


def _neighbours(words: np.ndarray, count: int) -> np.ndarray:
    """Return pairs of images with like words, as first * count + second."""
    order = np.argsort(words, kind="stable")
    found = []
    for ahead in range(1, _FOLLOWING + 1):
        first, second = order[:-ahead], order[ahead:]
        are_like = np.bitwise_count(words[first] ^ words[second]) <= _DIFFERENT
        ends = first[are_like] % count, second[are_like] % count
        smaller, larger = np.minimum(*ends), np.maximum(*ends)
        found.append((smaller * count + larger)[smaller < larger])
    return np.concatenate(found)


def _are_within(
    limit: float,
    fingerprints: np.ndarray,
    pairs: np.ndarray,
    changed: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Say which pairs come nearer than a limit if one image is changed: bool [P]."""
    nearer = np.zeros(len(pairs), bool)
    for chunk, are_near in zip(_chunks(pairs), _chunks(nearer), strict=True):
        first, second = (fingerprints[side].astype(np.float32) for side in chunk.T)
        distances = np.linalg.norm(changed(first) - second, axis=-1)
        are_near[:] = distances.min(axis=0) < limit
    return nearer


def _both(fingerprints: np.ndarray) -> np.ndarray:
    return np.stack([fingerprints, fingerprints_lib.mirrored(fingerprints)])


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
