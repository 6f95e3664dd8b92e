"""Pixels whose values can't be meant: 0 and 1 where 0 to 255 is the range."""

import numpy as np

from pipelines import files
from pipelines.converting import images
from pipelines.converting import source as source_lib

_LOOKED_AT = 16


def require_eight_bits(source: source_lib.Source) -> None:
    """Refuse a source whose first images have only the values 0 and 1.

    Raises:
        UserError: They have. Black images alone say nothing.
    """
    split, positions = next(iter(source.splits.items()))
    brightest = 0
    for item in source.read(split, positions[:_LOOKED_AT]):
        try:
            pixels = np.asarray(images.load(item.load()[0], 3))
        except images.ImageError:
            continue  # It is named when it is converted.
        brightest = max(brightest, int(pixels.max(initial=0)))
        if brightest > 1:
            return
    if brightest == 1:
        raise files.UserError(
            "Expected pixels from 0 to 255, received only 0 and 1 in the first images; "
            "multiply them by 255 and save them again."
        )
