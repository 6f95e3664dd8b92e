"""What tools.benchmark_step says: the cases by name, side by side, and their time."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tools.benchmarks import results as results_lib

MODELS = ("stock", "ours")
MODES = ("graph", "jit")
# Those of `step_trace`, in the order of their columns.
GROUPS = (
    "convolutions",
    "dense",
    "normalisation",
    "activation",
    "loss",
    "optimizer",
    "input",
    "waiting",
    "compiled",
    "other",
)

_HEADER = (
    "case",
    "images/s",
    "x stock",
    "x same mode",
    "first step s",
    "peak MB",
    "of ceiling",
)
_NOTE = (
    "Medians of {repetitions} repetitions by turns (lowest-highest), batches of "
    "{batch_size} images of {image}. x stock: within a repetition, beside stock Keras "
    "layers of the same precision in graph mode; x same mode: in the same mode. torch: "
    "eager beside graph, compiled beside jit, in the faster layout of maps. first "
    "step: with tracing and compilation. peak: memory beyond the interpreter with "
    "TensorFlow. of ceiling: the arithmetic of convolutions and dense layers as "
    "textbooks have it ({flops} for an image; there are ways to do with less), over "
    "that of a large matrix multiplication (at best {ceilings}). On {cores} "
    "cores of {cpu}{units}, load {load_average} at the beginning."
)
_SHARES_NOTE = (
    "Where the time goes: parts of all operations' time in a traced step, after the "
    "measurement. convolutions: with their biases and enlarged maps; loss: with the "
    "noise, the metrics and the scaling of images; optimizer: with norms and checks of "
    "gradients; input: making batches on this machine's cores; waiting: for them; "
    "compiled: merged by XLA, which doesn't say of what."
)


@attrs.frozen
class Subject:
    """A train step under some conditions.

    Attributes:
        model: One of `MODELS`.
        decoder: The model's decoder.
        precision: Of its maps.
        mode: One of `MODES`.
    """

    model: str
    decoder: str
    precision: str
    mode: str

    @property
    def name(self) -> str:
        """What it is called, different for each."""
        return f"{self.decoder} {self.precision} {self.mode}: {self.model}"


@attrs.frozen
class Results:
    """What was found.

    Attributes:
        figures: The `step_figures.Figures` of each subject's repetitions.
        ceilings: Precision to floating-point operations a second of a matrix
            multiplication, of as many repetitions.
        flops: Decoder to floating-point operations of a step for one image.
        batch_size: Images in a batch.
        image_shape: (height, width, channels).
    """

    figures: Mapping[Subject, Sequence[Any]]
    ceilings: Mapping[str, Sequence[float]]
    flops: Mapping[str, int]
    batch_size: int
    image_shape: tuple[int, int, int]

    def spread(self, subject: Subject, figure: str) -> results_lib.Spread:
        """Sum up a figure of a subject's repetitions."""
        return results_lib.spread(
            [getattr(one, figure) for one in self.figures[subject]]
        )

    @property
    def traced(self) -> list[Subject]:
        """The subjects whose operations are known."""
        return [s for s, runs in self.figures.items() if runs[0].operations]

    def times_stock(self, subject: Subject, mode: str = "graph") -> float | None:
        """Return the rate beside stock layers': the median over the repetitions."""
        stock = self.figures.get(attrs.evolve(subject, model="stock", mode=mode), ())
        ratios = [
            one.images_per_second / other.images_per_second
            for one, other in zip(self.figures[subject], stock, strict=False)
        ]
        return statistics.median(ratios) if ratios else None

    def part_of_ceiling(self, subject: Subject) -> float:
        """Return the arithmetic done in a second beside a matrix multiplication's."""
        rate = self.spread(subject, "images_per_second").median
        return rate * self.flops[subject.decoder] / self.ceiling(subject.precision)

    def ceiling(self, precision: str) -> float:
        """Return the most that a matrix multiplication did in any repetition."""
        return max(self.ceilings[precision])

    def operations(self, subject: Subject) -> dict[tuple[str, str], float]:
        """Return (group, type) to milliseconds in a step, the longest first.

        Medians over the repetitions; an operation that one of them lacks took 0.
        """
        runs = [
            {(o.group, o.type): o.milliseconds for o in one.operations}
            for one in self.figures[subject]
        ]
        keys = dict.fromkeys(key for run in runs for key in run)
        times = {
            key: statistics.median(run.get(key, 0.0) for run in runs) for key in keys
        }
        return dict(sorted(times.items(), key=lambda item: -item[1]))

    def shares(self, subject: Subject) -> dict[str, float]:
        """Return each group's part of all operations' time."""
        times = self.operations(subject)
        total = sum(times.values())
        shares = {}
        for (group, _), milliseconds in times.items():
            shares[group] = shares.get(group, 0.0) + milliseconds / max(total, 1e-9)
        return shares


