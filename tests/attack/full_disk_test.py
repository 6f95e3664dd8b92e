"""Places that refuse: one sentence, nothing partial, and the same command goes on.

Each program writes to a folder of its own while

- the system refuses its n-th change, and those after it, by a number of `errno`;
- files may not grow beyond a size, which TensorFlow and HDF5 meet, too;
- the folder is removed before its n-th change;
- in the large setting, where this process may mount one, its disk is too small.

It must say so in one sentence. What has a final name is as an undisturbed program
writes it, and afterwards the same command gives what that one gives.

    VAE_PROD_FULL_DISK=100 python -m pytest -s tests/attack/full_disk_test.py

tries so many points of each program, all programs among them, and prints a table.
"""

import collections
import contextlib
import errno
import os
import random
import shutil
import tempfile

import tensorflow as tf
from absl.testing import parameterized

from tests.attack import changes, disks, programs

_POINTS = int(os.environ.get("VAE_PROD_FULL_DISK", "0"))
_SEED = 7
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
# How often each kind is tried of the quick ones.
_FEW = 1
_WHOLE = 1 << 30


class FullDiskTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.counts = collections.Counter()

    def _print(self, name: str) -> None:
        counts = sorted(self.counts.items())
        print(f"\n{name}: {', '.join(f'{kind} {number}' for kind, number in counts)}")

    def _folder(self) -> str:
        root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        return root

    def _undisturbed(self, job: programs.Job) -> tuple[dict[str, str], int]:
        """Return what a program writes, and in how many changes."""
        out = os.path.join(self._folder(), "out")
        job.begin(out)
        with changes.at(changes.NEVER, out) as counted:
            code, said = job.run(out)
        self.assertEqual(code, 0, said)
        return job.content(out), counted.count

    def _attack(self, job, kind: str, disturbed, expected, root: str = "") -> None:
        """Disturb a program once, and let it go on.

        Args:
            job: The program.
            kind: How it is disturbed, for the table.
            disturbed: Takes the folder; a context in which the program is disturbed.
            expected: What an undisturbed program writes.
            root: Where its folder lies; empty: anywhere.
        """
        out = os.path.join(root or self._folder(), "out")
        job.begin(out)
        before = job.content(out)
        with disturbed(out):
            code, said = job.run(out)
        with self.subTest(program=job.name, kind=kind, code=code, said=said):
            self.counts[f"{kind} {'refused' if code else 'done'}"] += 1
            self.assertIn(code, (0, 1))
            sentences = [line for line in said.splitlines() if line.startswith("error")]
            self.assertLen(sentences, code)
            self.assertNotIn("Traceback", said)
            for name, digest in job.content(out).items():
                self.assertIn(digest, (before.get(name), expected[name]), name)
            # What was refused after all was done isn't told: the next one clears up.
            if code or not os.path.exists(out) or programs.asides(out):
                if not os.path.exists(out):
                    job.begin(out)
                code, said = job.run(out)
                self.assertEqual(code, 0, said)
            self.assertEqual(job.content(out), expected)
            job.check(self, out)
            self.assertEmpty(programs.asides(out))

    def _try_all(self, name: str, points: int) -> None:
        """Disturb a program in each way, so many times."""
        job, draw = programs.JOBS[name], random.Random(_SEED)
        expected, count = self._undisturbed(job)
        for _ in range(points):
            number = draw.choice(_REFUSALS)
            at = draw.randint(1, count)

            def refused(out, at=at, number=number):
                return changes.at(at, out, changes.refuse(number))

            self._attack(job, errno.errorcode[number], refused, expected)

            def gone(out, at=at):
                return changes.at(at, out, changes.once(lambda: shutil.rmtree(out)))

            self._attack(job, "removed", gone, expected)
            size = int(10 ** draw.uniform(0, 5))

            def limited(_, size=size):
                return disks.file_limit(size)

            self._attack(job, "EFBIG", limited, expected)
        self._print(name)

    @parameterized.parameters(*programs.QUICK)
    def test_quick_ones(self, name):
        self._try_all(name, _FEW)

    def test_training(self):
        job = programs.JOBS["train"]
        expected, _ = self._undisturbed(job)
        # Between the sizes of a history and of weights.
        self._attack(job, "EFBIG", lambda _: disks.file_limit(20_000), expected)

    @parameterized.parameters(*programs.JOBS)
    def test_many_points(self, name):
        if not _POINTS:
            self.skipTest("VAE_PROD_FULL_DISK says how many")
        self._try_all(name, _POINTS // 6)

    @parameterized.parameters(*programs.JOBS)
    def test_small_disks(self, name):
        if not _POINTS:
            self.skipTest("VAE_PROD_FULL_DISK says how many")
        if not disks.may_mount():
            self.skipTest("this user may not mount a disk")
        job, draw = programs.JOBS[name], random.Random(_SEED)
        expected, _ = self._undisturbed(job)
        with disks.Disk(_WHOLE) as disk:
            out = os.path.join(disk.path, "out")
            job.begin(out)
            begun = disk.used()
            with disk.watched() as peaks:
                job.run(out)
        for _ in range(_POINTS // 2):
            size = draw.randrange(begun, peaks[-1], disks.PAGE)
            with disks.Disk(_WHOLE) as disk:

                @contextlib.contextmanager
                def full(_, disk=disk, size=size):
                    disk.resize(size)
                    yield
                    disk.resize(_WHOLE)

                self._attack(job, "small disk", full, expected, disk.path)
        self._print(name)
