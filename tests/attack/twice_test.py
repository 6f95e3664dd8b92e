"""Two of a program in one folder at once: one is refused, or both do their work.

By default the second runs within the first, at one of its changes of the file system
(`changes`), under the id of another living process. What is left must be what one
alone leaves; a refusal is one sentence.

    VAE_PROD_TWICE=10 python -m pytest -s tests/attack/twice_test.py

starts two processes of each program at once, so many times, and prints a table.
"""

import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from tests.attack import changes, programs

_TIMES = int(os.environ.get("VAE_PROD_TWICE", "0"))
_SEED = 11
# How often each of the quick ones is tried.
_FEW = 2


class TwiceTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.counts = collections.Counter()

    def _print(self, name: str) -> None:
        counts = sorted(self.counts.items())
        print(f"\n{name}: {', '.join(f'{kind} {number}' for kind, number in counts)}")

    def _start(self, job: programs.Job) -> str:
        root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        out = os.path.join(root, "out")
        job.start(out)
        return out

    def _alone(self, job: programs.Job) -> tuple[dict[str, str], int]:
        """Return what one alone writes, and in how many changes."""
        out = self._start(job)
        with changes.at(changes.NEVER, out) as counted:
            code, said = job.run(out)
        self.assertEqual(code, 0, said)
        return job.content(out), counted.count

    def _check(self, job, out: str, expected, ended: list[tuple[int, str]]) -> None:
        """Check what two leave that ended with these codes and words."""
        codes = sorted(code for code, _ in ended)
        self.counts["both worked" if codes == [0, 0] else "one was refused"] += 1
        self.assertIn(codes, ([0, 0], [0, 1]), ended)
        for code, said in ended:
            sentences = [line for line in said.splitlines() if line.startswith("error")]
            self.assertLen(sentences, code, said)
            self.assertNotIn("Traceback", said)
        # Two exports are two versions.
        self.assertContainsSubset(expected.items(), job.content(out).items())
        job.check(self, out)
        self.assertEmpty(programs.asides(out))

    @parameterized.parameters(*programs.QUICK)
    def test_one_within_the_other(self, name):
        job, draw = programs.JOBS[name], random.Random(_SEED)
        expected, count = self._alone(job)
        for number in sorted(draw.sample(range(1, count + 1), min(_FEW, count))):
            out, ended = self._start(job), []

            def second(out=out, ended=ended):
                with mock.patch.object(os, "getpid", return_value=os.getppid()):
                    ended.append(job.run(out))

            with (
                self.subTest(number=number, of=count),
                changes.at(number, out, changes.once(second)),
            ):
                ended.append(job.run(out))
                self._check(job, out, expected, ended)
        self._print(name)

    @parameterized.parameters(*programs.JOBS)
    def test_two_processes(self, name):
        if not _TIMES:
            self.skipTest("VAE_PROD_TWICE says how often")
        job = programs.JOBS[name]
        expected, _ = self._alone(job)
        for _ in range(_TIMES):
            out = self._start(job)
            command = [sys.executable, "-m", job.tool.__name__, *job.command(out)]
            both = [
                subprocess.Popen(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for _ in range(2)
            ]
            said = [each.communicate()[1] for each in both]
            codes = [each.returncode for each in both]
            with self.subTest(codes=codes):
                self._check(job, out, expected, list(zip(codes, said, strict=True)))
        self._print(name)


if __name__ == "__main__":
    tf.test.main()
