"""Fingerprints of images: near for copies of one image, far for images merely alike.

A fingerprint is the coarse pattern of an image: its lowest spatial frequencies (a
discrete cosine transform, as in the perceptual hash of Zauner, 2010, but the numbers
themselves in place of their signs). Each is weighted by its frequency, for the
amplitudes of natural images fall with it (Field, 1987), and the whole is scaled to
length 1. So brightness and contrast don't matter, noise, blur and JPEG's losses hardly;
mirroring and small shifts are tried, see `variants`.

Nothing here imports TensorFlow.
"""

import functools
from collections.abc import Sequence

import numpy as np

# Distance below which two images are copies of one. At 96x96, copies of faces as JPEG
# of quality 20, with noise of 25 grey levels, blurred, or darkened by a third are
# within it, and at least 97 of 100 that are moved by 2 pixels along a side, or
# brightened until they are clipped. Of 3,000 photographs the nearest of two people were
# at 0.35, of as many drawn faces two at 0.23 and the next at 0.27.
SAME = 0.25
# Frequencies in each direction, in half periods a side: of luminance and of colour.
_LUMINANCE, _COLOUR = 8, 4
# Weights of red, green and blue in luminance, ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Length of a spectrum below which there is no pattern but rounding.
_NO_PATTERN = 2e-3
# Shifts are tried on a grid of this many places a side: a place is 1.5 pixels of 96.
_GRID = 64
_STEPS = (0, -1, 1)


def describe(images: np.ndarray) -> np.ndarray:
    """Return the fingerprints of images.

    Args:
        images: uint8 [B, H, W, C], C 1 or 3, of any size.

    Returns:
        float32 [B, D], D 64 of grey images and 96 of others, of length 1, or near 0
        where an image is all one colour.
    """
    spectra = _spectra(images)
    if len(spectra) == 1:
        return _joined(list(spectra))
    luminance = np.tensordot(_LUMA, spectra, 1)
    colours = (spectra[[2, 0]] - luminance)[..., :_COLOUR, :_COLOUR]
    return _joined([luminance, *colours])


def mirrored(fingerprints: np.ndarray) -> np.ndarray:
    """Return the fingerprints that images mirrored left to right have."""
    planes = _planes(fingerprints)
    return _joined([plane * (-1.0) ** np.arange(plane.shape[2]) for plane in planes])


def variants(fingerprints: np.ndarray) -> np.ndarray:
    """Return what fingerprints would be of the images mirrored and slightly moved.

    Args:
        fingerprints: float32 [B, D].

    Returns:
        float32 [18, B, D]: the images as they are and moved by 1/64 of a side in eight
        directions, each followed by its mirror image.
    """
    planes = _planes(fingerprints)
    results = []
    for down in _STEPS:
        for right in _STEPS:
            moved = _joined(
                [
                    _moving(plane.shape[1], down)
                    @ plane
                    @ _moving(plane.shape[2], right).T
                    for plane in planes
                ]
            )
            results += [moved, mirrored(moved)]
    return np.stack(results)


def _spectra(images: np.ndarray) -> np.ndarray:
    """Return the lowest frequencies of each channel: float32 [C, B, 8, 8]."""
    count, height, width, channels = images.shape
    rows = np.asarray(images, np.float32).reshape(count, height, width * channels)
    rows = (_basis(height, _LUMINANCE) @ rows).reshape(-1, width, channels)
    spectra = _basis(width, _LUMINANCE) @ rows
    shape = (count, _LUMINANCE, _LUMINANCE, channels)
    scale = np.float32(255.0 * np.sqrt(height * width))
    return np.moveaxis(spectra.reshape(shape), -1, 0) / scale


def _joined(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Weigh spectra and scale them, all in one vector, to length 1."""
    luminance = planes[0] * _weights(_LUMINANCE)
    luminance[:, 0, 0] = 0.0  # Brightness.
    parts = [luminance, *(plane * _weights(_COLOUR) for plane in planes[1:])]
    joined = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    lengths = np.linalg.norm(joined, axis=1, keepdims=True)
    return joined / np.maximum(lengths, _NO_PATTERN)


def _planes(fingerprints: np.ndarray) -> list[np.ndarray]:
    """Part vectors into spectra without weights, of luminance and colours."""
    cut = _LUMINANCE**2
    luminance = fingerprints[:, :cut].reshape(-1, _LUMINANCE, _LUMINANCE)
    colours = fingerprints[:, cut:].reshape(len(fingerprints), -1, _COLOUR, _COLOUR)
    return [
        luminance / _weights(_LUMINANCE),
        *(colours[:, number] / _weights(_COLOUR) for number in range(colours.shape[1])),
    ]


@functools.cache
def _basis(length: int, size: int) -> np.ndarray:
    """Return the first rows of the orthonormal DCT-II, float32 [size, length]."""
    places = (np.arange(length) + 0.5) * np.pi / length
    rows = np.cos(np.outer(np.arange(size), places)) * np.sqrt(2.0 / length)
    rows[0] /= np.sqrt(2.0)
    return rows.astype(np.float32)


@functools.cache
def _weights(size: int) -> np.ndarray:
    frequencies = np.hypot(*np.mgrid[:size, :size])
    return np.maximum(frequencies, 1.0).astype(np.float32)


@functools.cache
def _moving(size: int, step: int) -> np.ndarray:
    """Return what moves an axis by places of the grid, repeating the edge: [S, S]."""
    basis = _basis(_GRID, size)
    places = np.clip(np.arange(_GRID) + step, 0, _GRID - 1)
    return basis @ basis[:, places].T
