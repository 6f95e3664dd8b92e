"""A source of images that have annotations, wherever the images lie."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pipelines.converting import images
from pipelines.converting import source as source_lib
from pipelines.sources import roles

# More than any set of faces has; of each image, key and annotations are in memory.
MAX_IMAGES = 10_000_000


def make_source(
    name: str,
    version: str,
    digest: str,
    keys: Sequence[str],
    splits: Mapping[str, np.ndarray],
    resolved: roles.Resolved,
    pictures: Callable[[np.ndarray], Iterator[images.Picture]],
    uses: Sequence[source_lib.Use] = (),
    warnings: Sequence[str] = (),
) -> source_lib.Source:
    """Make a source.

    Args:
        name: Data set name.
        version: Data set version.
        digest: Hexadecimal sha256 of its content.
        keys: Unique name of each image.
        splits: Split name to positions in `keys`, ascending.
        resolved: The annotations, in the order of `keys`.
        pictures: From ascending positions in `keys` to the pictures that stand there.
        uses: What becomes of columns that aren't in `resolved`.
        warnings: Of what was found and isn't used.
    """
    fields, names = resolved.fields, resolved.names

    def read(_: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        # Pictures first: their end is reached, where checksums are compared.
        pairs = zip(pictures(positions), positions.tolist(), strict=False)
        for picture, row in pairs:
            annotations = {field: v[row].tolist() for field, v in fields.items()}
            yield source_lib.Stored(keys[row], picture, annotations)

    return source_lib.Source(
        name=name,
        version=version,
        digest=digest,
        splits=splits,
        read=read,
        attributes=names.get("attributes", ()),
        landmarks=names.get("landmarks", ()),
        box="box" in names,
        identity="identity" in names,
        label_names=resolved.label_names,
        uses=(*resolved.uses, *uses),
        warnings=(*warnings, *_strange_boxes(keys, fields.get("box"))),
    )


def _strange_boxes(keys: Sequence[str], boxes: np.ndarray | None) -> list[str]:
    """Return a warning of boxes (x, y, width, height) that can't hold a face."""
    if boxes is None:
        return []
    strange = np.flatnonzero((boxes[:, :2] < 0).any(1) | (boxes[:, 2:] < 1).any(1))
    if not len(strange):
        return []
    first = strange[0]
    return [
        f"{len(strange):,} boxes begin outside of their image or have no area, first "
        f"that of {keys[first]}: {', '.join(map(str, boxes[first]))}."
    ]
