"""Cases to measure: apart from the tests, so that no run imports TensorFlow."""

import os
import signal
import subprocess
import sys

from pipelines import files


def add(numbers):
    return lambda: {"sum": sum(numbers), "cores": len(os.sched_getaffinity(0))}


def fill(megabytes):
    return lambda: len(b"x" * (megabytes * 1_000_000))


def fill_worker(megabytes):
    code = f"import time; data = b'x' * {megabytes * 1_000_000}; time.sleep(0.5)"
    return lambda: subprocess.run([sys.executable, "-c", code], check=True).returncode


def spin(seconds):
    code = f"import time\nwhile time.process_time() < {seconds}: pass"
    return lambda: subprocess.run([sys.executable, "-c", code], check=True).returncode


def refuse():
    raise files.UserError("Expected that, received this; do so.")


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def abort():
    print("Fatal: no more", file=sys.stderr, flush=True)
    os.abort()


def exit_with_7():
    print("trying\ngiving up\n", file=sys.stderr, flush=True)
    os._exit(7)


def raise_what_cannot_be_sent():
    class Unsendable(Exception):
        pass

    raise Unsendable


def speak():
    return lambda: print("hello", file=sys.stderr)
