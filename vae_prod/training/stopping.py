"""Asking a run to stop: SIGTERM, SIGHUP and Ctrl-C, seen by the next step."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Stopped(Exception):
    """Training was asked to stop and has left a checkpoint."""


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM, SIGHUP and Ctrl-C into a request that the next step sees.

    A signal that is ignored, as SIGHUP is under nohup, stays so.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return

    def request(number, frame):
        del frame
        # A second signal acts as usual, should a step never end.
        signal.signal(number, signal.SIG_DFL)
        requested.set()

    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    before = {k: v for k, v in before.items() if v != signal.SIG_IGN}
    for kind in before:
        signal.signal(kind, request)
    try:
        yield requested.is_set
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
