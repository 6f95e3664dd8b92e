"""JPEGs decoded no further than their use needs, with Pillow's draft mode.

Three savings, each with what it changes at most (tested on faces and on noise):

- A JPEG that becomes a JPEG stays in its own colour space, YCbCr: no conversion to
  RGB and back. Nothing is lost by that: what is stored is as near to the lossless
  result as by way of RGB (root mean square error within 5%).
- A JPEG that becomes grey has its luma decoded alone: within 0.1 levels of 255, on
  average over an image, of the luma of its RGB.
- A JPEG that stays at least `OVERSAMPLING` times as large as what it becomes is
  decoded at 1/2, 1/4 or 1/8 of its size and resampled from there: within 1.5 levels
  of full decoding, on average over a face (within 5 for noise, the worst there is).

Everything else is decoded in full: other formats, CMYK, RGB stored as such. Padded
colour images are decoded to RGB, for their black is one of RGB. Only for filters of
wide support are images reduced: `nearest` and `box` are defined by single pixels.
"""

import math

from PIL import Image

from pipelines import config as config_lib

OVERSAMPLING = 2

_WIDE_FILTERS = ("bilinear", "hamming", "bicubic", "lanczos")


def begin(
    image: Image.Image,
    config: config_lib.ConvertConfig,
    channels: int,
    shrinkage: float,
) -> tuple[str, int]:
    """Tell Pillow what is wanted of a picture before it decodes it.

    Args:
        image: Opened, not decoded.
        config: Uses `encoding`, `pad` and `resample`.
        channels: 1 or 3.
        shrinkage: How many of its pixels become one, along the axis with fewer; 1
            keeps it from being reduced.

    Returns:
        (the mode to handle it in: `L`, `RGB` or `YCbCr`,
        how many times smaller it will be: 1, 2, 4 or 8).
    """
    mode = {1: "L", 3: "RGB"}[channels]
    if image.format != "JPEG":
        return mode, 1
    # Without the JFIF mark, libjpeg may find RGB in the file.
    is_ycc = image.mode == "RGB" and "jfif" in image.info
    if is_ycc and channels == 3 and config.encoding == "jpeg" and not config.pad:
        mode = "YCbCr"
    may_reduce = config.resample in _WIDE_FILTERS
    part = min(1.0, OVERSAMPLING / shrinkage) if may_reduce else 1.0
    width, height = image.size
    wanted = math.ceil(width * part), math.ceil(height * part)
    drafted = image.draft(mode if is_ycc else None, wanted)
    return mode, round(width / drafted[1][2]) if drafted else 1
