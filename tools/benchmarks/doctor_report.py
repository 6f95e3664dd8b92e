"""What tools.doctor concludes of its measurements: pure functions of the rates."""

import textwrap
from collections.abc import Mapping

import attrs

from tools.benchmarks import results

# CelebA's training split, the yardstick for an epoch.
CELEBA_IMAGES = 162_770
# How much faster a combination must be than one that is nearer to plain float32.
WORTHWHILE = 1.1


@attrs.frozen
class StepCase:
    """A way to run the train step, from plain float32 on."""

    decoder: str
    precision: str
    jit: bool

    @property
    def name(self) -> str:
        """What it is called, different for each."""
        return f"{self.decoder} {self.precision} {'jit' if self.jit else 'graph'}"


@attrs.frozen
class StepRates:
    """What was found of a train step.

    Attributes:
        images_per_second: With one batch in memory, again and again.
        with_reading: With batches that are read meanwhile; images per second.
        first_seconds: The first step, with tracing and compilation.
        failed: Why there is nothing, in which case all figures are 0.
    """

    images_per_second: float = 0.0
    with_reading: float = 0.0
    first_seconds: float = 0.0
    failed: str = ""


@attrs.frozen
class Reading:
    """What was found of the input; images per second, None where it wasn't measured.

    Attributes:
        records: Only serialized records.
        decoded: Pipeline (`op`, `twin`) to its rate, in the order of the shards.
        augmented: Pipeline to its rate as training reads, shuffled and augmented.
        encoding: How the images are stored.
    """

    records: float
    decoded: Mapping[str, float]
    augmented: Mapping[str, float]
    encoding: str

    @property
    def used(self) -> str:
        """The pipeline that training will use."""
        return next(name for name in ("op", "twin") if name in self.augmented)


@attrs.frozen
class Verdict:
    """What to do.

    Attributes:
        bottleneck: `input` or `step`.
        factor: How many times as fast the other one is.
        case: The combination to use.
        images_per_second: What training will make of it.
        epoch_seconds: An epoch of CelebA's training images.
        flags: The flags to use.
        advice: Sentences.
    """

    bottleneck: str
    factor: float
    case: StepCase
    images_per_second: float
    epoch_seconds: float
    flags: str
    advice: tuple[str, ...]


def judge(
    reading: Reading,
    steps: Mapping[StepCase, StepRates],
    decoder: str,
    shares_cores: bool,
) -> Verdict:
    """Find the bottleneck and what to use.

    Args:
        reading: What was found of the input.
        steps: What was found of the steps, those nearer to plain float32 first; one
            of the decoder must not have failed.
        decoder: The decoder to be used.
        shares_cores: Whether reading takes its time from the step (on a CPU).
    """
    done = {c: r for c, r in steps.items() if c.decoder == decoder and not r.failed}
    fastest = max(rates.with_reading for rates in done.values())
    case, rates = next(
        item for item in done.items() if item[1].with_reading * WORTHWHILE >= fastest
    )
    read, step = reading.augmented[reading.used], rates.images_per_second
    bottleneck = "input" if read < step else "step"
    advice = []
    if bottleneck == "input":
        advice += _faster_reading(reading)
    elif shares_cores:
        advice.append(f"Reading takes {step / (read + step):.0%} of the time.")
    if case.precision != "float32":
        advice.append(
            f"{case.precision} changes the numbers: losses stay within what another "
            "seed changes, but not the same bits."
        )
    return Verdict(
        bottleneck=bottleneck,
        factor=max(read, step) / min(read, step),
        case=case,
        images_per_second=rates.with_reading,
        epoch_seconds=CELEBA_IMAGES / rates.with_reading,
        flags=f"--mixed_precision={case.precision} "
        f"--jit_compile={'true' if case.jit else 'false'} --native=auto",
        advice=tuple(advice),
    )


def _faster_reading(reading: Reading) -> list[str]:
    advice = []
    if reading.used == "twin":
        advice.append("Install g++ or clang++: the input op reads faster.")
    if reading.encoding != "raw":
        advice.append("Convert with --encoding=raw: nothing is left to decode.")
    advice.append("With enough memory, --cache=memory decodes each image only once.")
    return advice


def reading_table(reading: Reading) -> str:
    """Return what was found of the input."""
    names = list(reading.augmented)
    rows = [["records only", f"{reading.records:,.0f}"] + [""] * (len(names) - 1)]
    for label, rates in (
        (f"decoded ({reading.encoding})", reading.decoded),
        ("as for training", reading.augmented),
    ):
        rows.append([label, *(f"{rates[name]:,.0f}" for name in names)])
    return results.table(["reading, images/s", *names], rows)


def steps_table(steps: Mapping[StepCase, StepRates]) -> str:
    """Return what was found of the steps."""
    header = ["train step", "images/s", "with reading", "first step s"]
    rows = []
    for case, rates in steps.items():
        figures = [f"{rates.images_per_second:,.0f}", f"{rates.with_reading:,.0f}"]
        figures.append(f"{rates.first_seconds:.1f}")
        rows.append([case.name, *(["failed", "", ""] if rates.failed else figures)])
    reasons = (f"{c.name}: {r.failed}" for c, r in steps.items() if r.failed)
    return "\n".join([results.table(header, rows), *reasons])


def verdict_text(verdict: Verdict) -> str:
    """Return what to do, for people."""
    other = {"input": "The step", "step": "Reading"}[verdict.bottleneck]
    name = {"input": "Reading", "step": "The train step"}[verdict.bottleneck]
    minutes = verdict.epoch_seconds / 60
    sentences = [
        f"{name} is the bottleneck: {other.lower()} alone is {verdict.factor:.1f} "
        "times as fast.",
        f"Expect {verdict.images_per_second:,.0f} images/s, an epoch of CelebA's "
        f"{CELEBA_IMAGES:,} training images in {verdict.epoch_seconds:,.0f} s "
        f"({minutes:,.1f} minutes), without validation.",
        *verdict.advice,
    ]
    return f"{textwrap.fill(' '.join(sentences), 88)}\nuse: {verdict.flags}"
