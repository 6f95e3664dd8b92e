"""From a source to TFRecord shards: parallel, resumable, the same bytes every time.

A shard's content follows from positions in the source alone, so the number of
workers and every interruption leave no trace in it. Each shard is written
atomically and then noted in the journal; the manifest comes last.
"""

import hashlib
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs
import numpy as np
import PIL
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, shards, verification
from pipelines.converting import journal, metadata, workers
from pipelines.converting import plan as plan_lib
from pipelines.converting import source as source_lib

# Raised whenever the same source and settings give other bytes than before.
FORM_VERSION = 2

_MAX_NAMED = 10
# These decide whether a conversion goes on, not what it writes.
_NOT_IN_BYTES = ("max_bad_images",)

OnProgress = Callable[[int, int], None]
# (split, number) to the entry of a shard in the journal; None: it isn't finished.
Entries = dict[tuple[str, int], journal.Entry | None]


def _settings(config: config_lib.ConvertConfig) -> dict:
    return {n: v for n, v in attrs.asdict(config).items() if n not in _NOT_IN_BYTES}


def _source_facts(source: source_lib.Source) -> dict:
    return {"kind": source.kind, "digest": source.digest}


def find_finished(
    out: str, source: source_lib.Source, config: config_lib.ConvertConfig
) -> shards.Manifest | None:
    """Return the manifest if this very conversion is complete in `out`.

    Raises:
        UserError: Another conversion is, or files of this one are gone or damaged.
    """
    if not tf.io.gfile.exists(os.path.join(out, shards.MANIFEST_NAME)):
        return None
    manifest = shards.load_manifest(out)
    source_was = {f"source {n}": v for n, v in manifest.source.items()}
    # Of settings that there weren't yet, the defaults do what was done.
    made_with = source_was | _settings(type(config)()) | manifest.settings
    wanted = {f"source {n}": v for n, v in _source_facts(source).items()}
    journal.refuse_other(out, made_with, wanted | _settings(config))
    if damaged := verification.damaged_files(out, manifest):
        raise files.UserError(
            f"Expected the shards in {out} as their manifest says, {len(damaged)} "
            f"files aren't ({damaged[0]}); remove the folder and convert again."
        )
    journal.Journal(out).remove()
    return manifest


def convert(
    plan: plan_lib.Plan,
    out: str,
    num_workers: int = 1,
    on_progress: OnProgress = lambda done, total: None,
) -> shards.Manifest:
    """Write the shards, their index, TFDS' metadata and the manifest.

    Args:
        plan: What to write.
        out: A new or empty folder, or one where this very conversion was
            interrupted.
        num_workers: Worker processes; any number gives the same bytes.
        on_progress: Called with (images done, images in all).

    Returns:
        The manifest that was written.

    Raises:
        UserError: `out` holds something else, can't be written or has no room; an
            image does not fit the settings; too many images are damaged; a worker
            died. What is finished stays, and the next call goes on from there.
    """
    with workers.start(num_workers) as run:
        return convert_in(run, plan, out, on_progress)


def convert_in(
    run: workers.Mapper,
    plan: plan_lib.Plan,
    out: str,
    on_progress: OnProgress = lambda done, total: None,
) -> shards.Manifest:
    """Do what `convert` does, in workers that `workers.start` gave."""

    def write(entries: Entries) -> None:
        _write_shards(plan, out, entries, run, on_progress)

    return convert_by(write, plan, out)


def convert_by(
    write: Callable[[Entries], None], plan: plan_lib.Plan, out: str
) -> shards.Manifest:
    """Do what `convert` does, by what writes the shards that are missing.

    Args:
        write: Writes the shards whose entries are None, and puts their entries there.
        plan: What to write.
        out: As of `convert`.
    """
    with files.writing(out):
        if journal.Journal(out).is_new():
            _check_room(plan, out)
        with journal.Journal(out).held():
            entries = _begin(plan, out)
            write(entries)
            return _finish(plan, out, entries)


def _job(plan: plan_lib.Plan) -> dict:
    facts = {f"source {n}": v for n, v in _source_facts(plan.source).items()}
    software = {"Pillow": PIL.__version__, "form": FORM_VERSION}
    shape = {"image shape": plan.record.image_shape}
    return facts | _settings(plan.config) | shape | software


def _check_room(plan: plan_lib.Plan, out: str) -> None:
    """Refuse to begin what can't fit on a local disk."""
    if files.is_remote(out):
        return
    place = os.path.abspath(out)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    needed, free = plan.estimated_bytes, shutil.disk_usage(place).free
    if needed > free:
        raise files.UserError(
            f"Expected about {needed / 1e6:,.0f} MB of free disk space for {out}, "
            f"found {free / 1e6:,.0f} MB; free some or choose another --out."
        )


def _begin(plan: plan_lib.Plan, out: str) -> Entries:
    """Start a conversion, or go on with it; return the shards' entries."""
    progress = journal.Journal(out)
    progress.begin(_job(plan))
    return {shard: progress.load(*shard, plan.file(*shard)) for shard in plan.shards()}


def missing(entries: Entries) -> list[tuple[str, int]]:
    """Return the shards that aren't finished, in the order of writing."""
    return [shard for shard, entry in entries.items() if entry is None]


def finished(entries: Entries) -> dict[tuple[str, int], journal.Entry]:
    """Return the entries there are, in the order of writing."""
    return {shard: entry for shard, entry in entries.items() if entry is not None}


