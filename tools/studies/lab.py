"""What a study works with: its data, its settings and the runs that it trains."""

import os
from collections.abc import Mapping

import attrs
import keras
import numpy as np

from pipelines import config as data_config_lib
from pipelines import files, shards
from pipelines.reading import dataset
from tools import models, runs
from tools.studies import config as studies_config
from vae_prod import config as config_lib
from vae_prod.evaluation.features import extractor, extractors
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.training import history, run_directory

_HISTORY = "history.csv"
# Where held-out images are taken from: the first of these that there is.
_HELD_OUT = ("test", "validation")


@attrs.frozen(eq=False)
class Opened:
    """A trained run.

    Attributes:
        run_dir: Its directory.
        run: Its settings.
        model: The model with its weights, in float32.
        codec: Its encoder and decoder.
        data_name: Name of the data set it was trained on; empty where that isn't known.
        trained_on: The same in words.
    """

    run_dir: str
    run: run_directory.Run
    model: vae_lib.VAE
    codec: codec_lib.Codec
    data_name: str
    trained_on: str

    def history(self) -> list[dict[str, float]]:
        """Return its epochs' losses, first epoch first."""
        rows = history.read(os.path.join(self.run_dir, _HISTORY))
        return [{k: float(v) for k, v in row.items() if v != ""} for row in rows]


