"""Asking a run to stop: SIGTERM and Ctrl-C, seen by the next step."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class Stopped(Exception):
    """Training was asked to stop and has left a checkpoint."""


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and Ctrl-C into a request that the next step sees."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return

    def request(number, frame):
        del frame
        # A second signal acts as usual, should a step never end.
        signal.signal(number, signal.SIG_DFL)
        requested.set()

    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, request) for kind in kinds}
    try:
        yield requested.is_set
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
