"""The run directory: from its files to configs, datasets and models, and back."""

import json
import os
from importlib import metadata

import attrs

from pipelines import config as data_config_lib
from pipelines import dataset, shards
from tools import flags
from vae_prod import config as config_lib
from vae_prod import errors, training
from vae_prod import vae as vae_lib

_SECTIONS = {
    "model": config_lib.ModelConfig,
    "train": config_lib.TrainConfig,
    "data": data_config_lib.DataConfig,
}


@attrs.frozen
class Run:
    """What `config.json` says of a run.

    Attributes:
        model: The model.
        train: How it is trained.
        data: How its batches are read.
        data_dir: Where its shards lie.
        data_digest: The manifest's digest, the data set's identity.
    """

    model: config_lib.ModelConfig
    train: config_lib.TrainConfig
    data: data_config_lib.DataConfig
    data_dir: str
    data_digest: str


def _config_path(run_dir: str) -> str:
    return os.path.join(run_dir, "config.json")


def write(run_dir: str, run: Run, flagfile: str) -> None:
    """Write `config.json` and `flags.txt`."""
    made_by = {name: metadata.version(name) for name in ("tensorflow", "keras")}
    text = json.dumps(attrs.asdict(run) | {"made_by": made_by}, indent=1)
    shards.write_atomically(os.path.join(run_dir, "flags.txt"), flagfile.encode())
    shards.write_atomically(_config_path(run_dir), f"{text}\n".encode())


def load(run_dir: str) -> Run:
    """Read `config.json`.

    Raises:
        RunError: There is none, or it is damaged or of another version.
    """
    path = _config_path(run_dir)
    if not os.path.isfile(path):
        raise errors.RunError(
            f"Expected a run directory with config.json in {run_dir}, found none. "
            "Train one with tools.train, or mend --run_dir."
        )
    try:
        with open(path) as file:
            values = json.load(file)
        values.pop("made_by")
        configs = {name: kind(**values.pop(name)) for name, kind in _SECTIONS.items()}
        return Run(**configs, **values)
    except (ValueError, KeyError, TypeError) as error:
        raise errors.RunError(
            f"Expected the settings of a run in {path}, they can't be read ({error}). "
            "Use the package version that wrote them."
        ) from error


def prepare(run_dir: str, run: Run, flagfile: str, resume: bool) -> None:
    """Make a run directory, or check that an existing one may be continued.

    Raises:
        RunError: There is a run that isn't to be resumed, or it has other settings.
    """
    if "://" in run_dir:
        raise errors.RunError(
            f"Expected a local folder or mount as --run_dir, received {run_dir}."
        )
    if os.path.isfile(_config_path(run_dir)):
        if not resume:
            raise errors.RunError(
                f"{run_dir} holds a run already. Continue it with --resume, or choose "
                "another --run_dir."
            )
        _check_unchanged(run_dir, load(run_dir), run)
    elif os.path.isdir(run_dir) and os.listdir(run_dir):
        raise errors.RunError(
            f"Expected a new or empty --run_dir, {run_dir} holds other files."
        )
    elif resume:
        print(f"no run in {run_dir} yet: starting fresh", flush=True)
    try:
        os.makedirs(run_dir, exist_ok=True)
        write(run_dir, run, flagfile)
    except OSError as error:
        raise errors.RunError(
            f"Expected to write to --run_dir={run_dir}: {error.strerror}."
        ) from error


def _check_unchanged(run_dir: str, old: Run, new: Run) -> None:
    """Refuse, by name, a changed setting that changes the mathematics."""
    if old.data_digest != new.data_digest:
        raise errors.RunError(
            f"The run in {run_dir} was trained on another conversion than --data_dir="
            f"{new.data_dir} holds now. Resume with {old.data_dir} as it was, or start "
            "in another --run_dir."
        )
    for section, kind in _SECTIONS.items():
        for field in attrs.fields(kind):
            before = getattr(getattr(old, section), field.name)
            now = getattr(getattr(new, section), field.name)
            if before != now and not field.metadata.get("may_change"):
                raise errors.RunError(
                    f"--{field.name} is {before} in {run_dir}, received {now}. Resume "
                    "with the same value, or start in another --run_dir."
                )


def training_data(
    data_dir: str, manifest: shards.Manifest, config: data_config_lib.DataConfig
) -> training.Data:
    """Make the datasets that training reads."""

    def train(epoch, step):
        return dataset.train_batches(
            data_dir, manifest, config, start_epoch=epoch, start_step=step
        )

    def validation():
        return dataset.eval_batches(data_dir, manifest, "validation", config)

    has_validation = (
        "validation" in manifest.splits and manifest.splits["validation"].num_examples
    )
    return training.Data(
        train=train,
        validation=validation if has_validation else None,
        steps_per_epoch=dataset.steps_per_epoch(manifest, config),
        batch_size=config.batch_size,
    )


def weights_path(path: str, which: str = "best") -> str:
    """Return the weights file of a run directory; a file's path stays as it is."""
    if not os.path.isdir(path):
        return path
    return os.path.join(path, "weights", which, "vae.weights.h5")


def load_model(run_dir: str, which: str = "best") -> tuple[Run, vae_lib.VAE]:
    """Load a run's trained model, in float32.

    Args:
        run_dir: The run directory.
        which: `best` or `last` weights.

    Raises:
        RunError: There is no such run, or it has no such weights yet.
    """
    run = load(run_dir)
    model = vae_lib.VAE(run.model, run.train.seed)
    training.load_weights(model, weights_path(run_dir, which))
    return run, model


def open_data(run: Run, data_dir: str = "") -> tuple[str, shards.Manifest]:
    """Open the data set of a run, or another of the same image shape.

    Raises:
        RunError: Its images have another shape than the model's.
        DataError: It isn't there.
    """
    data_dir = data_dir or run.data_dir
    manifest = shards.load_manifest(data_dir)
    if manifest.record.image_shape != run.model.image_shape:
        raise errors.RunError(
            f"Expected images of shape {run.model.image_shape} for this model, "
            f"{data_dir} holds {manifest.record.image_shape}. Choose another "
            "--data_dir."
        )
    return data_dir, manifest


def add_run_dir(values, text: str = "Run directory, as tools.train made it.") -> None:
    """Define --run_dir."""
    flags.add(values, "run_dir", "", text)
