"""Images of the best trials' random samples, side by side on one sheet."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_prod.reporting import image_grids

# In pixels; smaller images are enlarged.
_SMALL, _TITLE_SIZE, _GAP = 64, 15, 24


def samples_side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Lay sets of images next to each other, each a grid under its title.

    Args:
        panels: At least one; title, and images uint8 [N, H, W, C] with C 1 or 3. Small
            images are enlarged, all by the same factor.

    Returns:
        uint8 [height, width, 3].
    """
    factor = -(-_SMALL // max(images.shape[1] for _, images in panels))
    font = ImageFont.load_default(_TITLE_SIZE)
    sheets, titles = [], []
    for title, images in panels:
        images = images.repeat(factor, axis=1).repeat(factor, axis=2)
        columns = math.ceil(math.sqrt(len(images)))
        sheets.append(image_grids.grid(images, columns, gap=2 * factor))
        width = max(int(sheets[-1].shape[1] / font.getlength("0")), 12)
        titles.append("\n".join(textwrap.wrap(title, width)))
    canvas = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [canvas.textbbox((0, 0), title, font) for title in titles]
    top = int(max(box[3] for box in boxes)) + _GAP
    widths = [
        max(sheet.shape[1], int(box[2])) + _GAP
        for sheet, box in zip(sheets, boxes, strict=True)
    ]
    height = top + max(len(sheet) for sheet in sheets) + _GAP // 2
    page = Image.new("RGB", (sum(widths), height), "white")
    left = _GAP // 2
    for sheet, title, width in zip(sheets, titles, widths, strict=True):
        ImageDraw.Draw(page).text((left, _GAP // 2), title, "black", font)
        page.paste(Image.fromarray(sheet), (left, top))
        left += width
    return np.asarray(page)
