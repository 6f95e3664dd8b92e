"""Standard output and error, whatever becomes of what they lead to.

A reader may go away (`PROGRAM | head`), a terminal hang up, a disk be full, a stream be
closed from the start, a terminal know nothing but ASCII. The program goes on all the
same: a training isn't lost with what shows it. Only where a file on standard output
can't be written, the program says so at its end, and fails.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

# What writing to a closed pipe, and to a terminal that has hung up, gives.
_GONE = (errno.EPIPE, errno.EIO)


class _Lasting:
    """A stream that outlives what it leads to.

    Args:
        stream: What is written to.

    Attributes:
        error: Why what was written is lost, unless its reader went away; else None.
    """

    def __init__(self, stream):
        self._stream = stream
        self.error = None
        if hasattr(stream, "reconfigure"):
            # A character that the encoding lacks, or a file's name that isn't UTF-8.
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Write, if that leads anywhere; give the number of characters all the same."""
        with self._leading_nowhere():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines):
        """Write lines."""
        for line in lines:
            self.write(line)

    def flush(self):
        """Flush, if that leads anywhere."""
        with self._leading_nowhere():
            self._stream.flush()

    @contextlib.contextmanager
    def _leading_nowhere(self) -> Iterator[None]:
        """Let the stream lead nowhere from the first failure on.

        Its descriptor does, so that the system's libraries and the interpreter's end
        write there, too.
        """
        try:
            yield
        except OSError as error:
            self.error = None if error.errno in _GONE else error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def lasting() -> Iterator[_Lasting]:
    """Let standard output and error outlive what they lead to; give the output."""
    _open_closed()
    out, err = _Lasting(sys.stdout), _Lasting(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield out
        finally:
            out.flush()
            err.flush()


def _open_closed() -> None:
    """Let standard streams that were closed from the start lead nowhere.

    Else the first file that is opened would have a stream's descriptor, and what the
    system's libraries print would be written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest that is free: the stream's own.
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode))
