"""What every source of images gives: its splits (train, validation, test), and items.

Free of TensorFlow: worker processes unpickle items.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs
import numpy as np

from pipelines import crops
from pipelines.converting import images

SPLITS = ("train", "validation", "test")

# The ten coordinates of CelebA's five points, in the order of its files: x and y of the
# eye, nose and corners of the mouth that are left and right *in the picture*.
LANDMARKS = (
    *("lefteye_x", "lefteye_y", "righteye_x", "righteye_y", "nose_x", "nose_y"),
    *("leftmouth_x", "leftmouth_y", "rightmouth_x", "rightmouth_y"),
)

# `attributes` (0 or 1), `landmarks`, `identity` and `label`, which records keep; `box`:
# (x, y, width, height) of the face, x and y of its upper left corner. Landmarks and box
# are in pixels of the whole picture, upright.
Annotations = Mapping[str, Sequence[int]]


class Item(Protocol):
    """One image on its way from the source to a worker: small and picklable."""

    @property
    def key(self) -> str:
        """Return the unique name of the example."""

    def load(self) -> tuple[images.Picture, Annotations]:
        """Return the picture and its annotations, as `records.encode` takes them."""


@attrs.frozen
class Stored:
    """An item whose annotations are known beforehand.

    Attributes:
        key: Unique name of the example.
        picture: A path, an encoded image, or uint8 [H, W] or [H, W, C].
        annotations: Values of each integer field the source has.
    """

    key: str
    picture: images.Picture
    annotations: Annotations = attrs.field(factory=dict)

    @property
    def num_bytes(self) -> int:
        """Memory that the picture takes, about; of a path, as good as none."""
        if isinstance(self.picture, np.ndarray):
            return self.picture.nbytes
        return len(self.picture)

    def load(self) -> tuple[images.Picture, Annotations]:
        """Return the picture and its annotations."""
        return self.picture, self.annotations


@attrs.frozen
class Use:
    """What becomes of some columns of a file of annotations.

    Attributes:
        where: The file.
        columns: Their names there.
        role: What they become: a field of `Annotations`, `split` or `key`; `ignored`.
        reason: Why they are ignored, or nothing.
    """

    where: str
    columns: tuple[str, ...]
    role: str
    reason: str = ""


@attrs.frozen(eq=False)
class Source:
    """A set of images in splits of fixed order.

    Attributes:
        name: Data set name, for the shards and TFDS.
        digest: Hexadecimal sha256 that tells this source's content from another's.
        splits: Split name to the positions of its images, int64 [num_images],
            ascending; positions count the images of one `read` stream.
        read: From a split's name and some of its positions (ascending) to their
            items, lazily.
        kind: Its row in the table of sources, which fills it in.
        grey: Whether all images are grey, where that is known without looking.
        version: Data set version, for TFDS.
        attributes: Names of the binary attributes.
        landmarks: Names of the landmark coordinates; `LANDMARKS`, in any order, or
            others.
        box: Whether each item has the box of its face.
        identity: Whether persons are numbered.
        label_names: Names of the classes.
        uses: What becomes of each column of its annotations.
        warnings: What was found and isn't used, a sentence each.
    """

    name: str
    digest: str
    splits: Mapping[str, np.ndarray]
    read: Callable[[str, np.ndarray], Iterator[Item]]
    kind: str = ""
    grey: bool | None = None
    version: str = "1.0.0"
    attributes: tuple[str, ...] = ()
    landmarks: tuple[str, ...] = ()
    box: bool = False
    identity: bool = False
    label_names: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    warnings: tuple[str, ...] = ()

    def limited(self, limit: int) -> "Source":
        """Return the source with at most `limit` images of each split; 0: all."""
        if not limit:
            return self
        splits = {name: chosen[:limit] for name, chosen in self.splits.items()}
        return attrs.evolve(self, splits=splits)


def face(names: Sequence[str], annotations: Annotations) -> crops.Face:
    """Return where an item's face is, as far as its annotations tell.

    Args:
        names: `Source.landmarks`; others than `LANDMARKS` tell nothing.
        annotations: The item's.
    """
    points = None
    if names and set(LANDMARKS) <= set(names):
        by_name = dict(zip(names, annotations["landmarks"], strict=True))
        values = [by_name[name] for name in LANDMARKS]
        points = list(zip(values[::2], values[1::2], strict=True))
    return crops.Face(annotations.get("box"), points)


def hash_splits(
    keys: Iterable[str], ratios: Sequence[float], seed: int
) -> dict[str, np.ndarray]:
    """Assign keys to splits by a hash, so that each key's split is its own matter.

    Args:
        keys: Unique names of all images.
        ratios: Fractions of train, validation and test.
        seed: Another seed gives another partition.

    Returns:
        Split name to ascending positions in `keys`; splits may be empty.
    """
    prefix = hashlib.sha256(f"{seed}:".encode())

    def hashed(key: str) -> int:
        digest = prefix.copy()
        digest.update(key.encode())
        return int.from_bytes(digest.digest()[:8], "little")

    hashes = np.fromiter(map(hashed, keys), np.uint64)
    borders = np.cumsum(ratios)[:-1]
    return partition_splits(np.searchsorted(borders, hashes / 2.0**64, side="right"))


def partition_splits(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the positions of each split from its number (0, 1, 2), int [n]."""
    return {name: np.flatnonzero(numbers == n) for n, name in enumerate(SPLITS)}


def pick(stream: Iterator, positions: np.ndarray, start: int = 0) -> Iterator:
    """Yield the elements of a stream that stand at ascending `positions`.

    Args:
        stream: Elements from position `start` on.
        positions: int64 [n], ascending, all of them at least `start`.
        start: Position of the stream's first element.
    """
    wanted = iter(positions.tolist())
    target = next(wanted, None)
    for position, element in enumerate(stream, start):
        if target is None:
            return
        if position == target:
            yield element
            target = next(wanted, None)
