"""Features that need no weights: orientations of gradients, and colours.

Images are brought to 48x48 and halved twice. At each of the three sizes, gradients are
sorted by eight directions (Dalal & Triggs 2005, "Histograms of oriented gradients"),
each pixel's divided by the energy around it, and averaged in 4x4 cells: what lies where
and which way edges run, whatever the contrast. Mean colours of 4x4 cells say what
contrast and colour are. The study `measures` shows how far distances by these features
agree with a person looking at the pictures.
"""

import numpy as np
import tensorflow as tf

NAME = "gradients"
# Names the definition, as a digest names weights: change it with what is computed.
DIGEST = "gradients, version 1"
SIZE = (48, 48)

_LEVELS, _DIRECTIONS, _CELLS = 3, 8, 4
# Pixels on each side whose energy a pixel's gradient is divided by; of gradients of
# [0, 1], what is noise.
_AROUND, _NOISE = 9, 1e-3
# Features of each kind.
GROUPS = (_CELLS**2 * _DIRECTIONS,) * _LEVELS + (_CELLS**2 * 3,)


def features(images: tf.Tensor) -> tf.Tensor:
    """Return the features of images.

    Args:
        images: float32 [B, 48, 48, 3] in [0, 255].

    Returns:
        float32 [B, 432], see `GROUPS`.
    """
    images = images / 255.0
    grey = tf.reduce_mean(images, axis=-1, keepdims=True)
    groups = []
    for _ in range(_LEVELS):
        groups.append(_orientations(grey))
        grey = tf.nn.avg_pool2d(grey, 2, 2, "SAME")
    groups.append(_cells(images))
    return tf.concat(groups, axis=-1)


def _orientations(grey: tf.Tensor) -> tf.Tensor:
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    along = across * np.cos(angles).astype(np.float32)
    along += down * np.sin(angles).astype(np.float32)
    energy = tf.square(tf.nn.relu(along))
    total = tf.reduce_sum(energy, axis=-1, keepdims=True)
    around = tf.nn.avg_pool2d(total, _AROUND, 1, "SAME")
    return tf.sqrt(_cells(energy / (around + _NOISE)) + 1e-6)


def _cells(maps: tf.Tensor) -> tf.Tensor:
    """Average maps in 4x4 cells: [B, 16 * channels]."""
    cells = tf.image.resize(maps, (_CELLS, _CELLS), "area")
    return tf.reshape(cells, [-1, _CELLS**2 * maps.shape[-1]])
