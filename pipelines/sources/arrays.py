"""Arrays of images in files, streamed row by row; no file is ever held whole."""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import attrs
import numpy as np

from pipelines import files
from pipelines.converting import source as source_lib
from pipelines.sources import annotated, archives, columns, roles
from pipelines.sources import request as request_lib
from pipelines.sources import splits as splits_lib

# Dozens of images are in memory at a time.
_MAX_IMAGE_BYTES = 1 << 24

_MAX_CLASSES = 1 << 12
_LABELS_AT_ONCE = 1 << 12


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


def by_split(arrays: dict[str, Rows]) -> dict[str | None, Rows]:
    """Map splits to the arrays of images whose names speak of them.

    A single array is the whole data set, under None.

    Raises:
        UserError: Several arrays that the names don't tell apart.
    """
    splits = {}
    for name, rows in arrays.items():
        split = splits_lib.of_name(name) if len(arrays) > 1 else None
        if split in splits or (split is None and len(arrays) > 1):
            listed = ", ".join(f"{n} {r.shape}" for n, r in arrays.items())
            raise files.UserError(
                f"Expected one array of images, or one with train, validation or test "
                f"in its name for each split, received {listed}; keep only one of them."
            )
        splits[split] = rows
    return splits


def is_label(rows: Rows) -> bool:
    """Say whether an array can hold labels: a value or a row of classes an image."""
    flat = len(rows.shape) == 1 or (
        len(rows.shape) == 2 and 1 <= rows.shape[1] <= _MAX_CLASSES
    )
    return flat and rows.dtype.kind in "biufSU"


def _read_labels(
    images: dict[str | None, Rows], labels: dict[str | None, Rows]
) -> roles.Resolved:
    """Return the classes of all images, split after split."""
    column = columns.Column(next(iter(labels.values())).label, "label", "label")
    for split, rows in images.items():
        found = labels[split]
        if found.shape[0] != rows.shape[0]:
            raise files.UserError(
                f"Expected as many labels as images, {rows.shape[0]}, received "
                f"{found.shape[0]} in {found.label}; fetch the files again."
            )
        if not is_label(found):
            raise files.UserError(
                f"Expected one label for each image, received {list(found.shape)} in "
                f"{found.label}; fetch the file again."
            )
        values = (_class_of(row, found.label) for row in found.stream())
        while some := list(itertools.islice(values, _LABELS_AT_ONCE)):
            column.extend(some)
    return roles.resolve([column])


def _class_of(row: np.ndarray, label: str) -> int | float | str:
    """Return what a row says: a number, a name, or the place of the one 1 in it."""
    if row.size == 1:
        value = row.reshape(-1)[0].item()
        return value.decode(errors="replace") if isinstance(value, bytes) else value
    if row.dtype.kind in "biuf" and np.count_nonzero(row) == 1 and row.max() == 1:
        return int(np.argmax(row))
    raise files.UserError(
        f"Expected one label for each image in {label}, or a row with a single 1, "
        "received a row of other values; save numbers or names of classes."
    )


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
    if shape[0] > annotated.MAX_IMAGES or num_bytes > _MAX_IMAGE_BYTES:
        raise files.UserError(
            f"Expected at most {annotated.MAX_IMAGES:,} images of at most "
            f"{_MAX_IMAGE_BYTES:,} bytes, received {shape[0]:,} of {num_bytes:,} in "
            f"{rows.label}; convert from a folder of images instead."
        )


def make_source(
    request: request_lib.Request,
    prints: list[str],
    images: dict[str | None, Rows],
    labels: dict[str | None, Rows],
    warnings: Sequence[str] = (),
) -> source_lib.Source:
    """Make a source of arrays.

    Args:
        request: Gives the data set's name, and the fractions of splits where there is
            a single array.
        prints: What the digest covers, a line for each file or member, sorted.
        images: The arrays as `by_split` gives them.
        labels: The labels of each of them, or empty: numbers, names, or rows with a
            single 1.
        warnings: Of what isn't used.

    Raises:
        UserError: Arrays that are no images; labels for only some of them.
    """
    for rows in images.values():
        _check_images(rows)
    if labels and len(labels) < len(images):
        raise files.UserError(
            "Expected labels for every array of images or for none, received them "
            f"only for {', '.join(map(str, labels))}; add the missing ones."
        )
    ordered: dict[str | None, Rows] = {
        split: images[split] for split in source_lib.SPLITS if split in images
    }
    images = ordered or images
    keys = [
        _key(split, position)
        for split, rows in images.items()
        for position in range(rows.shape[0])
    ]
    ends = np.cumsum([0, *(rows.shape[0] for rows in images.values())])
    splits = {s: np.arange(*ends[n : n + 2]) for n, s in enumerate(images) if s}
    if len(images) == 1:
        config = request.config
        splits = source_lib.hash_splits(keys, config.split_ratios, config.seed)

    def pictures(positions: np.ndarray) -> Iterator[np.ndarray]:
        for begin, end, rows in zip(ends, ends[1:], images.values(), strict=False):
            inside = positions[(positions >= begin) & (positions < end)]
            if len(inside):
                yield from source_lib.pick(rows.stream(), inside - begin)

    source = annotated.make_source(
        name=request.name,
        version="1.0.0",
        digest=hashlib.sha256("\n".join(prints).encode()).hexdigest(),
        keys=keys,
        splits=splits,
        resolved=_read_labels(images, labels) if labels else roles.resolve([]),
        pictures=pictures,
        warnings=warnings,
    )
    grey = all(len(r.shape) == 3 or r.shape[-1] == 1 for r in images.values())
    return attrs.evolve(source, grey=grey)


def _key(split: str | None, position: int) -> str:
    return f"{split}_{position:07d}" if split else f"{position:07d}"
