"""Two of a program in one folder at once: one is refused, or both do their work.

By default the second runs within the first, at one of its changes of the file system
(`changes`), under the id of another living process. What is left must be what one
alone leaves; a refusal is one sentence.

    VAE_PROD_TWICE=10 python -m pytest -s tests/attack/twice_test.py

starts two processes of each program at once, so many times, and prints a table: how
often one was refused, how often both worked, and how often what was left wasn't right.
"""

import collections
import importlib
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
from typing import ClassVar
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tests.attack import changes, programs
from tools import launch, program
from tools.benchmarks import results

_TIMES = int(os.environ.get("VAE_PROD_TWICE", "0"))
_SEED = 11
# How often each of the quick ones is tried.
_FEW = 2
_ALL = programs.JOBS | programs.MORE
_OUTCOMES = _REFUSED, _BOTH, _WRONG = "one was refused", "both worked", "wrong"
# Its processes begin with what takes long to import.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def _run(name: str, argv: list[str], variables: dict, begin, said: str) -> None:
    """Run a program in a process of its own, at the same moment as another one.

    Args:
        name: The program's module.
        argv: Its flags.
        variables: Of the environment.
        begin: A barrier.
        said: File for its standard error.
    """
    os.environ.update(variables)
    for descriptor, path in ((1, os.devnull), (2, said)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    begin.wait()
    sys.exit(program.run(importlib.import_module(name), argv))


class TwiceTest(tf.test.TestCase, parameterized.TestCase):
    # Kind of outcome to number, by program.
    counts: ClassVar = collections.defaultdict(collections.Counter)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        rows = [
            [name, *(str(counts[kind]) for kind in _OUTCOMES)]
            for name, counts in cls.counts.items()
        ]
        print(f"\n{results.table(('program', *_OUTCOMES), rows)}")

    def _begin(self, job: programs.Job) -> str:
        root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        out = os.path.join(root, "out")
        job.begin(out)
        return out

    def _alone(self, job: programs.Job) -> tuple[dict[str, str], int]:
        """Return what one alone writes, and in how many changes."""
        out = self._begin(job)
        with changes.at(changes.NEVER, out) as counted:
            code, said = job.run(out)
        self.assertEqual(code, 0, said)
        return job.content(out), counted.count

    def _check(self, job, out: str, expected, ended: list[tuple[int, int, str]]):
        """Check what two leave that ended with these process ids, codes and words."""
        counts = self.counts[job.name]
        counts[_WRONG] += 1
        codes = sorted(code for _, code, _ in ended)
        self.assertIn(codes, ([0, 0], [0, 1]), ended)
        for pid, code, said in ended:
            sentences = [line for line in said.splitlines() if line.startswith("error")]
            self.assertNotIn("Traceback", said)
            if code:
                # Of what a launch starts, it is the chief that is refused.
                self.assertLen(sentences, 2 if job.tool is launch else 1, said)
                holder = re.search(r"It is process (\d+) on ", sentences[0])
                self.assertTrue(holder, said)
                if job.tool is not launch:
                    others = {other for other, *_ in ended} - {pid}
                    self.assertIn(int(holder[1]), others)
            else:
                self.assertEmpty(sentences)
        # Two exports are two versions.
        self.assertContainsSubset(expected.items(), job.content(out).items())
        job.check(self, out)
        self.assertEmpty(programs.asides(out))
        counts[_WRONG] -= 1
        counts[_BOTH if codes == [0, 0] else _REFUSED] += 1

    @parameterized.parameters(*programs.QUICK)
    def test_one_within_the_other(self, name):
        job, draw = programs.JOBS[name], random.Random(_SEED)
        expected, count = self._alone(job)
        for number in sorted(draw.sample(range(1, count + 1), min(_FEW, count))):
            out, ended, other = self._begin(job), [], os.getppid()

            def second(out=out, ended=ended, other=other):
                with mock.patch.object(os, "getpid", return_value=other):
                    ended.append((other, *job.run(out)))

            with (
                self.subTest(number=number, of=count),
                changes.at(number, out, changes.once(second)),
            ):
                ended.append((os.getpid(), *job.run(out)))
                self._check(job, out, expected, ended)

    @parameterized.parameters(*_ALL)
    def test_two_processes(self, name):
        if not _TIMES:
            self.skipTest("VAE_PROD_TWICE says how often")
        job = _ALL[name]
        expected, _ = self._alone(job)
        for number in range(_TIMES):
            out = self._begin(job)
            both, begin = [], _PROCESSES.Barrier(2)
            for said in (f"{out}.first", f"{out}.second"):
                work = (job.tool.__name__, job.command(out), job.environment(out))
                process = _PROCESSES.Process(target=_run, args=(*work, begin, said))
                process.start()
                both.append((process, pathlib.Path(said)))
            for process, _ in both:
                process.join()
            ended = [
                (process.pid, process.exitcode, said.read_text())
                for process, said in both
            ]
            codes = [code for _, code, _ in ended]
            with self.subTest(number=number, codes=codes):
                self._check(job, out, expected, ended)


if __name__ == "__main__":
    tf.test.main()