def _write_shards(
    plan: plan_lib.Plan,
    out: str,
    entries: Entries,
    run: workers.Mapper,
    on_progress: OnProgress,
) -> None:
    """Write the shards that are missing, one after the other."""
    lacking = missing(entries)
    bad = _bad_images(entries)
    done = plan.num_images - sum(len(plan.positions(*shard)) for shard in lacking)
    on_progress(done, plan.num_images)
    stream = run(plan.task, _read(plan, lacking), plan.task.chunk_size)
    stream = _count(stream, done, plan.num_images, on_progress)
    for shard in lacking:
        entry = entries[shard] = write_shard(plan, shard, out, stream, bad)
        bad.extend(entry.bad_images)


def write_shard(
    plan: plan_lib.Plan,
    shard: tuple[str, int],
    out: str,
    stream: Iterator[workers.Prepared],
    bad: Sequence[str] = (),
) -> journal.Entry:
    """Write one shard and note it in the journal.

    Args:
        plan: What is written.
        shard: (split, number).
        out: The conversion's folder.
        stream: What became of the shard's images, and of what comes after them.
        bad: Damaged images of other shards, which count with this one's.

    Raises:
        UserError: Too many images are damaged, or the source has too few.
    """
    progress, name = journal.Journal(out), plan.file(*shard)
    with files.new_file(os.path.join(out, name), progress.path(name)) as aside:
        entry, rows = _write_records(plan, *shard, aside, stream)
        _check_bad([*bad, *entry.bad_images], plan.config.max_bad_images)
    progress.save(*shard, entry, rows)
    return entry


def check_complete(plan: plan_lib.Plan, entries: Entries) -> None:
    """Raise a `UserError` where shards are missing, or too many images damaged."""
    if lacking := missing(entries):
        raise files.UserError(
            f"Expected all {len(entries)} shards to be written, {len(lacking)} aren't "
            f"({plan.file(*lacking[0])}); run the same command to continue."
        )
    _check_bad(_bad_images(entries), plan.config.max_bad_images)


def _bad_images(entries: Entries) -> list[str]:
    return [name for one in finished(entries).values() for name in one.bad_images]


def _read(
    plan: plan_lib.Plan, missing: list[tuple[str, int]]
) -> Iterator[source_lib.Item]:
    """Yield the items of all missing shards, reading each split once."""
    for split, group in itertools.groupby(missing, key=lambda shard: shard[0]):
        positions = [plan.positions(*shard) for shard in group]
        yield from plan.source.read(split, np.concatenate(positions))


def _count(
    stream: Iterable[workers.Prepared], done: int, total: int, on_progress: OnProgress
) -> Iterator[workers.Prepared]:
    for number, one in enumerate(stream, done + 1):
        on_progress(number, total)
        yield one


def _write_records(
    plan: plan_lib.Plan,
    split: str,
    number: int,
    path: str,
    stream: Iterator[workers.Prepared],
) -> tuple[journal.Entry, np.ndarray]:
    """Write one shard; return its entry and its index rows, int64 [n, 3]."""
    keys, rows, bad, position = [], [], [], 0
    num_images = len(plan.positions(split, number))
    with tf.io.TFRecordWriter(path) as writer:
        for one in itertools.islice(stream, num_images):
            if one.error:
                bad.append(one.error)
                continue
            writer.write(one.record)
            keys.append(one.key)
            length = len(one.record)
            rows.append((number, position + shards.RECORD_HEADER, length))
            position += shards.RECORD_HEADER + length + shards.RECORD_FOOTER
    if len(keys) + len(bad) < num_images:
        raise files.UserError(
            f"Expected {num_images} images of the source for {plan.file(split, number)}"
            f", received {len(keys) + len(bad)}; it changed or is cut off, so mend it "
            "and run the same command again."
        )
    shard = shards.Shard(
        file=plan.file(split, number),
        num_examples=len(keys),
        num_bytes=position,
        sha256=files.sha256(path),
        first_key=keys[0] if keys else "",
        last_key=keys[-1] if keys else "",
    )
    return journal.Entry(shard, bad), np.array(rows, np.int64).reshape(-1, 3)


def _check_bad(bad: Sequence[str], allowed: int) -> None:
    """Raise a `UserError` where more images are damaged than are allowed."""
    if len(bad) <= allowed:
        return
    named = "; ".join(bad[:_MAX_NAMED])
    more = f"; and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
    raise files.UserError(
        f"Expected at most {allowed} damaged images, found {len(bad)} so far: "
        f"{named}{more}. Replace them, or skip them with a larger --max_bad_images."
    )


def _finish(plan: plan_lib.Plan, out: str, entries: Entries) -> shards.Manifest:
    """Write what stands beside the shards, the manifest last."""
    progress, done = journal.Journal(out), finished(entries)
    splits = {}
    for split in plan.borders:
        numbers = [number for other, number in plan.shards() if other == split]
        rows = [progress.load_rows(split, n, done[split, n]) for n in numbers]
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate(rows))
        name = shards.index_name(plan.source.name, split)
        files.write(os.path.join(out, name), buffer.getvalue())
        splits[split] = shards.Split(
            shards=[done[split, number].shard for number in numbers],
            index=name,
            index_sha256=hashlib.sha256(buffer.getbuffer()).hexdigest(),
        )
    if not any(split.num_examples for split in splits.values()):
        raise files.UserError(
            "Expected at least one sound image in the source, all are damaged; mend "
            "--source."
        )
    metadata.write(out, plan.source.name, plan.source.version, plan.record, splits)
    manifest = shards.Manifest(
        name=plan.source.name,
        version=plan.source.version,
        source=_source_facts(plan.source) | {"pillow": PIL.__version__},
        settings=journal.to_json(attrs.asdict(plan.config)),
        record=plan.record,
        splits=splits,
        bad_images=_bad_images(entries),
    )
    shards.save_manifest(out, manifest)
    progress.remove()
    return manifest
