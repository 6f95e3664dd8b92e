"""What no input may cost: more than 2 GB of memory, or 30 seconds.

`VAE_PROD_ATTACK` makes the attacks so many times as large, or as many.
"""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator

MEMORY_BYTES = 2 << 30
SECONDS = 30
SCALE = int(os.environ.get("VAE_PROD_ATTACK", "1"))


class Exceeded(BaseException):
    """More time was taken: no handler of `Exception` may catch it."""


@contextlib.contextmanager
def kept(memory_bytes: int = MEMORY_BYTES, seconds: int = SECONDS) -> Iterator[None]:
    """Let code take so much memory beyond what is taken now, and so long.

    More memory raises MemoryError, or ends the process; more time raises `Exceeded`.
    """

    def exceeded(*_):
        raise Exceeded(f"more than {seconds} s")

    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGALRM, exceeded)
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, limits)
