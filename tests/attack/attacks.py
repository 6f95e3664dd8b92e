"""Mutated files given to what reads them, and what may come of it."""

import functools
from collections.abc import Callable

import tensorflow as tf

from pipelines import files
from tests.attack import limits, mutations
from tools import flags

COUNT = 60 * limits.SCALE


def read(path: str) -> bytes:
    """Return a file's content."""
    with open(path, "rb") as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Write a file."""
    with open(path, "wb") as file:
        file.write(data)


class AttackTest(tf.test.TestCase):
    """A test in which files are mutated."""

    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def attack(
        self, path: str, use: Callable[[int], object], count: int = COUNT
    ) -> int:
        """Use each mutation of a file, by its number; return how many were refused."""
        right, refused = read(path), 0
        for number in range(count):
            write(path, mutations.mutated(right, number))
            told = f"mutation {number} of {path}"
            refused += self.is_refused(functools.partial(use, number), told)
        write(path, right)
        return refused

    def is_refused(self, use: Callable[[], object], what: str) -> bool:
        """Say whether something was refused in a sentence; else it must be right."""
        try:
            with limits.kept():
                use()
        except files.UserError as error:
            # What is wrong with flags is often absl's sentence.
            of_flags = isinstance(error, flags.UsageError)
            self.assertTrue(of_flags or str(error).startswith("Expected"), str(error))
            self.assertLess(len(str(error)), 10_000, what)
            return True
        except BaseException as error:
            raise AssertionError(what) from error
        return False