def to_text(results: Results, machine: Mapping[str, Any], top: int = 0) -> str:
    """Return the tables and what they say.

    Args:
        results: What was found.
        machine: From `measuring.machine`.
        top: How many of the longest operations of each case are listed.
    """
    rows = [_row(subject, results) for subject in results.figures]
    flops = (f"{name}: {n / 1e9:.3f} GFLOP" for name, n in results.flops.items())
    ceilings = (
        f"{name}: {results.ceiling(name) / 1e9:,.0f} GFLOP/s"
        for name in results.ceilings
    )
    sets = machine.get("instruction_sets", ())
    note = _NOTE.format(
        **machine,
        units=f" ({', '.join(sets)})" if sets else "",
        repetitions=len(next(iter(results.figures.values()))),
        batch_size=results.batch_size,
        image="x".join(map(str, results.image_shape)),
        flops=", ".join(flops),
        ceilings=", ".join(ceilings),
    )
    parts = [
        results_lib.table(_HEADER, rows),
        textwrap.fill(note, 88),
        _shares_table(results),
        textwrap.fill(_SHARES_NOTE, 88),
    ]
    if top:
        parts += [_longest(subject, results, top) for subject in results.traced]
    return "\n\n".join(parts)


def _row(subject: Subject, results: Results) -> list[str]:
    times = [results.times_stock(subject, mode) for mode in ("graph", subject.mode)]
    return [
        subject.name,
        results.spread(subject, "images_per_second").text(),
        *("" if ratio is None else f"{ratio:.2f}" for ratio in times),
        f"{results.spread(subject, 'first_seconds').median:.2f}",
        f"{results.spread(subject, 'memory_mb').median:,.0f}",
        f"{results.part_of_ceiling(subject):.0%}",
    ]


def _shares_table(results: Results) -> str:
    shares = {subject: results.shares(subject) for subject in results.traced}
    shown = [
        g for g in GROUPS if any(g in of_subject for of_subject in shares.values())
    ]
    rows = [
        [subject.name, *(f"{of_subject.get(group, 0.0):.1%}" for group in shown)]
        for subject, of_subject in shares.items()
    ]
    return results_lib.table(["case", *shown], rows)


def _longest(subject: Subject, results: Results, top: int) -> str:
    times = results.operations(subject)
    total = sum(times.values())
    rows = [
        [f"{kind} ({group})", f"{milliseconds:,.1f}", f"{milliseconds / total:.1%}"]
        for (group, kind), milliseconds in list(times.items())[:top]
    ]
    return results_lib.table([subject.name, "ms a step", "part"], rows)


def to_json(results: Results) -> list[dict[str, Any]]:
    """Return everything that was found, a case each, for `results.save`."""
    return [_facts(subject, results) for subject in results.figures]


def _facts(subject: Subject, results: Results) -> dict[str, Any]:
    figures = ("images_per_second", "first_seconds", "memory_mb", "total_loss")
    return {
        "name": subject.name,
        **attrs.asdict(subject),
        "times_stock": results.times_stock(subject),
        "times_stock_in_same_mode": results.times_stock(subject, subject.mode),
        "part_of_ceiling": results.part_of_ceiling(subject),
        **{figure: results.spread(subject, figure) for figure in figures},
        "shares": results.shares(subject),
        "repetitions": list(results.figures[subject]),
    }
