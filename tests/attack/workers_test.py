"""Workers of a run that hang, or come late.

What is left must end within a stated time, with a sentence; and the same command goes
on to the weights of a run that nobody disturbed.

    VAE_PROD_WORKERS=5 python -m pytest tests/attack/workers_test.py

tries each so many times, at other moments; each takes a minute, so by default none is.
"""

import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

import tensorflow as tf
from absl.testing import parameterized

from tests.pipelines import shard_fixtures
from tests.tools import launch_test
from tools import launch, program

_TIMES = int(os.environ.get("VAE_PROD_WORKERS", "0"))
_NUMBERS = tuple(range(_TIMES or 1))
_SEED = 13
_STEP_TIMEOUT = 8
# For a chief to find out, save and end, on a busy machine.
_MOST_SECONDS = 300
_FLAGS = (
    *("--filters=4", "--z_dim=2", "--batch_size=8", "--epochs=30", "--dropout=0.1"),
    *("--microbatches=2", "--images_every_epochs=99", "--checkpoint_every_steps=5"),
    *("--strategy=multi_worker", f"--step_timeout={_STEP_TIMEOUT}", "--resume"),
)


class WorkersTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not _TIMES:
            raise unittest.SkipTest("VAE_PROD_WORKERS says how often")
        cls.root = cls.create_tempdir(cls()).full_path
        cls.data_dir = os.path.join(cls.root, "data")
        os.makedirs(cls.data_dir)
        shard_fixtures.write(cls.data_dir, {"train": (24,)}, (8, 8, 3))
        cls.undisturbed = os.path.join(cls.root, "undisturbed")
        cls._finish(cls.undisturbed)

    @classmethod
    def _finish(cls, run_dir):
        """Train, or go on, alone: the number of workers doesn't matter."""
        flags = (f"--data_dir={cls.data_dir}", f"--run_dir={run_dir}", *_FLAGS)
        code, _, err = launch_test._run(launch_test.train, *flags, "--strategy=none")
        if code:
            raise AssertionError(err)

    def setUp(self):
        super().setUp()
        ports = launch._free_ports(2)
        self.cluster = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.run_dir = os.path.join(self.create_tempdir().full_path, "run")

    def _start(self, number: int) -> subprocess.Popen:
        said = pathlib.Path(self.run_dir + f".{number}")
        command = [*program.PYTHON, "-m", "tools.train", *_FLAGS]
        command += [f"--data_dir={self.data_dir}", f"--run_dir={self.run_dir}"]
        # Not to the file itself: for want of room a worker couldn't say so.
        with open(said, "w") as file:
            output = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
        worker = subprocess.Popen(
            [*command, f"--cluster={self.cluster}", f"--worker={number}"],
            env=program.environment(CUDA_VISIBLE_DEVICES="-1"),
            stdout=output.stdin,
            stderr=output.stdin,
        )
        output.stdin.close()
        worker.output = output
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        worker.said = said
        return worker

    def _wait_for(self, condition, worker):
        end = time.monotonic() + _MOST_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, worker.said.read_text())
            self.assertIsNone(worker.poll(), worker.said.read_text())
            time.sleep(0.05)

    def _check_ended(self, worker):
        """Check that a worker ends by itself, with a sentence."""
        code = worker.wait(_STEP_TIMEOUT + _MOST_SECONDS)
        worker.output.wait()
        said = worker.said.read_text()
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        self.assertEqual(code, 1, said)
        self.assertLen(errors, 1)
        self.assertNotIn("Traceback", said)
        return errors[0]

    def _check_goes_on(self):
        self._finish(self.run_dir)
        runs = map(launch_test._weights, (self.run_dir, self.undisturbed))
        for got, wanted in zip(*runs, strict=True):
            self.assertAllEqual(got, wanted)

    def _begun(self, *more) -> list[subprocess.Popen]:
        """Start two workers, and wait until an epoch has ended."""
        started = [self._start(worker) for worker in range(2)]
        history = os.path.join(self.run_dir, "history.csv")
        self._wait_for(lambda: os.path.exists(history), started[0])
        time.sleep(random.Random(f"{more} {_SEED}").random())
        return started

    @parameterized.product(hung=(1, 0), number=_NUMBERS)
    def test_one_that_hangs(self, hung, number):
        started = self._begun(hung, number)
        started[hung].send_signal(signal.SIGSTOP)
        told = self._check_ended(started[1 - hung])
        self.assertIn("one is gone or doesn't answer", told)
        started[hung].kill()
        started[hung].wait()
        self._check_goes_on()

    def test_one_that_comes_late(self):
        chief = self._start(0)
        self._wait_for(lambda: "Waiting for 1/2" in chief.said.read_text(), chief)
        time.sleep(_STEP_TIMEOUT)
        other = self._start(1)
        for worker in (chief, other):
            code = worker.wait(_MOST_SECONDS)
            self.assertEqual(code, 0, worker.said.read_text())
        self._check_goes_on()


if __name__ == "__main__":
    tf.test.main()
