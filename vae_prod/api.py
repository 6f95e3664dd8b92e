"""What people call who don't use the programs: train, open, evaluate, draw, export.

`vae_prod` lists these names; `docs/api.md` shows them. Each does what the program of
its name does, by the same functions.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import attrs
import numpy as np
import tensorflow as tf

from pipelines import documents, files
from vae_prod import config as config_lib
from vae_prod.evaluation import evaluating, evaluation_file, measurements, recognition
from vae_prod.evaluation import judge as judge_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import extractors
from vae_prod.latent import sampling
from vae_prod.model import batches as batches_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description, functions, opening, pictures
from vae_prod.serving import export as export_lib
from vae_prod.training import devices, run_directory

_SETTINGS = "config.json"


@runtime_checkable
class HeldOut(Protocol):
    """A data set with splits, whose images are known for what they are.

    `pipelines.open_data` gives one.
    """

    def batches(self, split: str) -> tf.data.Dataset:
        """Read a split once."""

    def protocol(self, split: str) -> dict:
        """Say what makes the images of a split what they are."""

    def reading(self) -> AbstractContextManager[None]:
        """Tell damage in its files in a sentence."""


def train(
    run_dir: str,
    config: config_lib.ModelConfig,
    data: run_directory.Data,
    train_config: config_lib.TrainConfig | None = None,
    *,
    resume: bool = False,
    init_from: str = "",
) -> vae_lib.VAE:
    """Train a model in a run directory, as `tools.train` does.

    The directory gets checkpoints, weights, `history.csv` and TensorBoard files, and
    all programs take it. Networks of one's own train by `VAE(...).fit`.

    Args:
        run_dir: Run directory to make or, with `resume`, to go on with.
        config: The model; its `image_shape` is `data.image_shape`.
        data: What it is trained on, from `pipelines.open_data`.
        train_config: How it is trained; None: by the defaults.
        resume: Go on from the newest checkpoint; start where there is none.
        init_from: Weights to start a new run from: a run directory (its best) or a
            `vae.weights.h5`.

    Returns:
        The model with the weights that training would go on with; `load_run` gives
        those of the best epoch.

    Raises:
        UserError: Settings, directory or data can't be used, or training diverged.
        vae_prod.training.stopping.Stopped: SIGTERM or Ctrl-C came; a checkpoint was
            left to resume from.
    """
    train_config = train_config or config_lib.TrainConfig()
    if train_config.strategy == "multi_worker":
        raise files.UserError(
            "Expected strategy none or mirrored, received multi_worker: start several "
            "processes with tools.launch, or tools.train in each."
        )
    if config.image_shape != data.image_shape:
        raise files.UserError(
            f"Expected a model of images of shape {data.image_shape}, as in "
            f"{data.data_dir}, received image_shape={config.image_shape}. Make it by "
            "ModelConfig(image_shape=data.image_shape)."
        )
    if resume and init_from:
        raise files.UserError(
            "Expected one of resume, which goes on with a run's own weights, and "
            "init_from, which starts a new run, received both. Leave one out."
        )
    devices.set_up(train_config)
    start = init_from and os.path.abspath(run_directory.weights_path(init_from))
    run = run_directory.Run(
        config, train_config, data.config, data.data_dir, data.digest, start
    )
    return run_directory.train(run_dir, run, data, run.flagfile(), resume)


def load_run(run_dir: str, weights: str = "best") -> vae_lib.VAE:
    """Load the model of a run, in float32.

    Args:
        run_dir: A run directory, of `train` or `tools.train`.
        weights: `best`, of the epoch with the least validation loss, or `last`.

    Returns:
        The model; `model.config` is what it computes.

    Raises:
        UserError: There is no such run, it has no such weights yet, or they are
            damaged.
    """
    return run_directory.load_model(run_dir, run_directory.load(run_dir, dict), weights)


def load_export(export_dir: str) -> subject_lib.Subject:
    """Open an export as a model: `evaluate` and `sample` take it as they take a VAE.

    Args:
        export_dir: A version's folder, such as `RUN/export/1`.

    Returns:
        Its `codec`, with `encode` (images uint8, or float32 in [0, 1], [B, H, W, C] to
        a dict of `z_mean` and `z_log_var` float32 [B, z_dim]) and `decode` (float32
        [B, z_dim] to images float32 [B, H, W, C] in [0, 1]), and its `config`.

    Raises:
        UserError: There is no export of this package, or it can't be read.
    """
    codec = opening.open_export(export_dir)
    path = os.path.join(export_dir, description.EXTRA, _SETTINGS)
    config = documents.load(
        path,
        _Exported,
        "the settings of an export",
        "Export again, or mend the path.",
        change=lambda values: {"model": values.get("model")},
    ).model
    return subject_lib.Subject(codec, config)


@attrs.frozen
class _Exported:
    """What is read of an export's `config.json`."""

    model: config_lib.ModelConfig


