"""A run directory with its data: opened, read and trained as programs do."""

from pipelines import config as data_config_lib
from pipelines import files, shards
from pipelines.reading import data_set, dataset
from vae_prod.model import vae as vae_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import run_directory


def load(run_dir: str) -> run_directory.Run:
    """Read the settings of a run, see `run_directory.load`."""
    return run_directory.load(run_dir, data_config_lib.read_data_config)


def train(
    run_dir: str,
    run: run_directory.Run,
    flagfile: str,
    resume: bool,
    exchange: exchange_lib.Exchange = exchange_lib.ALONE,
) -> vae_lib.VAE:
    """Train with the data that a run names, see `run_directory.train`.

    `tools.train`, a search and a study come here with settings.
    """
    data = data_set.open_data(run.data_dir, run.data)
    return run_directory.train(run_dir, run, data, flagfile, resume, exchange)


def open_data(
    run: run_directory.Run, data_dir: str = ""
) -> tuple[str, shards.Manifest]:
    """Open the data set of a run, or another of the same image shape.

    Raises:
        UserError: Its images have another shape than the model's.
        UserError: It isn't there.
    """
    data_dir = data_dir or run.data_dir
    manifest = shards.load_manifest(data_dir)
    shape = dataset.image_shape(manifest, run.data)
    if shape != run.model.image_shape:
        raise files.UserError(
            f"Expected images of shape {run.model.image_shape} for this model, "
            f"{data_dir} gives {shape}. Choose another --data_dir."
        )
    return data_dir, manifest
