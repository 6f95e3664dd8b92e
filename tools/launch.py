"""Start all workers of a training run on this machine.

    python -m tools.launch --workers=4 tools.train --data_dir=DIR --run_dir=RUN \
        --microbatches=4

Starts the program once for each worker, with --strategy=multi_worker, --cluster and
--worker added to its flags, a GPU each where there are any (--gpus) or a share of the
cores. The chief, worker 0, writes and prints as one process would; what others print
goes to --logs. SIGTERM and Ctrl-C go to all, who leave a checkpoint and stop at one
and the same step, as they do where the launcher is killed. Where a worker is gone the
others end; the same command with --resume goes on, with as many workers or another
number of them.

On several machines start tools.train on each, by SLURM, by Kubernetes (TF_CONFIG) or
by hand with --cluster and --worker: see docs/workers.md.
"""

import contextlib
import ctypes
import functools
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile

from pipelines import files
from tools import flags, program

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PROGRAM = "tools.train"
# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
# Workers and GPUs of one machine.
_MOST = 1024


def define(values):
    """Define this program's flags."""
    flags.add(values, "workers", 2, "Processes to start.", least=1, most=_MOST)
    text = "GPUs to deal out, one to a worker; 0: none, the workers take the CPU."
    flags.add(values, "gpus", 0, text, most=_MOST)
    text = "Folder for what workers but the chief print; empty: one of its own."
    flags.add(values, "logs", "", text)
    text = "The program and its flags in one; or they stand at the end as they are."
    flags.add(values, "command", "", text)


def main(values):
    """Start the workers and wait for them."""
    flags.require(values, "command")
    name, argv = _parsed(values.command)
    if name not in (_PROGRAM, _PROGRAM.removeprefix("tools.")):
        raise flags.UsageError(
            f"Expected {_PROGRAM} as the program to start, received {name[:80]!r}."
        )
    if values.gpus and values.gpus < values.workers:
        raise flags.UsageError(
            f"--gpus must be 0 or at least --workers={values.workers}, a GPU for each; "
            f"received {values.gpus}."
        )
    logs = values.logs or tempfile.mkdtemp(prefix="workers_")
    os.makedirs(logs, exist_ok=True)
    codes = _run(values, argv, logs)
    if program.STOPPED in codes and set(codes) <= {0, program.STOPPED}:
        sys.exit(program.STOPPED)
    if failed := {number: code for number, code in enumerate(codes) if code}:
        told = ", ".join(f"worker {n} with {code}" for n, code in failed.items())
        error = files.UserError(
            f"Expected all workers to end with exit code 0, there ended {told}. See "
            f"above and {logs}."
        )
        error.exit_code = next(iter(failed.values()))
        raise error


def _parsed(command: str) -> tuple[str, list[str]]:
    try:
        name, *argv = shlex.split(command)
    except ValueError as error:  # Nothing in it, or a quotation that has no end.
        raise flags.UsageError(
            f"Expected a program and its flags as --command, received {command[:80]!r}."
        ) from error
    return name, argv


def _run(values, argv: list[str], logs: str) -> list[int]:
    """Run all workers; return their exit codes."""
    addresses = ",".join(f"127.0.0.1:{port}" for port in _free_ports(values.workers))
    with contextlib.ExitStack() as stack:
        workers = []

        def forward(number, _):
            for worker in workers:
                worker.send_signal(number)

        before = {kind: signal.signal(kind, forward) for kind in _SIGNALS}
        stack.callback(lambda: [signal.signal(k, h) for k, h in before.items()])
        for number in range(values.workers):
            told = ("--strategy=multi_worker", f"--cluster={addresses}")
            command = [*program.PYTHON, "-m", _PROGRAM, *argv, *told]
            output = None
            if number:
                path = os.path.join(logs, f"worker_{number}.log")
                output = stack.enter_context(open(path, "ab"))
            worker = subprocess.Popen(
                [*command, f"--worker={number}"],
                env=_environment(values, number),
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=functools.partial(_follow, os.getpid()),
            )
            workers.append(worker)
        codes = [worker.wait() for worker in workers]
    return [128 - code if code < 0 else code for code in codes]


def _follow(launcher: int) -> None:
    """Let a worker that is starting get SIGTERM when its launcher is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != launcher:
        os.kill(os.getpid(), signal.SIGTERM)


def _environment(values, number: int) -> dict[str, str]:
    environment = program.environment()
    if values.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = str(number)
    return environment


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at right now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listening in sockets:
            listening.bind(("127.0.0.1", 0))
        return [listening.getsockname()[1] for listening in sockets]


def run():
    """Run the program: what stands behind its own flags is the command."""
    argv = sys.argv[1:]
    own = next((n for n, a in enumerate(argv) if not a.startswith("-")), len(argv))
    command = [f"--command={shlex.join(argv[own:])}"] if argv[own:] else []
    sys.exit(program.run(sys.modules[__name__], [*argv[:own], *command]))


if __name__ == "__main__":
    run()
