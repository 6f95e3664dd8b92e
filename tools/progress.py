"""How far a long job is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time

import tqdm


class Progress:
    """A progress display, called with (done, total); a context manager.

    Args:
        unit: What is counted, in the plural.
        line_seconds: Seconds between plain lines.

    Attributes:
        first: How many were done at the first call, from an earlier run.
    """

    def __init__(self, unit: str = "images", line_seconds: float = 10.0):
        self._unit = unit
        self._line_seconds = line_seconds
        self._bar = None
        self._begun = None
        self.first = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done; the first call sets the start."""
        if self._begun is None:
            self._begun = self._last = time.monotonic()
            self.first = done
        if sys.stderr.isatty():
            self._draw(done, total)
        else:
            self._print(done, total)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm.tqdm(
                total=total, initial=done, unit=f" {self._unit}", dynamic_ncols=True
            )
        self._bar.update(done - self._bar.n)

    def _print(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < self._line_seconds:
            return
        self._last = now
        rate = (done - self.first) / max(now - self._begun, 1e-6)
        left = f"{(total - done) / rate:,.0f} s left" if rate else "no end in sight"
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        print(
            f"{done:,} of {total:,} {self._unit}, {speed} {self._unit}/s, {left}",
            file=sys.stderr,
            flush=True,
        )
