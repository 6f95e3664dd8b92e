"""Search for fact, z_dim, filters and decoder, ranked by what fact doesn't scale.

    python -m tools.tune --data_dir=DIR --search_dir=SEARCH --max_epochs=24

Every trial is a run of its own, trained as tools.train does by the flags given here,
but for what is searched (--search_*), and measured on the validation split. The same
command goes on where a search was stopped or killed. At the end, and after each trial,
SEARCH has leaderboard.csv, plots, and best.flags for tools.train --flagfile. Look at it
with tensorboard --logdir=SEARCH (HParams).

--workers=N runs N trials at a time on this machine, a GPU each. On several machines
with one file system, start the same command once as the chief and once for each worker:

    KERASTUNER_TUNER_ID=chief      KERASTUNER_ORACLE_IP=IP KERASTUNER_ORACLE_PORT=PORT
    KERASTUNER_TUNER_ID=worker_0   (the same IP and PORT: the chief's)
"""

import os
import signal
import sys

import attrs

from pipelines import config as data_config_lib
from tools import flags, program
from vae_prod import config as config_lib

_CONFIGS = (
    config_lib.SearchConfig,
    config_lib.ModelConfig,
    config_lib.TrainConfig,
    data_config_lib.DataConfig,
)
# What belongs to one start of a search, not to its workers.
_NOT_KEPT = ("workers", "port")


def define(values):
    """Define this program's flags."""
    flags.add(values, "data_dir", "", "Converted data set, from tools.convert_celeba.")
    flags.add(values, "search_dir", "", "Search directory to make or to go on in.")
    flags.add(
        values,
        "workers",
        0,
        "Trials at a time, each in a process of its own; 0: one, in this process.",
    )
    flags.add(values, "port", 0, "Port of the chief with --workers; 0: a free one.")
    flags.add(
        values,
        "worker_timeout",
        300.0,
        "Seconds without a sign of life after which a worker's trial goes to another, "
        "and after which a search without any worker, or a worker without a chief, "
        "ends.",
    )
    flags.define(values, *_CONFIGS)


def main(values):
    """Search as the flags say."""
    flags.require(values, "data_dir", "search_dir")
    flags.require_not_negative(values, "workers", "port")
    if values.worker_timeout <= 0:
        raise flags.UsageError(
            f"--worker_timeout must be positive, received {values.worker_timeout:g}."
        )
    role = _role(values)
    train_config = flags.build(values, config_lib.TrainConfig)
    search_config = flags.build(values, config_lib.SearchConfig)
    data_config = flags.build(values, data_config_lib.DataConfig)
    epochs = search_config.max_epochs or train_config.epochs
    program.import_tensorflow()
    from pipelines import shards
    from pipelines.reading import dataset
    from tools import runs
    from tools.search import search_directory
    from vae_prod.training import run as run_lib

    # A chief leaves the accelerators to its workers.
    cpu_only = train_config.cpu_only or role == "chief"
    run_lib.set_up_devices(attrs.evolve(train_config, cpu_only=cpu_only))
    manifest = shards.load_manifest(values.data_dir)
    shape = dataset.image_shape(manifest, data_config)
    given = {"image_shape": shape}
    if sequences := search_config.filter_sequences():
        # --filters says nothing here, and may not fit the image.
        given["filters"] = next(iter(sequences.values()))
    base = runs.Run(
        flags.build(values, config_lib.ModelConfig, **given),
        train_config,
        data_config,
        os.path.abspath(values.data_dir),
        manifest.digest(),
    )
    search_config = attrs.evolve(search_config, max_epochs=epochs)
    search = search_directory.Search(
        os.path.abspath(values.search_dir), search_config, base
    )
    search.check()
    if role == "worker":
        _work(values, search)
        return
    with search.held():
        search.prepare(flags.to_flagfile(values, without=_NOT_KEPT))
        try:
            if role == "chief":
                _lead(values, search)
            else:
                _search_alone(search)
        except _Stopped:
            print("stopped on request; the same command goes on")
            sys.exit(program.STOPPED)
        print(search.conclude())
    print(f"best settings: tools.train --flagfile={search.directory}/best.flags")


