"""Measure how fast images are read: this package beside stock TensorFlow.

    python -m tools.benchmark_input [--data_dir=JPEG_DIR,RAW_DIR]

One run makes one table. The pipelines, all over the same records in batches:

    records         only the serialized records, TFRecordDataset: the ceiling
    stock           TFRecordDataset, shuffle, map of one example, batch, prefetch
    stock_batched   the same with what can be done by the batch done by the batch
    twin            this package's pipeline with TensorFlow's ops (--native=false)
    op              this package's pipeline with the C++ op (--native=true)

Each is run --repetitions times, by turns, in a process of its own that reads in an
endless loop, from the page cache. Without --data_dir the built-in faces are drawn
and converted first.
"""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import attrs

from pipelines import config as config_lib
from pipelines import files
from tools import flags, program, progress
from tools.benchmarks import input_report, measuring, this_machine
from tools.benchmarks import results as results_lib

DTYPES = ("uint8", "float32", "bfloat16")

_NUM_FACES = 1024
_FACE_SHARDS = 4


def define(values):
    """Define this program's flags."""
    data = attrs.fields(config_lib.DataConfig)
    flags.add(
        values,
        "data_dir",
        "",
        "One or more converted data sets, of different encodings, with commas; empty: "
        f"{_NUM_FACES:,} built-in faces of 96 x 96, drawn into a temporary folder.",
    )
    flags.add(values, "out", "", "JSON file for all figures; empty: none.")
    flags.add(values, "cases", tuple(input_report.PIPELINES), "Which pipelines.")
    flags.add(
        values,
        "encodings",
        ("jpeg", "raw"),
        "Which encodings: of the built-in faces; with --data_dir those of its data "
        "sets that are wanted, all unless given.",
    )
    flags.add(values, "dtypes", ("uint8",), f"Types of a batch: {', '.join(DTYPES)}.")
    flags.add(
        values,
        "augment",
        ("on",),
        "on: shuffled, and half of the images mirrored; off: as they are.",
    )
    flags.add(values, "threads", (0,), "Processor cores to use; 0: all there are.")
    default = data.batch_size.default
    flags.add(values, "batch_size", default, "Images in a batch.", least=1)
    flags.add(
        values,
        "shuffle_buffer",
        data.shuffle_buffer.default,
        "Records that the stock pipelines shuffle together; this package's order is "
        "one over all.",
        least=1,
    )
    flags.add(values, "repetitions", 3, "How often each case is run.", least=1)
    text = "Time that is measured, each time."
    flags.add(values, "seconds", 2.5, text, least=0.001)
    flags.add(values, "warmup_seconds", 1.0, "Time before that.")


def main(values):
    """Measure, and print the table."""
    _check(values)
    program.import_tensorflow()  # Not before: --help has answered by now.
    pipelines = _that_can_be_had(values.cases)
    with _data_sets(values) as data_dirs:
        subjects = _subjects(values, pipelines, list(data_dirs))
        cases = [_case(values, one, data_dirs[one.encoding]) for one in subjects]
        machine = this_machine.facts("tensorflow")  # With the load it begins under.
        with progress.Progress("runs") as show:
            runs = measuring.interleave(cases, values.repetitions, show)
    results = {one: [run.result for run in runs[one.name]] for one in subjects}
    print(input_report.to_text(results, machine, values.batch_size))
    results_lib.save_out(
        values,
        machine,
        cases=input_report.to_json(results),
        goals=input_report.find_goals(results),
    )


def _check(values) -> None:
    """Refuse flags that can't be measured."""
    choices = {
        "cases": input_report.PIPELINES,
        "encodings": config_lib.ENCODINGS,
        "dtypes": DTYPES,
        "augment": ("on", "off"),
        "threads": range(len(os.sched_getaffinity(0)) + 1),
    }
    results_lib.check_flags(values, choices)


def _that_can_be_had(pipelines: Sequence[str]) -> list[str]:
    """Leave the op out where it can't be built, unless nothing else is asked for."""
    from pipelines.reading.native import loader

    alone = set(pipelines) == {"op"}
    have_op = "op" not in pipelines or loader.available(required=alone)
    return [
        name
        for name in input_report.PIPELINES
        if name in pipelines and (name != "op" or have_op)
    ]


@contextlib.contextmanager
def _data_sets(values) -> Iterator[dict[str, str]]:
    """Give the data sets to read: encoding to folder."""
    with tempfile.TemporaryDirectory() as folder:
        if values.data_dir:
            data_dirs = _given(values)
        else:
            wanted = dict.fromkeys(values.encodings)
            data_dirs = {encoding: _draw(folder, encoding) for encoding in wanted}
        _check_filled(data_dirs, values.batch_size)
        yield data_dirs


def _given(values) -> dict[str, str]:
    from pipelines import shards

    data_dirs = {}
    for data_dir in filter(None, values.data_dir.split(",")):
        encoding = shards.load_manifest(data_dir).record.encoding
        if encoding in data_dirs:
            raise files.UserError(
                f"Expected data sets of different encodings, received {encoding} in "
                f"{data_dirs[encoding]} and {data_dir}; measure them one by one."
            )
        data_dirs[encoding] = data_dir
    if values["encodings"].present:
        kept = {e: d for e, d in data_dirs.items() if e in values.encodings}
    else:
        kept = data_dirs
    if not kept:
        raise files.UserError(
            f"Expected a data set of {' or '.join(values.encodings)} images in "
            f"--data_dir, found {', '.join(data_dirs) or 'none'}; mend --encodings."
        )
    return kept


def _check_filled(data_dirs: Mapping[str, str], batch_size: int) -> None:
    from pipelines import shards
    from pipelines.reading import dataset

    config = config_lib.DataConfig(batch_size=batch_size)
    for data_dir in data_dirs.values():
        dataset.steps_per_epoch(shards.load_manifest(data_dir), config)


def _draw(folder: str, encoding: str) -> str:
    from tools.benchmarks import input_cases

    config = config_lib.ConvertConfig(
        encoding=encoding, limit=_NUM_FACES, shards=_FACE_SHARDS
    )
    return input_cases.draw(os.path.join(folder, encoding), config)


def _subjects(
    values, pipelines: Sequence[str], encodings: Sequence[str]
) -> list[input_report.Subject]:
    """Return what is measured, each once; what is compared stands together."""
    all_cores = len(os.sched_getaffinity(0))
    conditions = itertools.product(
        encodings, values.dtypes, values.augment, values.threads
    )
    subjects = [
        input_report.Subject(
            "", encoding, cores or all_cores, dtype, augment == "on"
        ).beside(name)
        for encoding, dtype, augment, cores in conditions
        for name in pipelines
    ]
    return list(dict.fromkeys(subjects))


def _case(values, subject: input_report.Subject, data_dir: str) -> measuring.Case:
    arguments = {
        "pipeline": subject.pipeline,
        "data_dir": data_dir,
        "dtype": subject.dtype,
        "augment": subject.augment,
        "batch_size": values.batch_size,
        "shuffle_buffer": values.shuffle_buffer,
        "warmup_seconds": values.warmup_seconds,
        "seconds": values.seconds,
    }
    return measuring.Case(subject.name, prepare, arguments, subject.cores)


def prepare(**setting) -> measuring.Work:
    """Load TensorFlow in a fresh process; return what measures one pipeline there."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # No word on buffer sizes.
    program.import_tensorflow()
    from tools.benchmarks import input_cases

    before_mb = measuring.memory_mb()
    return lambda: input_cases.measure(input_cases.Setting(**setting), before_mb)


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
