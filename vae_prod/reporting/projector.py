"""Latent points for TensorBoard's embedding projector, with pictures and labels.

The projector shows points of a folder that holds an event file too, so the folder is
one that scalars or pictures are written to. Files and their forms:
https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import numpy as np
from PIL import Image
from tensorboard.plugins import projector

from pipelines import files
from vae_prod.reporting import image_grids

# The projector reads no larger picture than this many pixels a side.
_SHEET_SIDE = 8192
_LARGEST_THUMBNAIL = 64


@attrs.frozen(eq=False)
class Points:
    """Points to look at.

    Attributes:
        name: What they are; letters, digits and `_`.
        points: float [N, z_dim]; the browser holds them all, so a few thousand.
        images: uint8 or float in [0, 1] [N, H, W, C], shown at the points; made
            smaller to fit on a sheet.
        metadata: Column name to its N values, to colour and search the points by.
    """

    name: str
    points: np.ndarray
    images: np.ndarray | None = None
    metadata: Mapping[str, Sequence] = {}

    def write(self, directory: str) -> None:
        """Write them for the projector; an older set is replaced.

        Args:
            directory: Folder of an event file, under TensorBoard's --logdir.
        """
        config = projector.ProjectorConfig()
        place = config.embeddings.add(tensor_name=self.name)
        place.tensor_path = f"{self.name}.tsv"
        lines = ("\t".join(f"{x:.6g}" for x in point) for point in self.points)
        _write_lines(os.path.join(directory, place.tensor_path), lines)
        if self.metadata:
            place.metadata_path = f"{self.name}_metadata.tsv"
            _write_lines(os.path.join(directory, place.metadata_path), self._metadata())
        if self.images is not None:
            place.sprite.image_path = f"{self.name}_sprite.png"
            sheet, size = sprite(self.images)
            place.sprite.single_image_dim.extend(size)
            image_grids.save_png(
                os.path.join(directory, place.sprite.image_path), sheet
            )
        projector.visualize_embeddings(directory, config)

    def _metadata(self) -> Iterator[str]:
        # A single column has no heading: the projector would take it for a point.
        heading = [tuple(self.metadata)] if len(self.metadata) > 1 else []
        for row in [*heading, *zip(*self.metadata.values(), strict=True)]:
            yield "\t".join(re.sub(r"[\t\r\n]", " ", str(value)) for value in row)


def sprite(images: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Lay images out on one square sheet, as the projector cuts it.

    Args:
        images: uint8 or float in [0, 1] [N, H, W, C].

    Returns:
        The sheet, uint8 [side, side, 3], and the (width, height) of an image on it.
    """
    num, height, width = images.shape[:3]
    across = math.ceil(math.sqrt(num))
    longest = max(height, width)
    scale = min(1.0, _LARGEST_THUMBNAIL / longest, _SHEET_SIDE / (across * longest))
    size = max(1, int(width * scale)), max(1, int(height * scale))
    small = np.stack([_resized(image, size) for image in image_grids.to_uint8(images)])
    sheet = image_grids.grid(small, across, gap=0)
    full = np.zeros((across * size[1], across * size[0], 3), np.uint8)
    full[: sheet.shape[0], : sheet.shape[1]] = sheet
    return full, size


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    grey = image.shape[-1] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    resized = np.asarray(picture.resize(size, Image.Resampling.BOX))
    return resized[..., None] if grey else resized


def _write_lines(path: str, lines: Iterable[str]) -> None:
    with files.open_new(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)
