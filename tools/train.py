"""Train a VAE or autoencoder on a converted data set.

    python -m tools.train --recipe=celeba_96 --data_dir=DIR --run_dir=RUN

Any run is a recipe (or a --flagfile) plus overrides; later flags win. The run
directory gets checkpoints, weights, history.csv and TensorBoard files. A run that was
stopped or killed goes on with --resume. SIGTERM, SIGHUP and Ctrl-C
leave a checkpoint.
"""

import contextlib
import os
import sys
import tempfile

from pipelines import config as data_config_lib
from tools import flags, program
from vae_prod import config as config_lib
from vae_prod.training import compile_cache

_CONFIGS = (
    config_lib.ModelConfig,
    config_lib.TrainConfig,
    data_config_lib.DataConfig,
)
# Of these the flags of one command say nothing about the next.
_NOT_KEPT = ("resume", "init_from", "cluster", "worker")


def define(values):
    """Define this program's flags."""
    flags.add(values, "data_dir", "", "Converted data set, from tools.convert_celeba.")
    flags.add(values, "run_dir", "", "Run directory to make or, with resume, continue.")
    flags.add(
        values,
        "resume",
        False,
        "Continue from the run's newest checkpoint; start fresh where there is none.",
    )
    flags.add(
        values,
        "init_from",
        "",
        "Start a new run from these weights: a run directory (its best) or a "
        "vae.weights.h5.",
    )
    text = (
        "With strategy=multi_worker, HOST:PORT of each worker, the chief's first; "
        "empty: TF_CONFIG or SLURM's variables say so."
    )
    flags.add(values, "cluster", "", text)
    text = "Which of --cluster this process is, from 0; -1: the environment says so."
    flags.add(values, "worker", -1, text, least=-1)
    flags.define(values, *_CONFIGS)


def main(values):
    """Train as the flags say."""
    flags.require(values, "data_dir", "run_dir")
    train_config = flags.build(values, config_lib.TrainConfig)
    data_config = flags.build(values, data_config_lib.DataConfig)
    if values.resume and values.init_from:
        raise flags.UsageError(
            "--resume continues a run with its own weights, --init_from starts a new "
            "one: received both. Give one of them."
        )
    compile_cache.use(values.compile_cache)
    program.import_tensorflow()  # Not before: --help has answered by now.
    from pipelines import folders, shards
    from pipelines.reading import dataset
    from tools import runs
    from vae_prod.training import devices, run_directory, stopping

    devices.set_up(train_config)
    exchange = _meet(values, train_config)
    manifest = shards.load_manifest(values.data_dir)
    shape = dataset.image_shape(manifest, data_config)
    model_config = flags.build(values, config_lib.ModelConfig, image_shape=shape)
    flagfile = flags.to_flagfile(values, without=_NOT_KEPT)
    run = run_directory.Run(
        model_config,
        train_config,
        data_config,
        folders.absolute(values.data_dir),
        manifest.digest(),
        values.init_from
        and os.path.abspath(run_directory.weights_path(values.init_from)),
    )
    try:
        with _run_dir(values, exchange) as run_dir:
            runs.train(run_dir, run, flagfile, values.resume, exchange)
    except stopping.Stopped:
        print("stopped on request; a checkpoint is saved, go on with --resume")
        sys.exit(program.STOPPED)
    if not exchange.is_chief:
        return
    print(f"trained: {values.run_dir}")
    print(f"watch it: tensorboard --logdir={values.run_dir}/tensorboard")


def _meet(values, config):
    """Meet the other workers of the run, if there are any."""
    from vae_prod.optim import exchange

    if config.strategy != "multi_worker":
        if values.cluster or values.worker >= 0:
            raise flags.UsageError(
                "--cluster and --worker are for --strategy=multi_worker, received "
                f"{config.strategy}; set it, or leave them out."
            )
        return exchange.ALONE
    from vae_prod.training import cluster

    addresses = tuple(filter(None, values.cluster.split(",")))
    return cluster.join(cluster.find(addresses, values.worker), config)


@contextlib.contextmanager
def _run_dir(values, exchange):
    """Give the run directory, to workers but the chief one that nobody reads."""
    if exchange.is_chief:
        yield values.run_dir
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        yield os.path.join(folder, "run")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
