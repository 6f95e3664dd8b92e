"""Rows of annotations, brought to the images that they name."""

import hashlib
from collections.abc import Sequence

import attrs
import numpy as np

from pipelines import files
from pipelines.converting import images
from pipelines.sources import columns, trees


@attrs.frozen(eq=False)
class Table:
    """What a file says of the images.

    Attributes:
        columns: Its columns, in the order of the images.
        sha256: Hexadecimal digest of the file's content.
        num_unknown: How many rows are of images that aren't there.
        unknown: The first of these images; empty: there is none.
    """

    columns: list[columns.Column]
    sha256: str
    num_unknown: int
    unknown: str


class Names:
    """Finds images by what a table calls them: their key, a path, or a bare name.

    Attributes:
        keys: The keys of all images, in their order.
    """

    def __init__(self, keys: list[str]):
        self.keys = keys
        self._rows = {key: row for row, key in enumerate(keys)}
        self._others: dict[str, int] | None = None

    def find(self, name: str) -> int:
        """Return the row of an image; -1: it isn't there."""
        row = self._rows.get(name)
        if row is None:
            row = self._by_other(name)
        return row

    def _by_other(self, name: str) -> int:
        """Look for a file name alone, and for one without its suffix."""
        if self._others is None:
            self._others = {}
            for row, key in enumerate(self.keys):
                bare = key.rsplit("/", 1)[-1]
                for other in {bare, bare.rsplit(".", 1)[0]}:
                    # -1: the name isn't one image's alone.
                    self._others[other] = -1 if other in self._others else row
        bare = name.replace("\\", "/").rsplit("/", 1)[-1]
        if bare not in self._others and bare.lower().endswith(images.SUFFIXES):
            bare = bare.rsplit(".", 1)[0]
        return self._others.get(bare, -1)


class Placed:
    """The rows of a file, each placed at its image.

    Args of the constructor: the images, the file's path, whether rows of images that
    aren't there are an error, and, where the table is of several files, their paths.
    """

    def __init__(
        self, names: Names, path: str, strict: bool = False, paths: Sequence[str] = ()
    ):
        self._names, self._path, self._strict = names, path, strict
        self._paths = paths or (path,)
        self._seen = np.zeros(len(names.keys), bool)
        self._order: list[int] = []
        self._num_unknown, self._unknown = 0, ""

    def knows(self, name: str) -> bool:
        """Say whether there is an image of a name."""
        return self._names.find(name) >= 0

    def add(self, name: str, where: str = "") -> bool:
        """Place the next row at the image of a name; say whether it is there.

        Raises:
            UserError: The name has come before; or it isn't there, where that matters.
        """
        row = self._names.find(name)
        if row < 0:
            if self._strict:
                raise files.UserError(
                    f"Expected only images that exist in {self._path}, received "
                    f"{name[:80]!r}{where}, which is not there; add the image or "
                    "remove the line."
                )
            self._num_unknown += 1
            self._unknown = self._unknown or name[:80]
            return False
        if self._seen[row]:
            raise files.UserError(
                f"Expected every name once in {self._path}, received {name[:80]!r} "
                f"again{where}; remove one of them."
            )
        self._seen[row] = True
        self._order.append(row)
        return True

    def table(self, found: list[columns.Column], tree: trees.Tree) -> Table:
        """Return the columns, whose rows have been added, in the order of the images.

        Raises:
            UserError: Images are missing.
        """
        if not self._seen.all():
            missing = self._names.keys[int(np.argmin(self._seen))]
            raise files.UserError(
                f"Expected every image in {self._path}, {np.sum(~self._seen)} are "
                f"missing, first {missing!r}; complete the file, or remove it to "
                "convert without it."
            )
        order = np.array(self._order, np.int64)
        for column in found:
            column.place(order)
        digest = hashlib.sha256()
        for path in self._paths:
            with tree.open(path) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return Table(found, digest.hexdigest(), self._num_unknown, self._unknown)
