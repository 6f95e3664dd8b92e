"""A column of annotations, whatever it is from: one integer an image.

Texts are numbered. What can't be an integer is said, for `--dry_run` and refusals.
"""

import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

# Names of columns that name the images, in lower case.
KEYS = {
    *("image_id", "image", "img", "filename", "file_name", "file", "path", "name"),
    *("image_name", "image_path", "idx", "id", "key", "__key__"),
}
MAX_COLUMNS = 1024
_MAX_WORDS = 1 << 12
_MAX_WORD = 200


class Column:
    """The values of one column, in the order of the rows.

    Attributes:
        where: The file it is from, for messages.
        name: Its name there.
        role: What it becomes, where the file says so; empty: by name and values.
        classes: Names of the classes that its values number; empty: not known.
        words: The texts that its values number, in the order they came.
        fault: Why it can't be used, or nothing.
        fault_row: The row at which that was found.
    """

    def __init__(self, where: str, name: str, role: str = "", classes: Sequence = ()):
        self.where, self.name, self.role = where, name.strip(), role
        self.classes = tuple(map(str, classes))
        self.words: dict[str, int] = {}
        self.fault, self.fault_row = "", 0
        self._values = array.array("i")
        fits = 0 < len(self.name) <= _MAX_WORD and self.name.isprintable()
        if not fits or "/" in self.name:
            self.fault = "its name can't be one of a feature"

    @property
    def values(self) -> np.ndarray:
        """int32 [num_rows]; without meaning where there is a fault."""
        return np.frombuffer(self._values, np.int32)

    def extend(self, values: Iterable) -> None:
        """Add the values of the next rows: numbers, booleans or texts."""
        values = list(values)
        if self.fault or not values:
            return
        first = len(self._values)
        try:
            self._values.extend(self._numbered(values))
        except (ValueError, OverflowError):
            self._values = array.array("i")
            whole = "it holds free texts" if self.words else "its values are mixed"
            row, self.fault = next(self._faults(values), (0, whole))
            self.fault_row = first + row

    def place(self, rows: np.ndarray) -> None:
        """Move values to other rows.

        Args:
            rows: int [num_rows], the new row of each, every one of them once.
        """
        if self.fault:
            self.fault_row = int(rows[self.fault_row]) if len(rows) else 0
        else:
            placed = np.empty(len(rows), np.int32)
            placed[rows] = self.values
            self._values = array.array("i", placed.tobytes())

    def _numbered(self, values: list) -> list[int]:
        kinds = set(map(type, values))
        if kinds == {str}:
            return self._texts(values)
        if self.words:
            raise ValueError("numbers among texts")
        return values if kinds <= {int, bool} else [_whole(value) for value in values]

    def _texts(self, values: list[str]) -> list[int]:
        if not self.words and (len(self._values) or _is_number(values[0])):
            try:
                return list(map(int, values))
            except ValueError:
                return [_whole(value) for value in values]
        for value in values:
            self.words.setdefault(value.strip(), len(self.words))
        if len(self.words) > _MAX_WORDS or any(len(w) > _MAX_WORD for w in self.words):
            raise ValueError("too many texts")
        if "" in self.words:
            raise ValueError("an empty text")
        return [self.words[value.strip()] for value in values]

    def _faults(self, values: list) -> Iterator[tuple[int, str]]:
        """Yield what is wrong with each of some values that can't be taken."""
        limits = np.iinfo(np.int32)
        for row, value in enumerate(values):
            if value is None or value != value or value == "":
                yield row, "values are missing"
            elif self.words:
                if not isinstance(value, str):
                    yield row, "numbers and texts are mixed"
            else:
                try:
                    if not limits.min <= _whole(value) <= limits.max:
                        yield row, f"{str(value)[:40]!r} is beyond 32 bits"
                except ValueError:
                    yield row, f"{str(value)[:40]!r} is no whole number"


class Gathered:
    """Columns whose rows come some at a time; what not all rows have is at fault.

    Attributes:
        columns: By name.
    """

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self._num_rows = 0

    def add(
        self,
        where: str,
        num_rows: int,
        values: Mapping[str, Sequence],
        classes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Add the values of the next rows, by column.

        Args:
            where: The file they are from, for messages.
            num_rows: How many rows they are.
            values: Of each column, as many; None where a row has none.
            classes: Names of the classes that a column numbers, where they are known.

        Raises:
            ValueError: There are too many columns.
        """
        for name, some in values.items():
            if name not in self.columns:
                if len(self.columns) >= MAX_COLUMNS:
                    raise ValueError(f"more than {MAX_COLUMNS} columns")
                column = Column(where, name, classes=(classes or {}).get(name, ()))
                self.columns[name] = column
                column.extend([None] * min(self._num_rows, 1))
            self.columns[name].extend(some)
        for name in self.columns.keys() - values.keys():
            self.columns[name].extend([None])
        self._num_rows += num_rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(value: object) -> int:
    """Return a whole number that may be written as a text or a float."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool | int | np.integer | np.bool_):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    raise ValueError("no whole number")
