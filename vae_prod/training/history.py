"""`history.csv`: the losses and figures of each epoch of a run."""

import csv
import os

import keras

from pipelines import files


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
    """Read the rows of a `history.csv`, none where there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
