"""The run directory: its settings on disk, what may change in them, its training."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import metadata
from typing import Protocol

import attrs
import tensorflow as tf

from pipelines import documents, files, folders, settings
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import precision, weights
from vae_prod.training import run as run_lib

CONFIG = "config.json"
_SECTIONS = ("model", "train", "data")


class Data(Protocol):
    """What a run is trained on, see `run.Data`, with how it is known again.

    `pipelines.open_data` gives one.
    """

    @property
    def config(self) -> attrs.AttrsInstance:
        """How its batches are read."""

    @property
    def data_dir(self) -> str:
        """Where it lies."""

    @property
    def digest(self) -> str:
        """Its identity."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its images."""

    @property
    def batch_size(self) -> int:
        """Images in a (global) batch."""

    @property
    def keep_last_batch(self) -> bool:
        """Whether the last batch of an epoch may be smaller."""

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch."""

    @property
    def validation_images(self) -> int:
        """How many validation images there are."""

    @property
    def description(self) -> str:
        """Where the images come from and how many there are, for people."""

    @property
    def validation(self) -> Callable[..., tf.data.Dataset] | None:
        """See `run.Data`."""

    def train(
        self, epoch: int = 0, step: int = 0, worker: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """See `run.Data`."""

    @property
    def is_on_device(self) -> bool:
        """Whether the training images are to be on the device."""

    def on_device(self) -> Callable[..., dict] | None:
        """Load them there; return what takes a batch of `places`, or None."""

    def places(self, epoch: int, step: int, at_once: int) -> tf.data.Dataset:
        """See `run.Taken`."""

    def read_config(self, values: dict) -> attrs.AttrsInstance:
        """Make `config` of what a run directory's JSON says of it, of old ones, too."""

    def reading(self) -> AbstractContextManager[None]:
        """Tell damage in its files in a sentence."""


