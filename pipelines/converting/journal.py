"""What a conversion has finished so far, so that it resumes after any interruption.

While a conversion runs, its output holds a folder `.progress` with

    lock              held by the process that converts
    job.json          what is converted and how
    SPLIT-00000.npy   index rows of a finished shard
    SPLIT-00000.refused  why a shard can't be written
    SPLIT-00000.json  that shard's entry in the manifest, written last of all
    *.tmp             files being written

An entry bears its own digest and those of the shard and its rows: where any of the
three isn't as it was written, the shard is made again.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator

import attrs
import numpy as np
import tensorflow as tf

from pipelines import documents, files, npy, settings, shards, trust

FOLDER = ".progress"
_REFUSAL = ".refused"


def to_json(value) -> dict:
    """Return a value as it reads back from JSON (tuples become lists)."""
    return json.loads(json.dumps(value))


def refuse_other(out: str, received: dict, wanted: dict) -> None:
    """Raise a `UserError` that names what tells two conversions apart, if anything."""
    different = [
        f"{name} is {str(received.get(name))[:80]}, not {value}"
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
    bad_images: tuple[str, ...] = attrs.field(converter=settings.as_tuple)
    rows_sha256: str = ""


@attrs.frozen
class _Kept:
    """An entry on disk, with the sha256 of its JSON text."""

    entry: Entry
    sha256: str


@attrs.frozen
class Journal:
    """The progress record of the conversion into one folder."""

    out: str

    def path(self, *names: str) -> str:
        """Return the path of a file in the folder of the progress record."""
        return os.path.join(self.out, FOLDER, *names)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from converting into the same local folder.

        Raises:
            UserError: One does already.
        """
        if files.is_remote(self.out):
            yield
            return
        self._make_folder()
        refusal = (
            f"Expected --out to be one conversion's alone, another process is writing "
            f"to {self.out}; wait for it, or choose another --out."
        )
        with files.locked(self.path("lock"), refusal):
            yield

    def _make_folder(self) -> None:
        if (others := self._listing() - {FOLDER}) and self.is_new():
            raise files.UserError(
                f"Expected --out to be a new or an empty folder, {self.out} holds "
                f"{min(others)!r}; choose another --out."
            )
        tf.io.gfile.makedirs(self.path())

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
        self._make_folder()
        if not self.is_new():
            begun = self._begun()
            if self._listing() - {FOLDER} or begun == to_json(job):
                refuse_other(self.out, begun, job)
                return
        text = json.dumps(job, indent=1)
        files.write(self.path("job.json"), text)

    def _begun(self) -> dict:
        path = self.path("job.json")
        try:
            return documents.build(dict, documents.read(path))
        except (ValueError, OSError) as error:
            reason = str(error)[:400]
            raise files.UserError(
                f"Expected in {path} what is converted, it is damaged ({reason}); "
                f"remove {self.out} and convert again."
            ) from error

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
        entry = attrs.evolve(
            entry, rows_sha256=hashlib.sha256(buffer.getbuffer()).hexdigest()
        )
        text = json.dumps(attrs.asdict(_Kept(entry, _digest(entry))), indent=1)
        files.write(f"{stem}.json", text)

    def refuse(self, split: str, number: int, reason: str) -> None:
        """Note why a shard can't be written, for the process that waits for it."""
        files.write(self.path(f"{split}-{number:05d}{_REFUSAL}"), reason)

    def refusals(self) -> list[str]:
        """Return what was noted, in the order of the shards' names."""
        paths = self._refusals()
        return [trust.printable(_text(path)) for path in paths]

    def forget_refusals(self) -> None:
        """Remove what was noted."""
        for path in self._refusals():
            tf.io.gfile.remove(path)

    def _refusals(self) -> list[str]:
        names = sorted(tf.io.gfile.listdir(self.path()))
        return [self.path(name) for name in names if name.endswith(_REFUSAL)]

    def load(self, split: str, number: int, file: str) -> Entry | None:
        """Return the entry of a finished shard that is still as it was, or None.

        Args:
            split: The shard's split.
            number: Its number there.
            file: Its name.
        """
        path = self.path(f"{split}-{number:05d}.json")
        if not tf.io.gfile.exists(path):
            return None
        try:
            kept = documents.build(_Kept, documents.read(path))
        except (ValueError, OSError, tf.errors.OpError):
            return None
        entry = kept.entry
        whole = (
            kept.sha256 == _digest(entry)
            and entry.shard.file == file
            and _is(os.path.join(self.out, file), entry.shard.sha256)
            and _is(self.path(f"{split}-{number:05d}.npy"), entry.rows_sha256)
        )
        return entry if whole else None

    def load_rows(self, split: str, number: int, entry: Entry) -> np.ndarray:
        """Return the index rows of a finished shard, int64 [num_examples, 3]."""
        path = self.path(f"{split}-{number:05d}.npy")
        with tf.io.gfile.GFile(path, "rb") as file:
            return npy.read(file.read(), (entry.shard.num_examples, 3), np.int64)

    def remove(self) -> None:
        """Remove the progress record of a conversion that is complete."""
        if tf.io.gfile.exists(self.path()):
            tf.io.gfile.rmtree(self.path())


def _text(path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read().decode(errors="replace")


def _digest(entry: Entry) -> str:
    text = json.dumps(attrs.asdict(entry), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is(path: str, sha256: str) -> bool:
    """Say whether a file is there and as its digest says."""
    return tf.io.gfile.exists(path) and files.sha256(path) == sha256
