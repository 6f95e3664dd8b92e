"""Programs go on, and end as they would, when the reader of what they print is gone."""

import contextlib
import os
import sys

import tensorflow as tf
from absl.testing import parameterized

from tools import output


class LastingTest(tf.test.TestCase, parameterized.TestCase):
    def _pipe(self):
        """Return a stream into a pipe, and its reader."""
        reader, writer = os.pipe()
        stream = os.fdopen(writer, "w", buffering=1)
        self.addCleanup(stream.close)
        return stream, os.fdopen(reader)

    def test_all_is_read_while_somebody_reads(self):
        stream, reader = self._pipe()
        with reader, contextlib.redirect_stdout(stream), output.lasting():
            print("one")
            sys.stdout.writelines(["two\n"])
            self.assertEqual(sys.stdout.write("three\n"), 6)
            lines = [reader.readline() for _ in range(3)]
        self.assertEqual(lines, ["one\n", "two\n", "three\n"])

    @parameterized.parameters(contextlib.redirect_stdout, contextlib.redirect_stderr)
    def test_the_reader_goes_away(self, redirect):
        stream, reader = self._pipe()
        with redirect(stream), output.lasting():
            written = (
                sys.stdout if redirect is contextlib.redirect_stdout else sys.stderr
            )
            print("one", file=written, flush=True)
            reader.close()
            for _ in range(3):
                print("x" * 100_000, file=written, flush=True)
        # Libraries that write to the descriptor don't fail either.
        os.write(stream.fileno(), b"more")

    def test_a_reader_that_goes_before_the_end(self):
        stream, reader = self._pipe()
        reader.close()
        with contextlib.redirect_stdout(stream), output.lasting():
            sys.stdout.write("unfinished line")

    def test_other_failures_are_failures(self):
        full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        self.addCleanup(full.close)
        with (
            self.assertRaisesRegex(OSError, "No space left"),
            contextlib.redirect_stdout(full),
            output.lasting(),
        ):
            sys.stdout.write(b"one")


if __name__ == "__main__":
    tf.test.main()
