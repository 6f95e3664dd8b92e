"""`history.csv`: the losses and figures of each epoch of a run."""

import csv
import io
import os
import re

import keras

from pipelines import files, trust

# Of a history of 100,000 epochs.
_MAX_BYTES = 1 << 26
_EPOCH = re.compile("[0-9]{1,9}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*(e[+-]?\d{1,3})?|nan|inf)", re.ASCII | re.I)


class HistoryFile(keras.callbacks.Callback):
    """Keeps `history.csv`, one row an epoch, rewritten whole at each epoch's end.

    Args:
        path: The file; rows it holds of epochs before `first_epoch` are kept.
        first_epoch: 0-based epoch at which this fit begins.
    """

    def __init__(self, path: str, first_epoch: int):
        super().__init__()
        self.path = path
        self.rows = [r for r in read(path) if int(r["epoch"]) <= first_epoch]

    def on_epoch_end(self, epoch, logs=None):
        """Add the epoch's row."""
        self.rows.append({"epoch": epoch + 1, **logs})
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with files.open_new(self.path, "w") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def read(path: str) -> list[dict[str, str]]:
    """Read the rows of a `history.csv`, none where there is no file.

    Returns:
        A row an epoch: `epoch`, from 1 up, and names to numbers, as texts; empty where
        an epoch has none.

    Raises:
        UserError: It is damaged.
    """
    if not os.path.exists(path):
        return []
    try:
        with trust.open_regular(path) as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES:,} bytes")
        reader = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
        rows = list(reader)
        last = 0
        for row in rows:
            last = _check(row, last)
    except (OSError, ValueError, csv.Error) as error:
        raise files.UserError(
            f"Expected the losses of each epoch in {path}, it can't be read ({error}). "
            "Bring the file back, or remove it to go on without."
        ) from error
    return rows


def _check(row: dict, last: int) -> int:
    """Refuse a row of another form, or not of an epoch after the last; return it."""
    epoch = row.get("epoch") or ""
    if None in row or None in row.values() or not _EPOCH.fullmatch(epoch):
        raise ValueError(f"after epoch {last} there is no row of an epoch")
    if int(epoch) <= last:
        raise ValueError(f"epoch {epoch} comes after epoch {last}")
    for name, value in row.items():
        if value and not _NUMBER.fullmatch(value):
            raise ValueError(f"{name} of epoch {epoch} is {value[:40]!r}")
    return int(epoch)
