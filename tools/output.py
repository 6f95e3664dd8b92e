"""Standard output and error whose reader may go away, as in `PROGRAM | head`.

What is printed after that goes nowhere, and the program goes on: a training isn't lost
with the terminal that it was started from.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

# What writing to a closed pipe, and to a terminal that has hung up, gives.
_GONE = (errno.EPIPE, errno.EIO)


class _Lasting:
    """A stream that outlives its reader.

    Args:
        stream: What is written to.
    """

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Write, or not, if nobody reads; the number of characters all the same."""
        with _without_reader(self._stream):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines):
        """Write lines."""
        for line in lines:
            self.write(line)

    def flush(self):
        """Flush, if somebody reads."""
        with _without_reader(self._stream):
            self._stream.flush()


@contextlib.contextmanager
def _without_reader(stream) -> Iterator[None]:
    """Let a stream that has lost its reader lead nowhere from then on.

    Its descriptor does, so that the system's libraries and the interpreter's end
    write there, too.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Let standard output and error outlive their readers for a while."""
    out, err = _Lasting(sys.stdout), _Lasting(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()
