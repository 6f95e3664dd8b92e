"""What a conversion has finished so far, so that it resumes after any interruption.

While a conversion runs, its output holds a folder `.progress` with

    job.json          what is converted and how
    SPLIT-00000.npy   index rows of a finished shard
    SPLIT-00000.json  that shard's entry in the manifest, written last of all
    *.tmp             files being written
"""

import io
import json
import os

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files, shards

FOLDER = ".progress"


def to_json(value) -> dict:
    """Return a value as it reads back from JSON (tuples become lists)."""
    return json.loads(json.dumps(value))


def refuse_other(out: str, received: dict, wanted: dict) -> None:
    """Raise a `UserError` that names what tells two conversions apart, if anything."""
    different = [
        f"{name} is {received.get(name)}, not {value}"
        for name, value in to_json(wanted).items()
        if received.get(name) != value
    ]
    if different:
        raise files.UserError(
            f"Expected {out} to be empty or to hold this very conversion, it holds "
            f"another ({'; '.join(different)}); choose another --out, or remove it."
        )


@attrs.frozen
class Entry:
    """A finished shard: its entry in the manifest and the images it skipped."""

    shard: shards.Shard
    bad_images: tuple[str, ...] = attrs.field(converter=tuple)


@attrs.frozen
class Journal:
    """The progress record of the conversion into one folder."""

    out: str

    def path(self, *names: str) -> str:
        """Return the path of a file in the folder of the progress record."""
        return os.path.join(self.out, FOLDER, *names)

    def is_new(self) -> bool:
        """Say whether no conversion was begun here."""
        return not tf.io.gfile.exists(self.path("job.json"))

    def begin(self, job: dict) -> None:
        """Start a conversion, or go on with it.

        A conversion that was begun but has finished no shard may be replaced.

        Args:
            job: What is converted and how, as flat JSON.

        Raises:
            UserError: The folder holds another conversion or something else.
        """
        others = self._listing() - {FOLDER}
        if not self.is_new():
            with tf.io.gfile.GFile(self.path("job.json")) as file:
                begun = json.load(file)
            if others or begun == to_json(job):
                refuse_other(self.out, begun, job)
                return
        if others:
            raise files.UserError(
                f"Expected --out to be a new or an empty folder, {self.out} holds "
                f"{min(others)!r}; choose another --out."
            )
        tf.io.gfile.makedirs(self.path())
        text = json.dumps(job, indent=1)
        files.write(self.path("job.json"), text)

    def _listing(self) -> set[str]:
        if not tf.io.gfile.exists(self.out):
            return set()
        return {name.rstrip("/") for name in tf.io.gfile.listdir(self.out)}

    def save(self, split: str, number: int, entry: Entry, rows: np.ndarray) -> None:
        """Record a shard that lies complete under its final name.

        Args:
            split: The shard's split.
            number: Its number there.
            entry: What the manifest says of it.
            rows: int64 [num_examples, 3], its rows of the record index.
        """
        buffer = io.BytesIO()
        np.save(buffer, rows)
        stem = self.path(f"{split}-{number:05d}")
        files.write(f"{stem}.npy", buffer.getvalue())
        text = json.dumps(attrs.asdict(entry), indent=1)
        files.write(f"{stem}.json", text)

    def load(self, split: str, number: int) -> Entry | None:
        """Return the entry of a finished shard that is still there, or None."""
        path = self.path(f"{split}-{number:05d}.json")
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path) as file:
            values = json.load(file)
        shard = shards.Shard(**values["shard"])
        path = os.path.join(self.out, shard.file)
        if not tf.io.gfile.exists(path):
            return None
        whole = tf.io.gfile.stat(path).length == shard.num_bytes
        return Entry(shard, values["bad_images"]) if whole else None

    def load_rows(self, split: str, number: int) -> np.ndarray:
        """Return the index rows of a finished shard, int64 [num_examples, 3]."""
        path = self.path(f"{split}-{number:05d}.npy")
        with tf.io.gfile.GFile(path, "rb") as file:
            return np.load(io.BytesIO(file.read()))

    def remove(self) -> None:
        """Remove the progress record of a conversion that is complete."""
        if tf.io.gfile.exists(self.path()):
            tf.io.gfile.rmtree(self.path())
