"""What benchmark programs share: cases run apart, repeated, summed up and told.

A case is a function that prepares (imports, opens, starts workers) and returns a
second one that does the work to be measured and returns what it has to say:

    def reading(data_dir):
        from pipelines import dataset  # Imports are part of the preparation.
        batches = ...
        def work():
            return {"images": sum(len(batch) for batch in batches)}
        return work

    cases = [measuring.Case("1 core", reading, {"data_dir": DIR}, cores=1), ...]
    runs = measuring.interleave(cases, 3, show)
    rates = [run.result["images"] / run.wall_seconds for run in runs["1 core"]]
    print(measuring.table(["case", "images/s"], [["1 core", spread(rates).text()]]))
    measuring.save(path, {"machine": measuring.machine("tensorflow"), ...})

Programs whose figures are set by flags alone have `check_flags` and `save_out`.

Every run is a process of its own, so that nothing of one is left in the next. Linux
only: processes are pinned and watched through /proc.
"""

import json
import multiprocessing
import os
import pathlib
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import metadata
from multiprocessing import connection as connection_lib
from typing import Any

import attrs

from pipelines import files
from tools import flags

_WATCH_SECONDS = 0.1
# For a process whose connection has closed to be gone.
_END_SECONDS = 10

Work = Callable[[], Any]
OnProgress = Callable[[int, int], None]


@attrs.frozen
class Case:
    """Something to measure.

    Attributes:
        name: What it is called, different for each case.
        prepare: A function of a module (so that it can be pickled); returns the
            function that is measured, whose result must be picklable.
        arguments: Keyword arguments of `prepare`, picklable.
        cores: Processor cores that the process and its workers may use; 0, or more
            than there are: all of them.
    """

    name: str
    prepare: Callable[..., Work]
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    cores: int = 0


@attrs.frozen
class Run:
    """One measured run of a case.

    Attributes:
        result: What the measured function returned.
        start_seconds: From the start of the process to the end of the preparation.
        wall_seconds: Time of the measured function.
        cpu_seconds: Processor time of the measured function, all its threads and
            those of its workers that ended before it returned.
        peak_mb: Largest memory (resident, MB) of the process, preparation included.
        worker_peak_mb: Largest memory of a process below it, seen at intervals of
            0.1 seconds; 0 without any.
    """

    result: Any
    start_seconds: float
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    worker_peak_mb: float = 0.0


@attrs.frozen
class Spread:
    """The median of some repetitions and their extremes."""

    median: float
    lowest: float
    highest: float

    def text(self, form: str = ",.0f") -> str:
        """Return `median (lowest-highest)`, each number in the form given."""
        low, high = format(self.lowest, form), format(self.highest, form)
        return f"{self.median:{form}} ({low}-{high})"


def spread(values: Sequence[float]) -> Spread:
    """Sum up the same figure of some repetitions."""
    return Spread(statistics.median(values), min(values), max(values))


def run(case: Case) -> Run:
    """Run a case in a fresh process and wait for it.

    What the process writes to stderr comes out here when it has ended.

    Raises:
        UserError: The process crashed: how, and what it said last.
        Exception: Whatever the case raised.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker_peaks_mb = {}
    with tempfile.NamedTemporaryFile() as stderr:
        arguments = (case, theirs, time.time(), stderr.name)
        process = context.Process(target=_work, args=arguments)
        process.start()
        theirs.close()
        try:
            while not ours.poll(_WATCH_SECONDS):
                # The last of each counts: until its program begins, a new process
                # shows the memory of the one that started it.
                worker_peaks_mb |= _workers_peak_mb(process.pid)
            outcome = ours.recv()
        except EOFError:
            process.join(_END_SECONDS)
            outcome = _crash(case.name, process.exitcode, stderr.read())
        finally:
            process.kill()
            process.join()
            stderr.seek(0)
            sys.stderr.write(stderr.read().decode(errors="replace"))
    if isinstance(outcome, BaseException):
        raise outcome
    return attrs.evolve(
        outcome, worker_peak_mb=max(worker_peaks_mb.values(), default=0.0)
    )


def _crash(name: str, code: int | None, stderr: bytes) -> files.UserError:
    """Tell how the process of a case crashed."""
    if code is None:
        how = "closed its connection and goes on"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    lines = stderr.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return files.UserError(
        f"Expected the case {name!r} to finish, its process {how}; it said last: "
        f"{last}. Mend that, or give it less to do where memory ran out."
    )


def _work(
    case: Case, results: connection_lib.Connection, begun: float, stderr: str
) -> None:
    """Run a case in this process and send its outcome."""
    with open(stderr, "wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        if case.cores:
            cores = sorted(os.sched_getaffinity(0))[: case.cores]
            os.sched_setaffinity(0, cores)
        work = case.prepare(**case.arguments)
        start_seconds = time.time() - begun
        wall, cpu = time.perf_counter(), _cpu_seconds()
        result = work()
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        results.send(Run(result, start_seconds, wall, cpu, _peak_mb("self")))
    except BaseException as error:
        results.send(error)


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that ended."""
    return sum(os.times()[:4])


