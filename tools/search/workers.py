"""Workers of a search on this machine: started, watched, started again."""

import os
import re
import signal
import subprocess
import threading
import time

import tensorflow as tf

from pipelines import files
from tools import program

PARENT = "VAE_PROD_PARENT"
# Restarts of a worker without a trial ended between them, after which it is given up.
_MOST_RESTARTS = 10
_STOP_SECONDS = 60
_TOLD = re.compile(r"^error: (.*)", re.MULTILINE)


def names(count: int) -> list[str]:
    """Return the workers' names."""
    return [f"worker_{number}" for number in range(count)]


class Workers:
    """Processes that run trials for the chief in this one.

    A worker that was killed or stopped is started again under its name, and gets its
    trial back; one that ends with an error ends the search. Workers die with this
    process.

    Args:
        count: How many.
        directory: The search's directory: its `flags.txt` starts a worker, `workers`
            gets what they print.
        port: Where the chief listens.
    """

    def __init__(self, count: int, directory: str, port: int):
        self._directory = directory
        self._port = port
        self._gpus = len(tf.config.list_physical_devices("GPU"))
        self._restarts = dict.fromkeys(names(count), 0)
        self._given_up = set()
        os.makedirs(os.path.join(directory, "workers"), exist_ok=True)
        self._processes = {name: self._start(name) for name in names(count)}

    def _log(self, name: str) -> str:
        return os.path.join(self._directory, "workers", f"{name}.log")

    def _start(self, name: str) -> subprocess.Popen:
        told = {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(self._port),
            PARENT: str(os.getpid()),
        }
        environment = program.environment(**told)
        if self._gpus:
            number = names(len(self._restarts)).index(name)
            environment["CUDA_VISIBLE_DEVICES"] = str(number % self._gpus)
        flagfile = os.path.join(self._directory, "flags.txt")
        with open(self._log(name), "ab") as log:
            return subprocess.Popen(
                [*program.PYTHON, "-m", "tools.tune", f"--flagfile={flagfile}"],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def watch(self) -> list[str]:
        """Start what was killed again; return the workers given up since last time.

        Raises:
            UserError: A worker ended with an error, or none is left.
        """
        gone = []
        for name, process in self._processes.items():
            code = process.poll()
            if not code or name in self._given_up:
                continue
            if code > 0 and code != program.STOPPED:
                raise files.UserError(self._cause(name, code))
            self._restarts[name] += 1
            if self._restarts[name] > _MOST_RESTARTS:
                self._given_up.add(name)
                gone.append(name)
                continue
            print(f"{name} ended (exit code {code}): starting it again", flush=True)
            self._processes[name] = self._start(name)
        if len(self._given_up) == len(self._processes):
            raise files.UserError(
                f"Expected workers to live, each was killed {_MOST_RESTARTS} times "
                "without ending a trial. Look for what kills them (memory?), and "
                f"start the search again: {self._directory} keeps what is finished."
            )
        return gone

    def trial_ended(self) -> None:
        """Take note that workers get somewhere."""
        self._restarts = dict.fromkeys(self._restarts, 0)

    def _cause(self, name: str, code: int) -> str:
        with open(self._log(name), errors="replace") as file:
            text = file.read()
        errors = _TOLD.findall(text)
        if errors:
            return f"{name} stopped: {errors[-1]}"
        lines = "\n".join(text.splitlines()[-15:])
        return f"{name} stopped with exit code {code}; {self._log(name)} ends:\n{lines}"

    def stop(self) -> None:
        """Ask all that still run to leave a checkpoint and go; then make them."""
        running = [p for p in self._processes.values() if p.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def die_with_parent() -> None:
    """End this worker at once when the process that started it is gone."""
    parent = os.environ.get(PARENT)
    if not parent:
        return

    def watch():
        while os.getppid() == int(parent):
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
