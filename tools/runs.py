"""The run directory: from its files to configs, datasets and models, and back."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from importlib import metadata

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as data_config_lib
from pipelines import damage, dataset, shards
from pipelines import errors as data_errors
from tools import flags
from vae_prod import batch_norm, errors, training
from vae_prod import codec as codec_lib
from vae_prod import config as config_lib
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
        init_from: Weights file that it started from, empty for none.
    """

    model: config_lib.ModelConfig
    train: config_lib.TrainConfig
    data: data_config_lib.DataConfig
    data_dir: str
    data_digest: str
    init_from: str = ""

    def digest(self) -> str:
        """Return a digest of what decides the numbers: data and fixed settings."""
        fixed = {
            section: {
                field.name: getattr(getattr(self, section), field.name)
                for field in attrs.fields(kind)
                if not config_lib.may_change(getattr(self, section), field.name)
            }
            for section, kind in _SECTIONS.items()
        }
        text = json.dumps([fixed, self.data_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


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


def prepare(run_dir: str, run: Run, flagfile: str, resume: bool) -> Run:
    """Make a run directory, or check that an existing one may be continued.

    Returns:
        The run; one that is continued keeps the weights that it started from, in
        case it left no checkpoint yet.

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
        old = load(run_dir)
        _check_unchanged(run_dir, old, run)
        run = attrs.evolve(run, init_from=old.init_from)
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
    return run


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
            fixed = not config_lib.may_change(getattr(old, section), field.name)
            if before != now and fixed:
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
    counts = [
        f"{name} {split.num_examples:,}" for name, split in manifest.splits.items()
    ]
    return training.Data(
        description=f"{manifest.name} ({', '.join(counts)} images)",
        train=train,
        validation=validation if has_validation else None,
        steps_per_epoch=dataset.steps_per_epoch(manifest, config),
        batch_size=config.batch_size,
    )


def weights_path(path: str, which: str = "best") -> str:
    """Return the weights file of a run directory; a file's path stays as it is.

    Raises:
        RunError: There is no such file.
    """
    if os.path.isdir(path):
        path = os.path.join(path, "weights", which, "vae.weights.h5")
    if not os.path.isfile(path):
        raise errors.RunError(f"Expected saved weights in {path}, found no such file.")
    return path


def load_model(
    run_dir: str, which: str = "best", recompute_batch_norm: int = 0
) -> tuple[Run, vae_lib.VAE]:
    """Load a run's trained model, in float32.

    Args:
        run_dir: The run directory.
        which: `best` or `last` weights.
        recompute_batch_norm: Training batches over which batch-norm statistics are
            recomputed; 0: the moving statistics as they were saved.

    Raises:
        RunError: There is no such run, or it has no such weights yet.
        DataError: Statistics are to be recomputed, and the run's data is gone.
    """
    run = load(run_dir)
    model = vae_lib.VAE(run.model, run.train.seed)
    training.load_weights(model, weights_path(run_dir, which))
    if recompute_batch_norm:
        data_dir, manifest = open_data(run)
        batches = dataset.train_batches(data_dir, manifest, run.data)
        batch_norm.recompute(model, batches.take(recompute_batch_norm))
    return run, model


def open_data(run: Run, data_dir: str = "") -> tuple[str, shards.Manifest]:
    """Open the data set of a run, or another of the same image shape.

    Raises:
        RunError: Its images have another shape than the model's.
        DataError: It isn't there.
    """
    data_dir = data_dir or run.data_dir
    manifest = shards.load_manifest(data_dir)
    shape = dataset.image_shape(manifest, run.data)
    if shape != run.model.image_shape:
        raise errors.RunError(
            f"Expected images of shape {run.model.image_shape} for this model, "
            f"{data_dir} gives {shape}. Choose another --data_dir."
        )
    return data_dir, manifest


@contextlib.contextmanager
def reading(data_dir: str) -> Iterator[None]:
    """Turn damage that TensorFlow meets in the shards into a `DataError`."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        raise data_errors.DataError(
            f"Expected to read the shards in {data_dir}, they are damaged. Find out "
            "where with tools.verify_shards, and convert again."
        ) from error
    except tf.errors.OpError as error:
        if found := damage.sentence(error):
            raise data_errors.DataError(found) from error
        raise


def settings_files(run_dir: str) -> dict[str, bytes]:
    """Read the files that say how a run was made, by name."""
    files = {}
    for name in ("config.json", "flags.txt"):
        with open(os.path.join(run_dir, name), "rb") as file:
            files[name] = file.read()
    return files


@attrs.frozen
class Trained:
    """A trained model with the settings it was made with, from a run or an export.

    Attributes:
        out: Where what is made from it goes: the run directory, or the working
            directory for an export, which is finished.
        run: Its settings.
        codec: Its encoder and decoder.
    """

    out: str
    run: Run
    codec: codec_lib.Codec


def open_trained(values: flags.flags.FlagValues) -> Trained:
    """Open a run's weights or an export, as the flags of `flags.add_trained` say.

    Raises:
        RunError: Not exactly one of them is given, or it can't be read.
    """
    run_dir, export_dir = values.run_dir, values.export_dir
    if bool(run_dir) == bool(export_dir):
        raise errors.RunError(
            "Expected one of --run_dir and --export_dir, received "
            f"{'both' if run_dir else 'neither'}."
        )
    if run_dir:
        run, model = load_model(run_dir, values.weights, values.recompute_batch_norm)
        return Trained(run_dir, run, codec_lib.from_model(model))
    codec = codec_lib.from_export(export_dir)
    settings = os.path.join(export_dir, os.path.dirname(codec_lib.CONFIG_IN_EXPORT))
    return Trained("", load(settings), codec)


def choose_images(
    run: Run, data_dir: str, split: str, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Pick images of a split at random, always the same for the same seed.

    Returns:
        `image` and, where the run corrupts its input, `target`: uint8 [count, H, W,
        C], fewer where the split is smaller.
    """
    data_dir, manifest = open_data(run, data_dir)
    total = manifest.split(split).num_examples
    picked = np.random.default_rng(seed).permutation(total)[:count]
    with reading(data_dir):
        return dataset.examples(data_dir, manifest, split, picked, run.data)