def _peak_mb(process: int | str) -> float:
    # Not ru_maxrss, which a process inherits from the one that started it.
    text = pathlib.Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _workers_peak_mb(process: int | str) -> dict[str, float]:
    """Return the largest memory so far of each process below another one."""
    peaks = {}
    for file in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for worker in file.read_text().split():
                peaks |= {worker: _peak_mb(worker)} | _workers_peak_mb(worker)
        except (OSError, ValueError):  # It has ended meanwhile.
            continue
    return peaks


def interleave(
    cases: Sequence[Case],
    repetitions: int,
    on_progress: OnProgress = lambda done, total: None,
) -> dict[str, list[Run]]:
    """Run every case in turn, and that several times.

    So whatever else the machine is busy with disturbs all cases alike.

    Args:
        cases: What to run.
        repetitions: How often.
        on_progress: Called with (runs done, runs in all), at first with none done.

    Returns:
        Name of each case to its runs.
    """
    runs = {case.name: [] for case in cases}
    total = repetitions * len(cases)
    on_progress(0, total)
    for done in range(total):
        case = cases[done % len(cases)]
        runs[case.name].append(run(case))
        on_progress(done + 1, total)
    return runs


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned text table: the first column to the left, others right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def machine(*packages: str) -> dict[str, Any]:
    """Return what tells this machine and its software from others, as JSON values.

    Args:
        *packages: Distributions whose versions matter.
    """
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    pages, page_size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": round(pages * page_size / 1e6),
        "load_average": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
    }


def check_flags(
    values, choices: Mapping[str, Collection], positive: Sequence[str]
) -> None:
    """Refuse flags that can't be measured, before any work is lost.

    Args:
        values: The parsed flags.
        choices: Name of a flag that takes several values to those there are; it needs
            one of them at least.
        positive: Names of flags that take a number, or some, above 0.

    Raises:
        UsageError: The first of them that isn't so.
        UserError: --out can't be written.
    """
    for name, allowed in choices.items():
        given = values[name].value
        if not given or set(given) - set(allowed):
            raise flags.UsageError(
                f"--{name} must be out of {', '.join(map(str, allowed))}, received "
                f"{','.join(map(str, given)) or 'nothing'}."
            )
    for name in positive:
        given = values[name].value
        if (min(given, default=0) if isinstance(given, tuple) else given) <= 0:
            raise flags.UsageError(f"--{name} must be above 0, received {given}.")
    if values.out:
        check_writable(values.out)


def check_writable(path: str) -> None:
    """Refuse a results file that can't be written, before any work is lost.

    Raises:
        UserError: Its folder is missing or not writable, or it is a folder itself.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise files.UserError(
            f"Expected a file in a folder that can be written to, received --out="
            f"{path}; make its folder or choose another --out."
        )


def save(path: str, values: Mapping[str, Any]) -> None:
    """Write values as JSON (attrs objects included), whole or not at all."""
    files.write(path, json.dumps(values, indent=1, default=attrs.asdict) + "\n")


def save_out(values, machine: Mapping[str, Any], **found) -> None:
    """Write what was found, with the machine and all flags, where --out says."""
    if values.out:
        settings = {name: values[name].value for name in values}
        save(values.out, {"machine": machine, "settings": settings, **found})
