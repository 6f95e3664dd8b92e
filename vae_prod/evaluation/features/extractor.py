"""What a feature extractor is: a network that others trained, from images to vectors.

Images are rounded to grey levels first, as they would be saved.
"""

from collections.abc import Callable

import attrs
import numpy as np

from vae_prod.reporting import image_grids

# Images given to an extractor at a time; they bound the memory.
_BATCH = 32


@attrs.frozen
class Extractor:
    """A network from images to features.

    Attributes:
        name: What its figures are called by.
        digest: sha256 of its files.
        kind: Its row in `config.extractors`.
        resizing: How images come to the size that its network takes.
        extract: uint8 [B, H, W, C] to float32 [B, D].
        groups: Numbers of features of each kind, which are brought to one scale before
            sets are compared, see `scaling`; empty: they have one.
    """

    name: str
    digest: str
    kind: str
    resizing: str
    extract: Callable[[np.ndarray], np.ndarray]
    groups: tuple[int, ...] = ()

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, uint8 or float in [0, 1]: float32 [B, D]."""
        images = image_grids.to_uint8(images)
        parts = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        return np.concatenate([self.extract(part) for part in parts])