@attrs.frozen
class Run:
    """What `config.json` says of a run.

    Attributes:
        model: The model.
        train: How it is trained.
        data: How its batches are read: an attrs class that the data side gives.
        data_dir: Where its shards lie.
        data_digest: The manifest's digest, the data set's identity.
        init_from: Weights file that it started from, empty for none.
    """

    model: config_lib.ModelConfig
    train: config_lib.TrainConfig
    data: object
    data_dir: str
    data_digest: str
    init_from: str = ""

    def digest(self) -> str:
        """Return a digest of what decides the numbers: data and fixed settings."""
        fixed = {
            section: {
                name: value
                for name, value in attrs.asdict(config, recurse=False).items()
                if not config_lib.may_change(config, name)
            }
            for section, config in self.sections().items()
        }
        text = json.dumps([fixed, self.data_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def sections(self) -> dict[str, attrs.AttrsInstance]:
        """Return model, train and data, by name."""
        return {section: getattr(self, section) for section in _SECTIONS}

    def flagfile(self) -> str:
        """Return the settings as flags of `tools.train`."""
        return settings.flagfile(*self.sections().values(), data_dir=self.data_dir)


def with_data(values: dict, read_config: Callable[[dict], object]) -> dict:
    """Return what `config.json` holds, with its data's part read.

    Args:
        values: The file's values.
        read_config: Makes `Run.data` of its object.

    Raises:
        ValueError: It is none.
    """
    kept = {name: value for name, value in values.items() if name != "made_by"}
    data = documents.build(dict, values.get("data"), "it.data")
    return kept | {"data": read_config(data)}


def write(run_dir: str, run: Run, flagfile: str) -> None:
    """Write `config.json` and `flags.txt`."""
    made_by = {name: metadata.version(name) for name in ("tensorflow", "keras")}
    text = json.dumps(attrs.asdict(run) | {"made_by": made_by}, indent=1)
    # First what the directory is known by.
    files.write(os.path.join(run_dir, CONFIG), f"{text}\n")
    files.write(os.path.join(run_dir, "flags.txt"), flagfile)


def is_run(run_dir: str) -> bool:
    """Say whether a directory holds a run's settings."""
    return os.path.isfile(os.path.join(run_dir, CONFIG))


def load(run_dir: str, read_config: Callable[[dict], object] = dict) -> Run:
    """Read `config.json`.

    Args:
        run_dir: The run directory.
        read_config: Makes `Run.data` of its object, see `Data.read_config`.

    Raises:
        UserError: There is none, or it is damaged or of another version.
    """
    path = os.path.join(run_dir, CONFIG)
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
        change=lambda values: with_data(values, read_config),
    )


def prepare(
    run_dir: str,
    run: Run,
    flagfile: str,
    resume: bool,
    read_config: Callable[[dict], object],
) -> Run:
    """Write a run's settings, or check that an existing one may be continued.

    Args:
        run_dir: The run directory, held by `folders.alone`.
        run: What to train.
        flagfile: The same as a flagfile's text.
        resume: Go on with a run that is there already; without, it is refused.
        read_config: As `load` takes it.

    Returns:
        The run; one that is continued keeps the weights that it started from, in
        case it left no checkpoint yet.

    Raises:
        UserError: There is a run that isn't to be resumed, or it has other settings.
    """
    if is_run(run_dir):
        if not resume:
            raise files.UserError(
                f"{run_dir} holds a run already. Continue it with --resume, or choose "
                "another --run_dir."
            )
        old = load(run_dir, read_config)
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
    now = new.sections()
    for section, config in old.sections().items():
        check_same(directory, config, now[section])


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


def train(
    run_dir: str,
    run: Run,
    data: Data,
    flagfile: str,
    resume: bool,
    exchange: exchange_lib.Exchange = exchange_lib.ALONE,
) -> vae_lib.VAE:
    """Train in a run directory: make it, or go on from its newest checkpoint.

    Args:
        run_dir: The run directory.
        run: What to train.
        data: What it is trained on, which `run` names.
        flagfile: The same as a flagfile's text, which the run keeps.
        resume: Go on with a run that is there already; without, it is refused.
        exchange: With the other workers of the run.

    Returns:
        The trained model, with the weights that training would go on with.

    Raises:
        UserError: The directory or the settings can't be used, or training failed.
        UserError: The data set is damaged, or another than the run's.
        Stopped: SIGTERM or Ctrl-C came; a checkpoint was left.
    """
    _check_parts(run, data)
    # Before anything is written: it may be too little for a batch.
    with data.reading():
        take = data.on_device()
    trained_on = run_lib.Data(
        train=data.train,
        validation=data.validation,
        steps_per_epoch=data.steps_per_epoch,
        batch_size=data.batch_size,
        validation_images=data.validation_images,
        description=data.description,
        taken=run_lib.Taken(data.places, take) if take else None,
    )
    with folders.alone(run_dir, CONFIG, "--run_dir"), data.reading():
        old = load(run_dir, data.read_config).train if is_run(run_dir) else None
        train_config = precision.resolve(run.train, old, exchange)
        run = attrs.evolve(run, train=train_config)
        run = prepare(run_dir, run, flagfile, resume, data.read_config)
        return run_lib.fit(
            run.model,
            run.train,
            trained_on,
            run_dir,
            init_from=run.init_from,
            description=f"```\n{flagfile}```",
            configuration=run.digest(),
            exchange=exchange,
        )


def _check_parts(run: Run, data: Data) -> None:
    """Refuse batches that can't be cut into the parts of `--microbatches`."""
    parts, keeps_last = run.train.microbatches, data.keep_last_batch
    if parts > 1 and (data.batch_size % parts or keeps_last):
        raise files.UserError(
            f"Expected batches that can be cut into --microbatches={parts} parts, "
            f"received --batch_size={data.batch_size} and --keep_last_batch="
            f"{str(keeps_last).lower()}. Take a multiple, without the last, "
            "smaller batch."
        )
    if data.is_on_device and run.train.strategy != "none":
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


def load_model(run_dir: str, run: Run, which: str) -> vae_lib.VAE:
    """Load the trained model of a run, in float32.

    Args:
        run_dir: The run directory.
        run: What its `config.json` says.
        which: `best` or `last` weights.

    Raises:
        UserError: It has no such weights yet, or they are damaged.
    """
    model = vae_lib.VAE(run.model, run.train.seed)
    weights.load(model, weights_path(run_dir, which))
    return model
