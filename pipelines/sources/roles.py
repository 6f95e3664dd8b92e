"""What becomes of columns of annotations.

Where the file's name says it (`list_attr_celeba`), all its columns have that role, and
other values are an error. Else it follows from a column's name and values, and a column
that becomes nothing is kept with the reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import numpy as np

from pipelines import examples, files
from pipelines.converting import source as source_lib
from pipelines.sources import columns as columns_lib
from pipelines.sources import splits

BOX = examples.BOX
# Role of a column by its name, in lower case; of any other, `attributes`.
BY_NAME = {
    **dict.fromkeys(source_lib.LANDMARKS, "landmarks"),
    **dict.fromkeys(BOX, "box"),
    **dict.fromkeys(("split", "partition", "subset"), "split"),
    **dict.fromkeys(("identity", "identity_no", "celeb_id", "person_id"), "identity"),
    **dict.fromkeys(("label", "labels", "class", "target", "cls"), "label"),
}
# Lists that are several columns, by their name and length.
_LISTS = {
    **{(name, 4): BOX for name in ("bbox", "box", "face_bbox")},
    ("landmarks", 10): source_lib.LANDMARKS,
}
_EXPECTED = {
    "attributes": "only the values -1, 1 or 0, 1",
    "landmarks": "whole numbers",
    "box": "whole numbers",
    "identity": "whole numbers",
    "split": "only the values 0, 1, 2 or names of splits",
    "label": "whole numbers from 0 up, or names",
}
_TWO_VALUED = ({0, 1}, {-1, 1})
_ONE_COLUMN = ("identity", "split", "label")
_MAX_CLASSES = 1 << 20


@attrs.frozen(eq=False)
class Resolved:
    """What the columns of a source become.

    Attributes:
        fields: Field of `source.Annotations` to its values, int [num_images, n].
        names: Field to the names of its n columns.
        partition: Number of each image's split in `source.SPLITS`, int [num_images],
            or None.
        label_names: Names of the classes.
        uses: What becomes of each column.
    """

    fields: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str, ...]]
    partition: np.ndarray | None
    label_names: tuple[str, ...]
    uses: tuple[source_lib.Use, ...]

    def digest_lines(self) -> Iterable[bytes]:
        """Yield what a source's digest covers of the annotations."""
        for field in sorted(self.fields):
            yield f"{field} {self.names[field]} {self.label_names}".encode()
            yield np.ascontiguousarray(self.fields[field]).tobytes()
        if self.partition is not None:
            yield self.partition.tobytes()


def of_lists(name: str, values: Sequence) -> dict[str, list]:
    """Return the several columns that a column of lists is, by name; or none."""
    flat = [_flat(value) for value in values]
    lengths = {len(value) for value in flat}
    names = _LISTS.get((name.lower(), max(lengths, default=0)))
    if not names or len(lengths) > 1:
        return {}
    parts = zip(*flat, strict=True)
    return dict(zip(names, map(list, parts), strict=True))


def _flat(value: object) -> list:
    """Return a list without the lists in it; of anything else, an empty one."""
    flat = []
    for part in value if isinstance(value, list) else ():
        flat += part if isinstance(part, list) else [part]
    return flat


def resolve(
    columns: Sequence[columns_lib.Column],
    name_of: Callable[[int], str] = lambda row: f"row {row}",
) -> Resolved:
    """Find out what columns of one length become.

    Args:
        columns: In the order of their files. Of two that claim one place, the first
            has it.
        name_of: What a row is called, for messages.

    Raises:
        UserError: A column whose role its file says has other values, or one whose
            name is twice in its file.
    """
    roles: dict[str, list[columns_lib.Column]] = {}
    ignored: list[tuple[columns_lib.Column, str]] = []
    for column in columns:
        role, reason = _role(column)
        taken = [c for c in roles.get(role, ()) if _collide(role, c, column)]
        if column.role and reason:
            _refuse(column, reason, name_of)
        if taken and taken[0].where == column.where and role == "attributes":
            raise files.UserError(
                f"Expected every name of a column once in {column.where}, received "
                f"{column.name!r} twice; remove or rename one of them."
            )
        if taken:
            reason = f"{taken[0].name} of {taken[0].where} is taken"
        if reason:
            ignored.append((column, reason))
        else:
            roles.setdefault(role, []).append(column)
    if 0 < len(roles.get("box", ())) < len(BOX):
        reason = f"a box needs {', '.join(BOX)}"
        ignored += [(column, reason) for column in roles.pop("box")]
    return _joined(roles, ignored)


