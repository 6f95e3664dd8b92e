"""Stands in for the processes of a benchmark: its cases run in this one."""

import contextlib
from collections.abc import Iterator, Mapping
from multiprocessing import reduction
from types import ModuleType
from typing import Any
from unittest import mock

from tests.tools import convert_celeba_test
from tools.benchmarks import measuring

WORKER_MB = 100.0  # The memory of a worker, where a case has several cores.


def run(case: measuring.Case) -> measuring.Run:
    """Run a case as `measuring.run` does, on all cores and without measuring it.

    The case goes through what carries it to a process, so that what can't be carried
    is refused here, too.
    """
    case = reduction.ForkingPickler.loads(reduction.ForkingPickler.dumps(case))
    result = case.prepare(**case.arguments)()
    worker_mb = WORKER_MB if case.cores > 1 else 0.0
    return measuring.Run(result, 1.0, 1.0, 1.0, 1000.0, worker_mb)


@contextlib.contextmanager
def benchmarks() -> Iterator[None]:
    """Give a context in which benchmarks take no processes."""
    with mock.patch.object(measuring, "run", run):
        yield


def planned(tool: ModuleType, *argv: str) -> dict[str, Mapping[str, Any]]:
    """Return what a benchmark would run: name of each case to its arguments."""
    with mock.patch.object(measuring, "interleave", side_effect=_Enough) as interleave:
        try:
            convert_celeba_test.run(tool, *argv)
        except _Enough:
            (cases, *_), _ = interleave.call_args
    return {case.name: case.arguments for case in cases}


class _Enough(Exception):
    """Ends a program where it would begin to measure."""
