"""Arrays of images in files, streamed row by row; no file is ever held whole."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

import attrs
import numpy as np

from pipelines import files
from pipelines.convert import source as source_lib
from pipelines.sources import archives
from pipelines.sources import request as request_lib

# Of an array: more than any file of MNIST's kind has, and what memory has room for,
# some bytes of an image's place and dozens of images at a time.
MAX_IMAGES = 10_000_000
_MAX_IMAGE_BYTES = 1 << 24

_SPLIT_WORDS = (
    ("validation", re.compile(r"(^|[-_.])val(id(ation)?)?([-_.]|$)")),
    ("test", re.compile(r"(^|[-_.])(test|t10k)([-_.]|$)")),
    ("train", re.compile(r"(^|[-_.])train([-_.]|$)")),
)


@attrs.frozen
class Rows:
    """An array of rows in a file.

    Attributes:
        label: Where it is, for messages.
        shape: Of the whole array.
        dtype: Of the whole array.
        open: Opens the stream at the first row.
    """

    label: str
    shape: tuple[int, ...]
    dtype: np.dtype
    open: Callable[[], BinaryIO]

    def stream(self) -> Iterator[np.ndarray]:
        """Yield one row after the other, each [...] without the first axis.

        Raises:
            UserError: The file ends early or is damaged.
        """
        row_shape = self.shape[1:]
        num_bytes = math.prod(row_shape) * self.dtype.itemsize
        try:
            with self.open() as file:
                for _ in range(self.shape[0]):
                    data = file.read(num_bytes)
                    if len(data) < num_bytes:
                        raise EOFError("it ends early")
                    yield np.frombuffer(data, self.dtype).reshape(row_shape)
                if file.read(1):  # At the end, checksums are compared.
                    raise ValueError("it goes on after the last row")
        except archives.UNREADABLE as error:
            raise damaged(self.label, error) from error


def damaged(label: str, error: Exception) -> files.UserError:
    """Return the error for a file that can't be read."""
    return files.UserError(
        f"Expected a readable array in {label}, it is damaged ({error}); fetch the "
        "file again."
    )


def split_of(name: str) -> str | None:
    """Return the split that an array's or a file's name speaks of, if any."""
    return next((s for s, word in _SPLIT_WORDS if word.search(name.lower())), None)


def by_split(arrays: dict[str, Rows]) -> dict[str | None, Rows]:
    """Map splits to the arrays of images whose names speak of them.

    A single array is the whole data set, under None.

    Raises:
        UserError: Several arrays that the names don't tell apart.
    """
    splits = {}
    for name, rows in arrays.items():
        split = split_of(name) if len(arrays) > 1 else None
        if split in splits or (split is None and len(arrays) > 1):
            listed = ", ".join(f"{n} {r.shape}" for n, r in arrays.items())
            raise files.UserError(
                f"Expected one array of images, or one with train, validation or test "
                f"in its name for each split, received {listed}; keep only one of them."
            )
        splits[split] = rows
    return splits


def read_labels(labels: Rows, images: Rows) -> np.ndarray:
    """Return int32 [N], checked against the number of images."""
    if labels.shape[0] != images.shape[0]:
        raise files.UserError(
            f"Expected as many labels as images, {images.shape[0]}, received "
            f"{labels.shape[0]} in {labels.label}; fetch the files again."
        )
    if labels.shape[1:] not in ((), (1,)):
        raise files.UserError(
            f"Expected one label for each image, received {list(labels.shape)} in "
            f"{labels.label}; fetch the file again."
        )
    flat = (int(row.reshape(-1)[0]) for row in labels.stream())
    values = np.fromiter(flat, np.int64, labels.shape[0])
    if values.size and not 0 <= values.min() <= values.max() < 2**20:
        raise files.UserError(
            f"Expected labels from 0 up in {labels.label}, received {values.min()} to "
            f"{values.max()}; number the classes from 0."
        )
    return values.astype(np.int32)


def _check_images(rows: Rows) -> None:
    shape = rows.shape
    deep = len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3, 4))
    if rows.dtype != np.uint8 or not deep or 0 in shape[1:]:
        raise files.UserError(
            "Expected images as uint8 [N, H, W] or [N, H, W, 1, 3 or 4], received "
            f"{rows.dtype} {list(shape)} in {rows.label}; scale to 0 to 255, put the "
            "channels last and save again."
        )
    num_bytes = math.prod(shape[1:])
    if shape[0] > MAX_IMAGES or num_bytes > _MAX_IMAGE_BYTES:
        raise files.UserError(
            f"Expected at most {MAX_IMAGES:,} images of at most {_MAX_IMAGE_BYTES:,} "
            f"bytes, received {shape[0]:,} of {num_bytes:,} in {rows.label}; convert "
            "from a folder of images instead."
        )


def make_source(
    request: request_lib.Request,
    prints: list[str],
    images: dict[str | None, Rows],
    labels: dict[str | None, np.ndarray],
) -> source_lib.Source:
    """Make a source of arrays.

    Args:
        request: Gives the data set's name, and the fractions of splits where there is
            a single array.
        prints: What the digest covers, a line for each file or member, sorted.
        images: The arrays as `by_split` gives them.
        labels: int32 [N] for each of them, or empty.

    Raises:
        UserError: Arrays that are no images; labels for only some of them.
    """
    for rows in images.values():
        _check_images(rows)
    if labels and len(labels) < len(images):
        raise files.UserError(
            "Expected labels for every array of images or for none, received them "
            f"only for {', '.join(labels)}; add the missing ones."
        )
    if len(images) > 1:
        splits = {
            split: np.arange(images[split].shape[0])
            for split in source_lib.SPLITS
            if split in images
        }
    else:
        keys = (_key(None, position) for position in range(images[None].shape[0]))
        splits = source_lib.hash_splits(
            keys, request.config.split_ratios, request.config.seed
        )

    def read(split: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        part = split if len(images) > 1 else None
        rows = enumerate(images[part].stream())
        for position, pixels in source_lib.pick(rows, positions):
            known = {"label": [int(labels[part][position])]} if labels else {}
            yield source_lib.Stored(_key(part, position), pixels, known)

    num_classes = 1 + max((int(v.max(initial=0)) for v in labels.values()), default=-1)
    return source_lib.Source(
        name=request.name,
        digest=hashlib.sha256("\n".join(prints).encode()).hexdigest(),
        splits=splits,
        read=read,
        grey=all(len(r.shape) == 3 or r.shape[-1] == 1 for r in images.values()),
        label_names=tuple(map(str, range(num_classes))),
    )


def _key(split: str | None, position: int) -> str:
    return f"{split}_{position:07d}" if split else f"{position:07d}"
