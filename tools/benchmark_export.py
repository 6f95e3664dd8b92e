"""Measure how fast a model answers in each format: Keras, SavedModel, TFLite, ONNX.

    python -m tools.benchmark_export [--run_dir=RUN] [--threads=1]

One run makes one table, a row for each format of the same model:

    keras           the model's compiled functions, as in the process that trained it
    saved_model     the signatures of tools.export
    tflite, tflite_dynamic, tflite_float16
                    the variants of tools.export --format=tflite
    onnx            tools.export --format=onnx, by onnxruntime

`decode` and `encode` are asked for one row, as a user waits for it; `generate` for
--batch_size rows, by all but saved_model of z drawn beside it. Without --run_dir the
model is the reference model, untrained: the figures of speed are the same. Each format
is measured in a process of its own, all by turns, --rounds times. Without tf2onnx and
onnxruntime (pip install 'vae_prod[onnx]') leave onnx out of --formats.
"""

import statistics
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tools import flags, program, progress
from tools.benchmarks import measuring, this_machine
from tools.benchmarks import results as results_lib

FORMATS = ("keras", "saved_model", "tflite", "tflite_dynamic", "tflite_float16", "onnx")
# What the SavedModel is to reach: as fast as the model itself.
TIMES_KERAS = 1.0

_HEADER = (
    "format",
    "decode ms",
    "95 %",
    "x keras",
    "encode ms",
    "95 %",
    "generate images/s",
    "x keras",
    "MB",
    "load s",
    "z_mean",
    "image",
)
_NOTE = (
    "Medians of {rounds} rounds by turns (lowest-highest). decode, encode: one row, "
    "median and 95th percentile of the calls; generate: {batch_size} rows. x keras: "
    "how many times as fast, within a round. load: to the first decoded image, without "
    "imports. z_mean, image: largest difference from keras. On {used} of {cores} cores "
    "of {cpu}, load {load_average} at the beginning."
)

# The `export_cases.Figures` of each format's rounds.
Results = Mapping[str, Sequence[Any]]


def define(values):
    """Define this program's flags."""
    flags.add_run(values)
    flags.add(values, "formats", FORMATS, "Which formats.")
    flags.add(values, "out", "", "JSON file for all figures; empty: none.")
    flags.add(values, "rounds", 5, "How often each format is measured.", least=1)
    text = "Calls of decode and of encode, each time."
    flags.add(values, "calls", 100, text, least=1)
    flags.add(values, "batches", 10, "Calls of generate, each time.", least=1)
    flags.add(values, "batch_size", 64, "Images of a call of generate.", least=1)
    flags.add(values, "threads", 0, "Processor cores to use; 0: all there are.")


def main(values):
    """Measure, and print the table."""
    results_lib.check_flags(values, {"formats": FORMATS})
    program.import_tensorflow()  # Not before: --help has answered by now.
    from tools.benchmarks import export_cases

    chosen = [name for name in FORMATS if name in values.formats]
    machine = this_machine.facts(
        "tensorflow", "keras"
    )  # With the load it begins under.
    with tempfile.TemporaryDirectory() as folder:
        print(f"writing {', '.join(chosen)}", flush=True)
        export_cases.write(_model(values), folder, chosen)
        cases = [_case(values, name, folder) for name in chosen]
        with progress.Progress("runs") as show:
            runs = measuring.interleave(cases, values.rounds, show)
    results = {name: [run.result for run in of_case] for name, of_case in runs.items()}
    print(to_text(results, machine, values))
    results_lib.save_out(values, machine, formats=to_json(results))


def _model(values):
    """Return the run's model, or the reference model with its first weights."""
    from tools import models
    from vae_prod import config as config_lib
    from vae_prod.model import vae as vae_lib

    if not values.run_dir:
        return vae_lib.VAE(config_lib.ModelConfig())
    _, model = models.load_model(
        values.run_dir, values.weights, values.recompute_batch_norm
    )
    return model


def _case(values, name: str, folder: str) -> measuring.Case:
    names = ("batch_size", "calls", "batches", "threads")
    arguments = {key: values[key].value for key in names}
    arguments |= {"format": name, "folder": folder}
    return measuring.Case(name, prepare, arguments, values.threads)


def prepare(**setting) -> measuring.Work:
    """Load TensorFlow in a fresh process; return what measures a format there."""
    program.import_tensorflow()
    from tools.benchmarks import export_cases

    return lambda: export_cases.measure(export_cases.Setting(**setting))


def to_text(results: Results, machine: Mapping[str, Any], values) -> str:
    """Return the table, what was compared in it and whether the goals are reached."""
    cores = machine["cores"]
    used = min(values.threads, cores) or cores
    note = _NOTE.format(
        **machine, used=used, rounds=values.rounds, batch_size=values.batch_size
    )
    table = results_lib.table(_HEADER, [_row(name, results) for name in results])
    return "\n".join([table, "", textwrap.fill(note, 88), *_goals(results)])


def to_json(results: Results) -> dict[str, Any]:
    """Return everything that was found, for `results.save`."""
    return {
        name: {
            "decode_times_keras": _times_keras(name, results, _decode_rate),
            "generate_times_keras": _times_keras(name, results, _generate_rate),
            "rounds": list(rounds),
        }
        for name, rounds in results.items()
    }


def _decode_rate(figures) -> float:
    return 1e3 / figures.decode_ms[0]


def _generate_rate(figures) -> float:
    return figures.images_per_second


def _times_keras(name: str, results: Results, rate) -> float | None:
    """Return how many times as fast as Keras: the median over the rounds."""
    pairs = zip(results[name], results.get("keras", ()), strict=False)
    ratios = [rate(one) / rate(keras) for one, keras in pairs]
    return statistics.median(ratios) if ratios else None


def _row(name: str, results: Results) -> list[str]:
    rounds = results[name]

    def median(figure):
        return statistics.median(figure(one) for one in rounds)

    def times(rate):
        times = _times_keras(name, results, rate)
        return "" if times is None else f"{times:.2f}"

    def latencies(figure):
        middle = results_lib.spread([figure(one)[0] for one in rounds])
        return [middle.text(".2f"), f"{median(lambda one: figure(one)[1]):.2f}"]

    return [
        name,
        *latencies(lambda one: one.decode_ms),
        times(_decode_rate),
        *latencies(lambda one: one.encode_ms),
        results_lib.spread([one.images_per_second for one in rounds]).text(),
        times(_generate_rate),
        f"{rounds[0].disk_mb:.1f}",
        f"{median(lambda one: one.load_seconds):.2f}",
        *(f"{rounds[0].differences[output]:.0e}" for output in ("z_mean", "image")),
    ]


def _goals(results: Results) -> list[str]:
    """Say how the SavedModel does beside Keras, where both were measured."""
    if not {"keras", "saved_model"} <= set(results):
        return []
    lines = []
    for what, rate in (("decode", _decode_rate), ("generate", _generate_rate)):
        times = _times_keras("saved_model", results, rate)
        verdict = "holds" if times >= TIMES_KERAS else "does NOT hold"
        lines.append(
            f"saved_model: {what} {times:.3g} times keras, goal {TIMES_KERAS:g}: "
            f"{verdict}"
        )
    return lines


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
