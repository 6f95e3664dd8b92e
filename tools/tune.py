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
import sys

import attrs

from pipelines import config as data_config_lib
from tools import flags, program
from vae_prod import config as config_lib
from vae_prod.training import compile_cache

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
        most=4096,
    )
    text = "Port of the chief with --workers; 0: a free one."
    flags.add(values, "port", 0, text, most=65_535)
    flags.add(
        values,
        "worker_timeout",
        300.0,
        "Seconds without a sign of life after which a worker's trial goes to another, "
        "and after which a search without any worker, or a worker without a chief, "
        "ends.",
        least=0.001,
    )
    flags.define(values, *_CONFIGS)


def main(values):
    """Search as the flags say."""
    flags.require(values, "data_dir", "search_dir")
    role = _role(values)
    train_config = flags.build(values, config_lib.TrainConfig)
    search_config = flags.build(values, config_lib.SearchConfig)
    data_config = flags.build(values, data_config_lib.DataConfig)
    epochs = search_config.max_epochs or train_config.epochs
    compile_cache.use(values.compile_cache)
    program.import_tensorflow()
    from pipelines import files, folders, shards
    from pipelines.reading import dataset
    from tools import models
    from tools.search import roles, search_directory, trial_runs
    from vae_prod.training import devices, precision, run_directory

    # A chief leaves the accelerators to its workers.
    chief = {"cpu_only": True, "require_gpu": False} if role == "chief" else {}
    devices.set_up(attrs.evolve(train_config, **chief))
    manifest = shards.load_manifest(values.data_dir)
    shape = dataset.image_shape(manifest, data_config)
    fixed = {"image_shape": shape}
    if sequences := search_config.filter_sequences():
        # --filters says nothing here, and may not fit the image.
        fixed["filters"] = next(iter(sequences.values()))
    directory = folders.absolute(values.search_dir)
    old = search_directory.recorded(directory)
    # Once for all trials, on whatever machines they are.
    train_config = precision.resolve(train_config, old and old.base.train)
    base = run_directory.Run(
        flags.build(values, config_lib.ModelConfig, **fixed),
        train_config,
        data_config,
        folders.absolute(values.data_dir),
        manifest.digest(),
    )
    judge = (old and old.search.judge) or models.choose_judge(
        base, "", trial_runs.HELD_OUT, search_config.judge
    ).judge
    search_config = attrs.evolve(search_config, max_epochs=epochs, judge=judge)
    search = search_directory.Search(directory, search_config, base)
    search.check()
    try:
        if role == "worker":
            roles.work(search, values.worker_timeout)
            return
        with search.held():
            search.prepare(flags.to_flagfile(values, without=_NOT_KEPT))
            if role == "chief":
                roles.lead(search, values.workers, values.port, values.worker_timeout)
            else:
                roles.search_alone(search)
            print(search.conclude())
    except roles.Stopped as stopped:
        print(f"stopped on request; {stopped}")
        sys.exit(program.STOPPED)
    if not os.path.isfile(search.best_flags):
        raise files.UserError(
            f"Expected a trial of {search.directory} to end with a rank, none has. See "
            "leaderboard.csv there for the reasons."
        )
    print(f"best settings: tools.train --flagfile={search.best_flags}")


def _role(values) -> str:
    """Say what this process is: alone, chief or worker."""
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    present = [name for name in names if os.environ.get(name)]
    if not present:
        return "chief" if values.workers else "alone"
    if len(present) < len(names):
        missing = ", ".join(sorted(set(names) - set(present)))
        raise flags.UsageError(
            f"{', '.join(present)} set without {missing}: set all three, or none."
        )
    if values.workers:
        raise flags.UsageError(
            "--workers starts workers on this machine, KERASTUNER_TUNER_ID makes this "
            "process one of many: received both. Give one of them."
        )
    return "chief" if "chief" in os.environ[names[0]] else "worker"


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