def _role(values) -> str:
    """Say what this process is: alone, chief or worker."""
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    given = [name for name in names if os.environ.get(name)]
    if not given:
        return "chief" if values.workers else "alone"
    if len(given) < len(names):
        missing = ", ".join(sorted(set(names) - set(given)))
        raise flags.UsageError(
            f"{', '.join(given)} set without {missing}: set all three, or none."
        )
    if values.workers:
        raise flags.UsageError(
            "--workers starts workers on this machine, KERASTUNER_TUNER_ID makes this "
            "process one of many: received both. Give one of them."
        )
    return "chief" if "chief" in os.environ[names[0]] else "worker"


class _Stopped(Exception):
    """SIGTERM or Ctrl-C came while no trial was in training."""


def _search_alone(search) -> None:
    """Run all trials in this process."""
    from tools.search import trial_runs
    from vae_prod.training import callbacks
    from vae_prod.tuning import worker

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
    except (callbacks.Stopped, KeyboardInterrupt) as error:
        raise _Stopped from error


def _work(values, search) -> None:
    """Run trials that a chief hands out."""
    from tools.search import trial_runs, workers
    from vae_prod.training import callbacks
    from vae_prod.tuning import service, worker

    workers.die_with_parent()
    address = (
        f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    )
    client = service.connect(address, values.worker_timeout)
    try:
        with service.reaching(address):
            worker.work(
                client,
                os.environ["KERASTUNER_TUNER_ID"],
                search.config,
                search.directory,
                trial_runs.TrialRuns(search.space, search.base),
                during=lambda trial: service.beating(
                    client, trial, values.worker_timeout
                ),
            )
    except callbacks.Stopped:
        print("stopped on request; a checkpoint is saved")
        sys.exit(program.STOPPED)


def _lead(values, search) -> None:
    """Hand out trials to workers, of this machine or of others."""
    from tools.search import workers as workers_lib
    from vae_prod.tuning import service

    oracle = search.oracle()
    host = os.environ.get("KERASTUNER_ORACLE_IP", "127.0.0.1")
    port = int(os.environ.get("KERASTUNER_ORACLE_PORT", values.port))
    own = workers_lib.names(values.workers)
    if own:
        oracle.release([name for name in oracle.ongoing_trials if name not in own])
    chief = service.Chief(oracle, host, port, values.worker_timeout)
    print(f"chief at {host}:{chief.port}", flush=True)
    table = _Table(search, oracle)
    local = None
    signal.signal(signal.SIGTERM, _stop)
    try:
        if own:
            local = workers_lib.Workers(values.workers, search.directory, chief.port)

        def watch():
            for name in local.watch() if local else ():
                chief.forget(name)
            if table.update() and local:
                local.trial_ended()

        chief.wait(watch)
    except KeyboardInterrupt as error:
        raise _Stopped from error
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
        from vae_prod.tuning import oracles

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
        from pipelines import files
        from vae_prod.tuning import leaderboard, wording

        self._ended = len(self._oracle.end_order)
        rows, objective = self._search.rows(), self._search.objective
        leaderboard.write(rows, objective, self._search.directory)
        print(f"\n{self._ended} of {self._total} trials have ended")
        print(wording.table(rows, objective), flush=True)
        failed, most = self._oracle.failed_in_a_row(), self._search.config
        if most.max_failed_in_a_row and failed >= most.max_failed_in_a_row:
            last = [row.message for row in rows if row.message][-1]
            raise files.UserError(
                f"Expected some of the last {failed} trials to work, all failed, the "
                f"last with: {last} Narrow the space, or raise --max_failed_in_a_row."
            )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
