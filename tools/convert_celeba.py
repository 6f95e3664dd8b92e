"""Convert images to sharded TFRecords that training reads and TFDS understands.

    python -m tools.convert_celeba --source=DIR_OR_ZIP --out=DIR

CelebA is the source it is named after; --source tells what else it takes. An
interrupted conversion goes on when the same command runs again.
"""

import contextlib
import functools
import os
import shlex
import signal
import sys
import time

from pipelines import config as config_lib
from pipelines import protocols, sources, trust
from tools import flags, program, progress


def define(values):
    """Define this program's flags."""
    flags.define(values, config_lib.ConvertConfig)
    text = (
        f"Where images come from: {sources.HELP}. A folder of images may lie on any of "
        "TensorFlow's file systems (gs://)."
    )
    flags.add(values, "source", "", text, place=flags.ANY)
    flags.add(values, "out", "", "Folder to write to, new or empty.", place=flags.ANY)
    flags.add(
        values,
        "workers",
        0,
        "Worker processes; 0: one for each core. Any number gives the same bytes.",
        most=4096,
    )
    text = "Say which images, and which persons, are in more than one split."
    flags.add(values, "check_splits", True, text)
    text = "local: processes of this machine; beam: Apache Beam (the extra beam)."
    flags.add(values, "runner", "local", text, ("local", "beam"))
    flags.add(
        values,
        "beam_options",
        "",
        "With --runner=beam, Beam's own flags, with spaces between them; empty: its "
        "direct runner, with --workers processes.",
    )
    flags.add(
        values,
        "dry_run",
        False,
        "Say what would be written and how large, and what becomes of each column of "
        "the annotations; write nothing.",
    )
    flags.add(
        values,
        "tfds_data_dir",
        "",
        "Where the data set of --source=tfds:NAME lies; empty: where TFDS looks.",
    )


def main(values):
    """Convert what the flags say."""
    flags.require(values, "source", "out")
    config = flags.build(values, config_lib.ConvertConfig)
    program.import_tensorflow()  # Not before: --help has answered by now.
    from pipelines.converting import conversion, plan

    source = sources.open_source(values.source, config, values.tfds_data_dir)
    for warning in source.warnings:
        print(f"warning: {trust.printable(warning)}", file=sys.stderr)
    if conversion.find_finished(values.out, source, config):
        print(f"{values.out} holds this conversion already, complete; nothing to do.")
        return
    planned = plan.make_plan(source, config)
    print(_describe(planned, values.out))
    uses = [u for u in source.uses if values.dry_run or u.role == "ignored"]
    print(_list_columns(uses), end="")
    if values.dry_run:
        print("Dry run: nothing was written.")
        return
    num_workers = values.workers or len(os.sched_getaffinity(0))
    begun = time.monotonic()
    with _ending_on_signals(), progress.Progress() as show:
        if values.runner == "beam":
            manifest = _on_beam(values, config, planned, num_workers)
        else:
            manifest = conversion.convert(planned, values.out, num_workers, show)
    seconds = time.monotonic() - begun
    print(_summarize(manifest, show.first, seconds, values.out))
    if values.check_splits and len(manifest.splits) > 1:
        _check_splits(values.out, manifest)


def _check_splits(out: str, manifest) -> None:
    """Say what the splits have in common."""
    from pipelines import integrity

    with progress.Progress("images compared") as show:
        findings = integrity.check(out, manifest, show)
    for line in findings.lines():
        print(f"note: {trust.printable(line)}")


def _on_beam(values, config, planned, num_workers: int):
    """Convert by a Beam pipeline."""
    from pipelines.converting import on_beam

    direct = ("--runner=DirectRunner", "--direct_running_mode=multi_processing")
    options = shlex.split(values.beam_options) or [
        *direct,
        f"--direct_num_workers={num_workers}",
    ]
    open_source = functools.partial(
        sources.open_source, values.source, config, values.tfds_data_dir
    )
    return on_beam.convert(planned, open_source, values.out, options)


@contextlib.contextmanager
def _ending_on_signals():
    """Let SIGTERM and SIGHUP unwind the program: workers end, files are closed."""

    def end(number, _):
        print("terminated; run the same command to continue", file=sys.stderr)
        sys.exit(128 + number)

    kinds = (signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    before = {k: v for k, v in before.items() if v != signal.SIG_IGN}
    for kind in before:
        signal.signal(kind, end)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _describe(planned, out):
    """Return what will be written, for people."""
    source, record = planned.source, planned.record
    height, width, channels = record.image_shape
    parts = {
        "attributes": record.attributes,
        "landmark coordinates": record.landmarks,
        "label classes": record.label_names,
    }
    counts = [f"{len(names)} {part}" for part, names in parts.items() if names]
    counts += ["boxes"] * record.box + ["identity"] * record.identity
    lines = [
        f"{source.kind} -> {source.name} {source.version} in {out}",
        *_protocol(planned),
        f"  images: {height} x {width} x {channels}, {record.encoding}",
        f"  annotations: {', '.join(counts) or 'none'}",
    ]
    for split, positions in source.splits.items():
        num_shards = len(planned.borders[split]) - 1
        lines.append(f"  {split}: {len(positions):,} images in {num_shards:,} shards")
    return "\n".join([*lines, f"  about {planned.estimated_bytes / 1e6:,.1f} MB"])


def _protocol(planned):
    """Return what is to be said of the protocol, in lines."""
    name = planned.config.protocol
    protocol, wanted = protocols.PROTOCOLS[name], protocols.PICTURES
    if not protocol.settings:
        return []
    sets = ", ".join(f"{n} {_shown(v)}" for n, v in protocol.settings.items())
    lines = [f"  protocol {name}: {sets} ({protocol.source})"]
    if protocol.unstated:
        lines.append(f"  chosen here, for it is stated nowhere: {protocol.unstated}")
    if planned.first != wanted:
        lines.append(
            f"  note: the protocol is one of pictures of {wanted[0]} x {wanted[1]} "
            f"pixels, the first here has {planned.first[0]} x {planned.first[1]}; "
            "figures on other pictures don't compare with published ones"
        )
    return lines


def _list_columns(uses):
    """Return what becomes of columns of the annotations, for people."""
    lines = []
    for use in uses:
        names = ", ".join(use.columns) or "all"
        reason = f" ({use.reason})" if use.reason else ""
        lines.append(f"  {use.where}: {names} -> {use.role}{reason}\n")
    return trust.printable("".join(lines))


def _shown(value) -> str:
    if isinstance(value, tuple):
        return " : ".join(f"{part:.3f}" for part in value)
    return str(value)


def _summarize(manifest, num_before, seconds, out):
    """Return what was written, for people.

    The rate is this run's: it leaves out `num_before` images of an earlier one.
    """
    num_images = sum(split.num_examples for split in manifest.splits.values())
    rate = (num_images - num_before) / seconds
    files = [shard for split in manifest.splits.values() for shard in split.shards]
    megabytes = sum(shard.num_bytes for shard in files) / 1e6
    skipped = [f"skipped {trust.printable(name)}" for name in manifest.bad_images]
    total = (
        f"{num_images:,} images in {seconds:,.1f} s, {rate:,.0f} images/s, "
        f"{megabytes:,.1f} MB in {out}"
    )
    return "\n".join([*skipped, total])


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
