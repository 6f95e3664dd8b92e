"""Programs go on, and end as they would, whatever becomes of what they print."""

import contextlib
import errno
import io
import os
import subprocess
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

    def test_a_full_disk_is_told_at_the_end(self):
        full = open("/dev/full", "w")  # noqa: SIM115
        self.addCleanup(full.close)
        with contextlib.redirect_stdout(full), output.lasting() as out:
            sys.stdout.write("one")
            sys.stdout.flush()
            print("two", flush=True)
        self.assertEqual(out.error.errno, errno.ENOSPC)

    def test_what_the_encoding_lacks_is_escaped(self):
        raw = io.BytesIO()
        ascii_only = io.TextIOWrapper(raw, "ascii")
        with contextlib.redirect_stdout(ascii_only), output.lasting():
            print("3 ± 1 \udcff")
        self.assertEqual(raw.getvalue(), b"3 \\xb1 1 \\udcff\n")

    def test_closed_from_the_start(self):
        program = (
            "import os, sys; from tools import output\n"
            "with output.lasting(): print('lost', os.path.exists('/proc/self/fd/1'))"
        )
        for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
            command = f'exec "{sys.executable}" -c "$0" {closed}'
            done = subprocess.run(["sh", "-c", command, program], capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""), closed)


if __name__ == "__main__":
    tf.test.main()
