"""What tools.benchmark_input says: the cases by name, side by side, and the goals."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tools.benchmarks import results as results_lib

PIPELINES = {
    "records": "records only",
    "stock": "stock per-example",
    "stock_batched": "stock batched",
    "twin": "our twin",
    "op": "our op",
}
# What the op is to reach: times `stock`, part of `records`, memory in MB.
TIMES_STOCK = {"raw": 3.0, "jpeg": 1.5}
PART_OF_RECORDS = {"raw": 0.6}
MEMORY_MB = 300.0

_HEADER = (
    "case",
    "images/s",
    "x stock",
    "by CPU",
    "of records",
    "CPU s/1,000",
    "memory MB",
    "first s",
    "again s",
    "at 90 % s",
)
_LATENCIES = ("first_seconds", "again_seconds", "late_seconds")
_NOTE = (
    "Medians of {repetitions} repetitions by turns (lowest-highest); endless reading "
    "from the page cache in batches of {batch_size}. x stock, of records: within a "
    "repetition, beside stock per-example and records only under the same conditions; "
    "by CPU: stock's processor time over one's own, steadier on a busy machine. "
    "memory: peak beyond the interpreter with TensorFlow. first: to the first batch in "
    "a fresh process; again, at 90 %: later in the same one, from step 0 and from 90 % "
    "of an epoch (stock: skip). On {cores} cores of {cpu}, load {load_average} at the "
    "beginning."
)


@attrs.frozen
class Subject:
    """A pipeline under some conditions; reading records alone has fewer of them.

    Attributes:
        pipeline: One of `PIPELINES`.
        encoding: How the images are stored.
        cores: Processor cores.
        dtype: Type of the finished images.
        augment: Whether examples are shuffled and mirrored.
    """

    pipeline: str
    encoding: str
    cores: int
    dtype: str = ""
    augment: bool = False

    @property
    def name(self) -> str:
        """What it is called, different for each."""
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        order = "" if self.augment or not self.dtype else "in order"
        facts = " ".join(filter(None, (self.encoding, self.dtype, cores, order)))
        return f"{facts}: {PIPELINES[self.pipeline]}"

    def beside(self, pipeline: str) -> "Subject":
        """Return another pipeline under the same conditions."""
        if pipeline == "records":
            return Subject(pipeline, self.encoding, self.cores)
        return attrs.evolve(self, pipeline=pipeline)


# The `input_cases.Figures` of each subject's repetitions.
Results = Mapping[Subject, Sequence[Any]]


@attrs.frozen
class Goal:
    """Something the op is to reach, and what it has reached."""

    case: str
    what: str
    wanted: float
    value: float
    holds: bool

    def text(self) -> str:
        """Return it for people."""
        verdict = "holds" if self.holds else "does NOT hold"
        value = f"{self.value:.3g} {self.what}"
        return f"{self.case}: {value}, goal {self.wanted:g}: {verdict}"


def find_goals(results: Results) -> list[Goal]:
    """Return how far the op is, as far as the cases measured tell."""
    goals = []
    for subject in results:
        if subject.pipeline != "op":
            continue
        rates = [
            ("times stock per-example", TIMES_STOCK, _times(subject, results, "stock")),
            ("of records only", PART_OF_RECORDS, _times(subject, results, "records")),
        ]
        for what, wanted, value in rates:
            least = wanted.get(subject.encoding)
            if least is not None and value is not None:
                goals.append(Goal(subject.name, what, least, value, value >= least))
        memory = _spread(subject, results, "memory_mb").highest
        below = memory < MEMORY_MB
        goals.append(Goal(subject.name, "MB at most", MEMORY_MB, memory, below))
    return goals


def to_text(results: Results, machine: Mapping[str, Any], batch_size: int) -> str:
    """Return the table, what was compared in it and which goals hold."""
    rows = [_row(subject, results) for subject in results]
    repetitions = len(next(iter(results.values())))
    note = _NOTE.format(**machine, repetitions=repetitions, batch_size=batch_size)
    goals = [goal.text() for goal in find_goals(results)]
    table = results_lib.table(_HEADER, rows)
    return "\n".join([table, "", textwrap.fill(note, 88), *goals])


def to_json(results: Results) -> list[dict[str, Any]]:
    """Return everything that was found, a case each, for `results.save`."""
    return [_facts(subject, results) for subject in results]


def _spread(subject: Subject, results: Results, figure: str) -> results_lib.Spread:
    return results_lib.spread([getattr(one, figure) for one in results[subject]])


def _pairs(subject: Subject, results: Results, pipeline: str) -> list[tuple[Any, Any]]:
    """Return the figures beside another pipeline's; empty where it wasn't measured."""
    return list(
        zip(results[subject], results.get(subject.beside(pipeline), ()), strict=False)
    )


def _times(subject: Subject, results: Results, pipeline: str) -> float | None:
    """Return the rate beside another pipeline's: the median over the repetitions."""
    ratios = [
        one.images_per_second / other.images_per_second
        for one, other in _pairs(subject, results, pipeline)
    ]
    return statistics.median(ratios) if ratios else None


def _times_by_cpu(subject: Subject, results: Results) -> float | None:
    """Return how much less processor time it takes than stock per-example."""
    ratios = [
        other.cpu_seconds / one.cpu_seconds
        for one, other in _pairs(subject, results, "stock")
    ]
    return statistics.median(ratios) if ratios else None


def _row(subject: Subject, results: Results) -> list[str]:
    times, part = (_times(subject, results, name) for name in ("stock", "records"))
    by_cpu = _times_by_cpu(subject, results)
    latencies = (_spread(subject, results, name).median for name in _LATENCIES)
    return [
        subject.name,
        _spread(subject, results, "images_per_second").text(),
        "" if times is None else f"{times:.2f}",
        "" if by_cpu is None else f"{by_cpu:.2f}",
        "" if part is None else f"{part:.0%}",
        f"{_spread(subject, results, 'cpu_seconds').median:.3f}",
        f"{_spread(subject, results, 'memory_mb').median:,.0f}",
        *(f"{seconds:.2f}" for seconds in latencies),
    ]


def _facts(subject: Subject, results: Results) -> dict[str, Any]:
    repetitions = results[subject]
    figures = [field.name for field in attrs.fields(type(repetitions[0]))]
    return {
        "name": subject.name,
        **attrs.asdict(subject),
        "times_stock": _times(subject, results, "stock"),
        "times_stock_by_cpu": _times_by_cpu(subject, results),
        "part_of_records": _times(subject, results, "records"),
        **{figure: _spread(subject, results, figure) for figure in figures},
        "repetitions": list(repetitions),
    }