@attrs.frozen(eq=False)
class Lab:
    """What a study works with.

    Attributes:
        out: The study's folder.
        data_dir: The converted data set.
        manifest: What it holds.
        model: Settings of the models it trains.
        train: Settings of their training.
        data: Settings of reading.
        study: The studies' own settings.
        weights: Which weights of a run, `best` or `last`.
        run_dir: A trained run to look at; empty: the study trains its own.
    """

    out: str
    data_dir: str
    manifest: shards.Manifest
    model: config_lib.ModelConfig
    train: config_lib.TrainConfig
    data: data_config_lib.DataConfig
    study: studies_config.StudyConfig
    weights: str = "last"
    run_dir: str = ""

    def with_judge(self) -> "Lab":
        """Decide who judges images, where --judge leaves it open."""
        run = runs.load(self.run_dir) if self.run_dir else self._planned()
        judge = models.choose_judge(
            run, self.data_dir, self.held_out, self.study.judge
        ).judge
        return attrs.evolve(self, study=attrs.evolve(self.study, judge=judge))

    def judge(self, opened: Opened) -> extractor.Extractor:
        """Load the feature extractor that judges a run's images."""
        return extractors.load(self.study.judge, opened.codec.image_shape)

    def train_runs(self, plans: Mapping[str, Mapping]) -> dict[str, str]:
        """Train a run for each plan, under `runs/NAME`; finished ones stay as they are.

        Args:
            plans: Name of a run to the settings in which it differs from the lab's.

        Returns:
            Name to run directory.

        Raises:
            UserError: A directory holds a run of other settings, or training failed.
            Stopped: SIGTERM or Ctrl-C came; the next call goes on from there.
        """
        planned = {name: self._planned(**changes) for name, changes in plans.items()}
        directories = {}
        for number, (name, run) in enumerate(planned.items(), 1):
            directory = os.path.join(self.out, "runs", name)
            print(f"\nrun {number} of {len(planned)}: {directory}", flush=True)
            keras.utils.clear_session()
            # The same first weights, whichever runs came before in this process.
            keras.utils.set_random_seed(run.train.seed)
            text = run.flagfile()
            runs.train(directory, run, text, resume=True)
            directories[name] = directory
        return directories

    def _planned(self, **changes) -> run_directory.Run:
        configs = {"model": self.model, "train": self.train, "data": self.data}
        known = {name for config in configs.values() for name in attrs.asdict(config)}
        if unknown := set(changes) - known:
            raise ValueError(f"No setting of a run is named {sorted(unknown)}.")
        for part, config in configs.items():
            fields = attrs.fields_dict(type(config))
            chosen = {name: v for name, v in changes.items() if name in fields}
            configs[part] = attrs.evolve(config, **chosen)
        digest = self.manifest.digest()
        return run_directory.Run(data_dir=self.data_dir, data_digest=digest, **configs)

    def train_and_open(self, plans: Mapping[str, Mapping]) -> dict[str, Opened]:
        """Train a run for each plan, see `train_runs`, and open them all."""
        directories = self.train_runs(plans)
        return {name: self.open(path) for name, path in directories.items()}

    def one_run(self, **changes) -> Opened:
        """Open the run to look at, or train the only one of a study.

        Args:
            **changes: Settings in which it differs from the lab's, if it is trained.
        """
        if self.run_dir:
            return self.open(self.run_dir)
        return self.train_and_open({"run": changes})["run"]

    def open(self, run_dir: str) -> Opened:
        """Open a run's trained model.

        Raises:
            UserError: There is no such run, or it has no weights yet.
        """
        weights = os.path.join(run_dir, "weights", self.weights)
        if runs.load(run_dir) and not os.path.isdir(weights):
            raise files.UserError(
                f"Expected a trained run with weights in {weights}, found none: it has "
                "not finished an epoch. Go on with tools.train --resume, or look at "
                "another run."
            )
        if not history.read(os.path.join(run_dir, _HISTORY)):
            raise files.UserError(
                f"Expected the losses of the run in {run_dir}/{_HISTORY}, found none. "
                "Bring the file back, or look at another run."
            )
        run, model = models.load_model(
            run_dir, self.weights, self.train.recompute_batch_norm
        )
        codec = codec_lib.from_model(model)
        return Opened(run_dir, run, model, codec, *self._trained_on(run))

    def _trained_on(self, run: run_directory.Run) -> tuple[str, str]:
        if run.data_digest != self.manifest.digest():
            return "", f"the data set that was in {run.data_dir}"
        name = self.manifest.name
        steps = dataset.steps_per_epoch(self.manifest, run.data)
        images = self.num_images(dataset.TRAIN_SPLIT)
        return name, f"{name}, {images:,} training images, epochs of {steps:,} steps"

    @property
    def held_out(self) -> str:
        """The split that figures are taken on."""
        for split in _HELD_OUT:
            if split in self.manifest.splits and self.num_images(split):
                return split
        raise files.UserError(
            f"Expected a test or validation split in {self.data_dir}, found "
            f"{sorted(self.manifest.splits)}. Convert with other --split_ratios."
        )

    def check_at_most_images(self, flag: str, wanted: int) -> None:
        """Refuse to take more of something than there are training images.

        Raises:
            UserError: Naming the flag.
        """
        count = self.num_images(dataset.TRAIN_SPLIT)
        if wanted > count:
            raise files.UserError(
                f"Expected --{flag} of at most {count:,}, as many as {self.data_dir} "
                f"has training images, received {wanted:,}. Lower it."
            )

    def num_images(self, split: str) -> int:
        """Return how many images a split has."""
        return self.manifest.split(split).num_examples

    def choose(self, opened: Opened, split: str, count: int) -> dict[str, np.ndarray]:
        """Pick images of a split at random, the same for the same seed.

        Returns:
            `image`, as the run's encoder takes it, and, where that is corrupted, the
            clean `target`: uint8 [count, H, W, C], fewer where the split is smaller.
        """
        return models.choose_images(
            opened.run, self.data_dir, split, count, self.train.seed
        )

    def batches(self, opened: Opened, split: str, fields: tuple[str, ...] = ()):
        """Read a split once, in file order, as the run reads it."""
        return dataset.eval_batches(
            self.data_dir, self.manifest, split, opened.run.data, fields=fields
        )

    def seeds(self, count: int) -> np.ndarray:
        """Return seeds of random points to decode: int64 [count]."""
        return self.train.seed * 1_000_003 + np.arange(count, dtype=np.int64)
