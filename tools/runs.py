"""The run directory: its settings, its data, its training."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from importlib import metadata

import attrs
import tensorflow as tf

from pipelines import config as data_config_lib
from pipelines import documents, failures, files, folders, shards
from pipelines.reading import bad_records, dataset
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import run as run_lib

_CONFIG = "config.json"
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
    return os.path.join(run_dir, _CONFIG)


def write(run_dir: str, run: Run, flagfile: str) -> None:
    """Write `config.json` and `flags.txt`."""
    made_by = {name: metadata.version(name) for name in ("tensorflow", "keras")}
    text = json.dumps(attrs.asdict(run) | {"made_by": made_by}, indent=1)
    # First what the directory is known by.
    files.write(_config_path(run_dir), f"{text}\n")
    files.write(os.path.join(run_dir, "flags.txt"), flagfile)


def load(run_dir: str) -> Run:
    """Read `config.json`.

    Raises:
        UserError: There is none, or it is damaged or of another version.
    """
    path = _config_path(run_dir)
    if not os.path.isfile(path):
        raise files.UserError(
            f"Expected a run directory with config.json in {run_dir}, found none. "
            "Train one with tools.train, or mend --run_dir."
        )
    return documents.load(
        path,
        Run,
        "the settings of a run",
        "Use the package version that wrote them.",
        change=_as_of_now,
    )


def _as_of_now(values: dict) -> dict:
    """Return the object of a `config.json` as this version writes it."""
    values = {name: value for name, value in values.items() if name != "made_by"}
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("cache"), bool):
        # What earlier versions knew.
        cache = "memory" if data["cache"] else "none"
        values["data"] = data | {"cache": cache}
    return values


def prepare(run_dir: str, run: Run, flagfile: str, resume: bool) -> Run:
    """Write a run's settings, or check that an existing one may be continued.

    Args:
        run_dir: The run directory, held by `folders.alone`.
        run: What to train.
        flagfile: The same as a flagfile's text.
        resume: Go on with a run that is there already; without, it is refused.

    Returns:
        The run; one that is continued keeps the weights that it started from, in
        case it left no checkpoint yet.

    Raises:
        UserError: There is a run that isn't to be resumed, or it has other settings.
    """
    if os.path.isfile(_config_path(run_dir)):
        if not resume:
            raise files.UserError(
                f"{run_dir} holds a run already. Continue it with --resume, or choose "
                "another --run_dir."
            )
        old = load(run_dir)
        check_unchanged(run_dir, old, run)
        run = attrs.evolve(run, init_from=old.init_from)
    elif resume:
        print(f"no run in {run_dir} yet: starting fresh", flush=True)
    write(run_dir, run, flagfile)
    return run


def check_unchanged(directory: str, old: Run, new: Run) -> None:
    """Refuse, by name, a changed setting or data set that changes the mathematics.

    Raises:
        UserError: Naming the flag.
    """
    if old.data_digest != new.data_digest:
        raise files.UserError(
            f"The run in {directory} was trained on another conversion than --data_dir="
            f"{new.data_dir} holds now. Resume with {old.data_dir} as it was, or start "
            "in another directory."
        )
    for section in _SECTIONS:
        check_same(directory, getattr(old, section), getattr(new, section))


def check_same(
    directory: str, old: attrs.AttrsInstance, new: attrs.AttrsInstance
) -> None:
    """Refuse, by name, a setting that may not change and has.

    Raises:
        UserError: Naming the flag.
    """
    for field in attrs.fields(type(old)):
        before, now = getattr(old, field.name), getattr(new, field.name)
        if before != now and not config_lib.may_change(old, field.name):
            raise files.UserError(
                f"--{field.name} is {before} in {directory}, received {now}. Go on "
                "with the same value, or start in another directory."
            )


def training_data(
    data_dir: str, manifest: shards.Manifest, config: data_config_lib.DataConfig
) -> run_lib.Data:
    """Make the datasets that training reads."""

    def train(epoch, step, worker=(0, 1)):
        return dataset.train_batches(
            data_dir,
            manifest,
            config,
            start_epoch=epoch,
            start_step=step,
            replica=worker,
        )

    def validation(worker=(0, 1)):
        return dataset.eval_batches(
            data_dir, manifest, "validation", config, worker=worker
        )

    def places(epoch, step, at_once):
        return dataset.train_places(
            manifest, config, start_epoch=epoch, start_step=step, at_once=at_once
        )

    taken = None
    if config.cache == "device":
        cache = dataset.train_on_device(data_dir, manifest, config)
        taken = run_lib.Taken(places, cache.batch)
    held_out = manifest.splits.get("validation")
    held_out_images = held_out.num_examples if held_out else 0
    counts = [
        f"{name} {split.num_examples:,}" for name, split in manifest.splits.items()
    ]
    return run_lib.Data(
        description=f"{manifest.name} ({', '.join(counts)} images)",
        train=train,
        validation=validation if held_out_images else None,
        validation_images=held_out_images,
        steps_per_epoch=dataset.steps_per_epoch(manifest, config),
        batch_size=config.batch_size,
        taken=taken,
    )


def train(
    run_dir: str,
    run: Run,
    flagfile: str,
    resume: bool,
    exchange: exchange_lib.Exchange = exchange_lib.ALONE,
) -> vae_lib.VAE:
    """Train in a run directory: make it, or go on from its newest checkpoint.

    `tools.train`, a search and a study come here with settings; `training.run.fit` is
    given the data that they name, and fits.

    Args:
        run_dir: The run directory.
        run: What to train.
        flagfile: The same as a flagfile's text, which the run keeps.
        resume: Go on with a run that is there already; without, it is refused.
        exchange: With the other workers of the run.

    Returns:
        The trained model, with the weights that training would go on with.

    Raises:
        UserError: The directory or the settings can't be used, or training failed.
        UserError: The data set is missing or damaged, or another than the run's.
        Stopped: SIGTERM or Ctrl-C came; a checkpoint was left.
    """
    manifest = shards.load_manifest(run.data_dir)
    _check_parts(run)
    data = training_data(run.data_dir, manifest, run.data)
    with (
        folders.alone(run_dir, _CONFIG, "--run_dir"),
        reading(run.data_dir),
    ):
        run = prepare(run_dir, run, flagfile, resume)
        return run_lib.fit(
            run.model,
            run.train,
            data,
            run_dir,
            init_from=run.init_from,
            description=f"```\n{flagfile}```",
            configuration=run.digest(),
            exchange=exchange,
        )


def _check_parts(run: Run) -> None:
    """Refuse batches that can't be cut into the parts of `--microbatches`."""
    parts, data = run.train.microbatches, run.data
    if parts > 1 and (data.batch_size % parts or data.keep_last_batch):
        raise files.UserError(
            f"Expected batches that can be cut into --microbatches={parts} parts, "
            f"received --batch_size={data.batch_size} and --keep_last_batch="
            f"{str(data.keep_last_batch).lower()}. Take a multiple, without the last, "
            "smaller batch."
        )
    if data.cache == "device" and run.train.strategy != "none":
        raise files.UserError(
            "Expected --strategy=none with --cache=device, the images being on one "
            f"device, received {run.train.strategy}. Take --cache=memory or none."
        )
    if parts > 1 and run.train.strategy == "mirrored":
        raise files.UserError(
            f"Expected --strategy=none or multi_worker with --microbatches={parts}, "
            "received mirrored, whose replicas are parts of their own."
        )


def weights_path(path: str, which: str = "best") -> str:
    """Return the weights file of a run directory; a file's path stays as it is.

    Raises:
        UserError: There is no such file.
    """
    if os.path.isdir(path):
        path = os.path.join(path, "weights", which, "vae.weights.h5")
    if not os.path.isfile(path):
        raise files.UserError(
            f"Expected saved weights in {path}, found no such file. Train the run to "
            "the end of an epoch, or mend the path."
        )
    return path


def open_data(run: Run, data_dir: str = "") -> tuple[str, shards.Manifest]:
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


@contextlib.contextmanager
def reading(data_dir: str) -> Iterator[None]:
    """Turn damage that TensorFlow meets in the shards into a `UserError`."""
    try:
        yield
    except tf.errors.OpError as error:
        failure = failures.find(error)
        if failure and not failure.path.startswith(os.path.join(data_dir, "")):
            raise  # Of what is written meanwhile.
        if isinstance(error, tf.errors.DataLossError | tf.errors.NotFoundError):
            raise files.UserError(
                f"Expected to read the shards in {data_dir}, they are damaged. Find "
                "out where with tools.verify_shards, and convert again."
            ) from error
        if sentence := bad_records.sentence(error):
            raise files.UserError(sentence) from error
        raise
