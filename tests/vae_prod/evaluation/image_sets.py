"""Sets of images that the tests of pyramids and of distances share."""

import numpy as np


def scenes(num: int, size: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return uint8 images of squares of 4x4 pixels: flat, with sharp edges."""
    random = np.random.default_rng(seed)
    squares = random.integers(0, 200, (num, size // 4, size // 4, channels), np.uint8)
    return squares.repeat(4, axis=1).repeat(4, axis=2)
