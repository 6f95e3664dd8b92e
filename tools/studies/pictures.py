"""Pictures of a report: grids of images, and charts."""

import numpy as np

from vae_prod.reporting import image_grids, report

# Charts have more pixels than they are shown with, to be sharp on phones and paper.
_CHART_SCALE = 2 / 3
# Smaller images are shown enlarged to about this many pixels.
_READABLE_HEIGHT = 96


def grid(name: str, images: np.ndarray, columns: int, caption: str) -> report.Picture:
    """Show images in rows.

    Args:
        name: The picture's name.
        images: uint8 or float in [0, 1] [N, H, W, C].
        columns: Images of a row.
        caption: What to see.
    """
    sheet = image_grids.grid(images, columns)
    scale = max(1, round(_READABLE_HEIGHT / images.shape[1]))
    return report.Picture(name, image_grids.png_bytes(sheet), caption, scale=scale)


def pairs(name: str, columns: int, caption: str, *sets: np.ndarray) -> report.Picture:
    """Show sets of images row above row: a row of the first, the same of the next, ...

    Args:
        name: The picture's name.
        columns: Images of a row, at most; the last row that isn't full is left out.
        caption: What to see.
        *sets: uint8 or float in [0, 1] [N, H, W, C], as many each.
    """
    columns = min(columns, len(sets[0]))
    full = len(sets[0]) // columns * columns
    rows = image_grids.stacked_rows(
        columns, *(image_grids.to_uint8(s[:full]) for s in sets)
    )
    return grid(name, rows, columns, caption)


def chart(name: str, sheet: np.ndarray, caption: str) -> report.Picture:
    """Show a chart, uint8 [H, W, 3]."""
    return report.Picture(
        name, image_grids.png_bytes(sheet), caption, scale=_CHART_SCALE
    )