def evaluate(
    model: vae_lib.VAE | subject_lib.Subject,
    data: HeldOut | Iterable,
    split: str = "test",
    *,
    settings: measurements.EvaluationSettings | None = None,
    judge: str = judge_lib.AUTO,
    recognise: str = judge_lib.AUTO,
    features: Sequence[str] = (),
) -> evaluation_file.Evaluation:
    """Take all figures of a trained model in one pass over held-out images.

    As `tools.evaluate` does, but for copies of training images and gaps between
    attributes. Memory is that of `settings`' images and features.

    Args:
        model: A VAE in memory, from a run, or an export.
        data: From `pipelines.open_data`; or batches of images, as `fit` takes them,
            each image once, that can be read twice.
        split: Which split of `data`; of batches, how it is called.
        settings: How many images and which seed; None: the defaults.
        judge: The feature extractor that models are ranked by, as `--judge` takes it;
            `auto`: by what the first images show.
        recognise: What says whether an image shows its subject, as `--recognise`.
        features: More feature extractors, as `--judge` takes them, of different names.

    Returns:
        The evaluation: `figures[name]["value"]` and `["interval"]`, the `verdict`;
        `vae_prod.evaluation.table.text` prints it, `evaluation_file.to_text` is what
        `tools.evaluate --compare` reads.

    Raises:
        UserError: The images aren't the model's, are too few, or can't be read; the
            figures aren't finite; there is no such extractor.
    """
    subject = model
    if isinstance(model, vae_lib.VAE):
        subject = subject_lib.Subject.from_model(model)
    shape = subject.config.image_shape
    if isinstance(data, HeldOut):
        images, read, reading = data.protocol(split), data.batches(split), data.reading
    else:
        images, read, reading = _unknown(split, shape), data, contextlib.nullcontext
    held_out = _Batches(read, shape)
    with reading():
        choice = judge_lib.choose(judge, recognise, held_out.first())
        recogniser = None
        if choice.recogniser != judge_lib.NONE:
            recogniser = recognition.load(choice.recogniser, shape)
        best, *others = extractors.load_all([choice.judge, *features], shape)
        return evaluating.evaluate(
            subject,
            held_out,
            images,
            {},
            settings or measurements.EvaluationSettings(),
            judge=best,
            extractors=others,
            recogniser=recogniser,
        )


@attrs.frozen(eq=False)
class _Batches:
    """Batches in any form, as `batches.as_batch` makes them.

    Attributes:
        read: What gives them, each time anew.
        shape: (height, width, channels) of the images.
    """

    read: Iterable
    shape: tuple[int, int, int]

    def __iter__(self):
        for batch in self.read:
            tensors = tf.nest.map_structure(tf.convert_to_tensor, batch)
            yield batches_lib.as_batch(tensors, self.shape)

    def first(self) -> np.ndarray:
        """Return the first real images, as many as a judge is chosen by."""
        found: list[np.ndarray] = []
        for batch in self:
            found.extend(batch.get("target", batch["image"]).numpy())
            if len(found) >= judge_lib.NUM_IMAGES:
                break
        if not found:
            raise files.UserError(
                "Expected held-out images, received none. Give batches that can be "
                "read more than once, such as a tf.data.Dataset."
            )
        return np.stack(found[: judge_lib.NUM_IMAGES])


def _unknown(split: str, shape: tuple[int, int, int]) -> dict:
    """Return the protocol of images of which nothing is known but their form."""
    return {
        "data": "batches",
        "split": split,
        "size": list(shape),
        "crop": None,
        "resample": None,
        "stored": "unknown",
    }


def sample(
    model: vae_lib.VAE | subject_lib.Subject, count: int, *, seed: int = 1
) -> np.ndarray:
    """Draw images of z ~ N(0, I); the same seed gives those of `tools.generate`.

    Args:
        model: A VAE in memory, from a run, or an export.
        count: How many images.
        seed: From 0; an image is a function of it and of its number alone.

    Returns:
        float32 [count, H, W, C] in [0, 1].

    Raises:
        UserError: `count` is below 1.
    """
    if count < 1:
        raise files.UserError(f"Expected a count of 1 or more, received {count}.")
    if isinstance(model, vae_lib.VAE):
        codec = codec_lib.from_model(model)
    else:
        codec = model.codec
    z = sampling.prior(sampling.seeds(seed, count), codec.z_dim)
    return codec.decode_many(z)


def export(
    model: vae_lib.VAE,
    directory: str,
    *,
    crop: str = "square",
    pad: bool = False,
    resample: str = "lanczos",
) -> str:
    """Write the next version of a model for TensorFlow Serving, networks of any kind.

    `tools.export` does it with a run's card, samplers and attributes.

    Args:
        model: Its weights are exported in float32.
        directory: The model's folder, new or with earlier versions.
        crop: How served pictures become the model's images, as `--crop` of
            `tools.convert_celeba`.
        pad: The same, as `--pad`.
        resample: The same, as `--resample`.

    Returns:
        The version's folder, which `load_export` opens.

    Raises:
        UserError: It can't be written, or what was saved answers otherwise than the
            model in memory.
    """
    shape = model.config.image_shape
    preparation = pictures.Preparation(shape, shape[:2], crop, pad, resample)
    text = json.dumps({"model": attrs.asdict(model.config)}, indent=1) + "\n"
    return export_lib.export(
        model,
        directory,
        functions.Extras(preparation),
        files={_SETTINGS: text.encode()},
    )
