"""What a process does in a search: all of it, lead workers, or work for a chief."""

import os
import signal

from pipelines import files
from tools.search import search_directory, trial_runs
from tools.search import workers as workers_lib
from vae_prod.training import stopping
from vae_prod.tuning import chief as chief_lib
from vae_prod.tuning import (
    chief_client,
    chief_token,
    leaderboard,
    oracles,
    trials_table,
    worker,
)


class Stopped(Exception):
    """SIGTERM, SIGHUP or Ctrl-C came; the message says how the search goes on."""


def search_alone(search: search_directory.Search) -> None:
    """Run all trials in this process.

    Raises:
        Stopped: On request.
    """
    oracle = search.oracle()
    name = "alone"
    oracle.release([other for other in oracle.ongoing_trials if other != name])
    table = _Table(search, oracle)
    try:
        worker.work(
            oracle,
            name,
            search.config,
            search.directory,
            trial_runs.TrialRuns(search.space, search.base),
            on_end=table.show,
        )
    except (stopping.Stopped, KeyboardInterrupt) as error:
        raise Stopped("the same command goes on") from error


def work(search: search_directory.Search, timeout: float) -> None:
    """Run trials that a chief hands out.

    Args:
        search: The search.
        timeout: Seconds without the chief after which this worker ends.

    Raises:
        Stopped: On request.
        UserError: There is no chief, or it is gone.
    """
    workers_lib.die_with_parent()
    address = (
        f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    )
    token = chief_token.read(search.directory)
    client = chief_client.connect(address, timeout, token)
    try:
        with chief_client.reaching(address):
            worker.work(
                client,
                os.environ["KERASTUNER_TUNER_ID"],
                search.config,
                search.directory,
                trial_runs.TrialRuns(search.space, search.base),
                during=lambda trial: chief_client.beating(client, trial, timeout),
            )
    except stopping.Stopped as error:
        raise Stopped("a checkpoint is saved") from error


def lead(
    search: search_directory.Search, num_workers: int, port: int, timeout: float
) -> None:
    """Hand out trials to workers, of this machine or of others.

    Args:
        search: The search.
        num_workers: Workers to start on this machine.
        port: Where to listen, unless the environment says so; 0: a free port.
        timeout: Seconds without a worker after which its trial goes to another one.

    Raises:
        Stopped: On request.
        UserError: A worker failed, or none is left.
    """
    oracle = search.oracle()
    host = os.environ.get("KERASTUNER_ORACLE_IP", "127.0.0.1")
    port = int(os.environ.get("KERASTUNER_ORACLE_PORT", port))
    local_names = workers_lib.names(num_workers)
    if local_names:
        oracle.release(
            [name for name in oracle.ongoing_trials if name not in local_names]
        )
    token = chief_token.make(search.directory)
    chief = chief_lib.Chief(oracle, host, port, timeout, token)
    print(f"chief at {host}:{chief.port}", flush=True)
    table = _Table(search, oracle)
    local = None
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) != signal.SIG_IGN:
            signal.signal(kind, _stop)
    try:
        if local_names:
            local = workers_lib.Workers(num_workers, search.directory, chief.port)

        def watch():
            for name in local.watch() if local else ():
                chief.forget(name)
            if table.update() and local:
                local.trial_ended()

        chief.wait(watch)
    except KeyboardInterrupt as error:
        raise Stopped("the same command goes on") from error
    finally:
        if local:
            local.stop()
        chief.stop()


def _stop(number, frame):
    del frame
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


class _Table:
    """The live table: shown after each trial, and what can end a search."""

    def __init__(self, search, oracle):

        self._search = search
        self._oracle = oracle
        self._total = oracles.num_trials(search.config)
        self._ended = len(oracle.end_order)

    def update(self) -> bool:
        """Show the table if a trial has ended since; say whether one has."""
        if len(self._oracle.end_order) == self._ended:
            return False
        self.show()
        return True

    def show(self) -> None:
        """Write the leaderboard and print it.

        Raises:
            UserError: Too many trials in a row have failed.
        """
        self._ended = len(self._oracle.end_order)
        rows, objective = self._search.rows(), self._search.objective
        leaderboard.write(rows, objective, self._search.directory)
        print(f"\n{self._ended} of {self._total} trials have ended")
        print(trials_table.table(rows, objective), flush=True)
        failed = self._oracle.failed_in_a_row()
        most = self._search.config.max_failed_in_a_row
        if most and failed >= most:
            last = [row.message for row in rows if row.message][-1]
            raise files.UserError(
                f"Expected some of the last {failed} trials to work, all failed, the "
                f"last with: {last} Narrow the space, or raise --max_failed_in_a_row."
            )
