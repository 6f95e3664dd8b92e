"""Measuring: cases that run in processes of their own, by turns.

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

Every run is a process of its own, so that nothing of one is left in the next. Linux
only: processes are pinned, and their largest memory is read from /proc.
"""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection as connection_lib
from typing import Any

import attrs
import psutil

from pipelines import files

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
            process = psutil.Process()
            process.cpu_affinity(sorted(process.cpu_affinity())[: case.cores])
        work = case.prepare(**case.arguments)
        start_seconds = time.time() - begun
        wall, cpu = time.perf_counter(), _cpu_seconds()
        result = work()
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        results.send(Run(result, start_seconds, wall, cpu, peak_mb()))
    except BaseException as error:
        results.send(error)


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that ended."""
    return sum(os.times()[:4])


def memory_mb() -> float:
    """Return the memory (resident, MB) of this process now."""
    return psutil.Process().memory_info().rss / 1e6


def peak_mb(process: int | None = None) -> float:
    """Return the largest memory (resident, MB) that a process has had.

    Args:
        process: Its id; None: this one.
    """
    # psutil doesn't tell it; ru_maxrss a process inherits from the one that started it.
    text = pathlib.Path(f"/proc/{process or 'self'}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _workers_peak_mb(process: int) -> dict[int, float]:
    """Return the largest memory so far of each process below another one."""
    peaks = {}
    with contextlib.suppress(psutil.Error):  # It has ended meanwhile.
        for worker in psutil.Process(process).children(recursive=True):
            with contextlib.suppress(OSError, ValueError):  # So has this one.
                peaks[worker.pid] = peak_mb(worker.pid)
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
