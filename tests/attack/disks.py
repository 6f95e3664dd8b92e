"""Disks that are full: a small one of its own, and a limit on the size of files."""

import contextlib
import logging
import os
import resource
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from unittest import mock

PAGE = 4096


@contextlib.contextmanager
def file_limit(num_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, whoever writes it.

    The system refuses with EFBIG; Python ignores the signal that goes before it. What
    loggers can't write to the tests' own standard error is let go.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        with mock.patch.object(logging, "raiseExceptions", False):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Disk:
    """A file system in memory (tmpfs) of a size, for which one must be root.

    Args:
        num_bytes: Its size.

    Attributes:
        path: Where it is mounted.
    """

    def __init__(self, num_bytes: int):
        self.path = tempfile.mkdtemp()
        _mount("-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", self.path)
        # One without a page has no limit.
        with open(os.path.join(self.path, "page"), "wb") as file:
            file.write(bytes(PAGE))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)
        os.rmdir(self.path)

    def resize(self, num_bytes: int) -> None:
        """Give it another size."""
        _mount("-o", f"remount,size={num_bytes}", self.path)

    def used(self) -> int:
        """Return the bytes that are taken."""
        return shutil.disk_usage(self.path).used

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Take down the most bytes that are taken meanwhile, as the list's last."""
        peaks, ended = [self.used()], threading.Event()

        def watch():
            while not ended.wait(0.0005):
                peaks.append(max(peaks[-1], self.used()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield peaks
        finally:
            ended.set()
            watcher.join()
            peaks.append(max(peaks[-1], self.used()))


def may_mount() -> bool:
    """Say whether this process may mount a disk."""
    try:
        with Disk(PAGE):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