def _collide(role: str, one: columns_lib.Column, other: columns_lib.Column) -> bool:
    """Say whether two columns can't both have a role."""
    return role in _ONE_COLUMN or (one.name.lower() == other.name.lower())


def _refuse(
    column: columns_lib.Column, reason: str, name_of: Callable[[int], str]
) -> None:
    raise files.UserError(
        f"Expected {_EXPECTED[column.role]} in {column.where}, received a column "
        f"{column.name!r}: {reason} ({name_of(column.fault_row)}); fetch the file "
        "again, or remove it to convert without it."
    )


def _role(column: columns_lib.Column) -> tuple[str, str]:
    """Return what a column becomes, or why it becomes nothing."""
    role = column.role or BY_NAME.get(column.name.lower(), "attributes")
    if column.fault:
        return role, column.fault
    if not len(column.values):
        return role, "it is empty"
    if role == "box" and column.name.lower() not in BOX:
        return role, f"its name is none of {', '.join(BOX)}"
    if role == "split":
        if column.words:
            strange = [word for word in column.words if not splits.of_word(word)]
            return role, f"{strange[0][:40]!r} is no split" if strange else ""
        return role, _other_than(column, {0, 1, 2})
    if role == "label":
        least, most = column.values.min(), column.values.max()
        classes = len(column.classes) or _MAX_CLASSES
        fits = 0 <= least <= most < classes
        return role, "" if fits else f"it has the classes {least} to {most}"
    if column.words:
        return role, "it holds texts"
    if role == "attributes":
        reasons = [_other_than(column, allowed) for allowed in _TWO_VALUED]
        return role, reasons[0] and reasons[1]
    return role, ""


def _other_than(column: columns_lib.Column, allowed: set[int]) -> str:
    others = ~np.isin(column.values, list(allowed))
    if not others.any():
        return ""
    column.fault_row = int(np.argmax(others))
    return f"{column.values[column.fault_row]} is among its values"


def _joined(roles: dict, ignored: list) -> Resolved:
    fields: dict[str, np.ndarray] = {}
    names: dict[str, tuple[str, ...]] = {}
    partition = None
    label_names: tuple[str, ...] = ()
    if box := roles.get("box"):
        roles["box"] = sorted(box, key=lambda c: BOX.index(c.name.lower()))
    for role, columns in roles.items():
        if role == "split":
            partition = _partition(columns[0])
            continue
        if role == "label":
            label_names, fields[role] = _classes(columns[0])
        elif role == "attributes":
            signs = [(column.values > 0).astype(np.int8) for column in columns]
            fields[role] = np.stack(signs, axis=1)
        else:
            fields[role] = np.stack([column.values for column in columns], axis=1)
        names[role] = tuple(column.name for column in columns)
        if role == "landmarks":  # Known in any case.
            names[role] = tuple(name.lower() for name in names[role])
    uses: dict[tuple, list[str]] = {}
    for role, columns in roles.items():
        for column in columns:
            uses.setdefault((column.where, role, ""), []).append(column.name)
    for column, reason in ignored:
        uses.setdefault((column.where, "ignored", reason), []).append(column.name)
    listed = tuple(source_lib.Use(w, tuple(n), r, y) for (w, r, y), n in uses.items())
    return Resolved(fields, names, partition, label_names, listed)


def _partition(column: columns_lib.Column) -> np.ndarray:
    if not column.words:
        return column.values.astype(np.int8)
    numbers = [source_lib.SPLITS.index(splits.of_word(word)) for word in column.words]
    return np.array(numbers, np.int8)[column.values]


def _classes(column: columns_lib.Column) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names of classes and int32 [num_images, 1]; texts are sorted."""
    values = column.values
    if column.words:
        order = np.argsort(np.argsort(list(column.words)))
        return tuple(sorted(column.words)), order[values][:, None].astype(np.int32)
    numbers = map(str, range(int(values.max()) + 1))
    return column.classes or tuple(numbers), values[:, None]
