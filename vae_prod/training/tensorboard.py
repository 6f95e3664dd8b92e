"""What a run shows in TensorBoard, logged from callbacks, never inside the step."""

import os

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.latent import sampling
from vae_prod.model import codec as codec_lib
from vae_prod.model import kl
from vae_prod.model.kernels import ops
from vae_prod.optim import adam
from vae_prod.reporting import charts, image_grids
from vae_prod.training import step_counting

_COLUMNS = 7
_MAX_IMAGES = 512


@attrs.frozen
class Pictures:
    """Fixed images, uint8 [N, H, W, C], that the pictures of every epoch show."""

    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def from_batches(cls, batches: tf.data.Dataset) -> "Pictures":
        """Take the first few hundred images of a dataset of batches."""
        inputs, targets, count = [], [], 0
        for batch in batches:
            inputs.append(batch["image"].numpy())
            targets.append(batch.get("target", batch["image"]).numpy())
            count += len(inputs[-1])
            if count >= _MAX_IMAGES:
                break
        return cls(
            np.concatenate(inputs)[:_MAX_IMAGES], np.concatenate(targets)[:_MAX_IMAGES]
        )


class TensorBoard(step_counting.StepCallback):
    """Writes scalars, pictures and histograms under `tensorboard/`.

    Args:
        run_dir: The run directory.
        pictures: Images to show and to take latent histograms of.
        every_steps: Steps between training scalars.
        every_epochs: Epochs between pictures and histograms.
        description: Text shown with the run.
    """

    def __init__(
        self,
        run_dir: str,
        pictures: Pictures,
        every_steps: int,
        every_epochs: int,
        description: str,
    ):
        super().__init__()
        self.pictures = pictures
        self.every_steps = every_steps
        self.every_epochs = every_epochs
        self.description = description
        self.writers = {
            part: tf.summary.create_file_writer(
                os.path.join(run_dir, "tensorboard", part)
            )
            for part in ("train", "validation")
        }

    def on_train_begin(self, logs=None):
        """Show the settings, once in a run."""
        super().on_train_begin(logs)
        self.codec = codec_lib.from_model(self.model)
        if self.step == 0:
            with self.writers["train"].as_default():
                tf.summary.text("settings", self.description, self.step)

    def on_train_batch_end(self, batch, logs=None):
        """Write the epoch's running means."""
        super().on_train_batch_end(batch, logs)
        if self.passes(self.every_steps):
            fact = kl.fact_at(self.model.config, tf.constant(self.step))
            optimizer = adam.inner(self.model.optimizer)
            schedule = {"fact": fact, "learning_rate": optimizer.learning_rate}
            if getattr(optimizer, "gradient_norm", None) is not None:
                schedule["gradient_norm"] = optimizer.gradient_norm
            self._scalars("train", "step", {**logs, **schedule})

    def on_epoch_end(self, epoch, logs=None):
        """Write the epoch's scalars and, when it is time to, pictures."""
        validation = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        training = {k: v for k, v in logs.items() if not k.startswith("val_")}
        self._scalars("train", "epoch", training)
        self._scalars("validation", "epoch", validation)
        if (epoch + 1) % self.every_epochs == 0:
            writer = self.writers["validation"]
            with writer.as_default(), adam.averaged(self.model):
                self._show_latent(self.codec)
                self._show_images(self.codec)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        """Flush."""
        for writer in self.writers.values():
            writer.flush()

    def _scalars(self, part: str, group: str, values: dict) -> None:
        if not values:
            return
        # One transfer from the device for all of them.
        read = tf.stack([tf.cast(value, tf.float32) for value in values.values()])
        # Leaving `as_default` flushes: what a checkpoint follows is on disk.
        with self.writers[part].as_default():
            for name, value in zip(values, read.numpy(), strict=True):
                tf.summary.scalar(f"{group}/{name}", value, self.step)

    def _show_latent(self, trained: codec_lib.Codec) -> None:
        posterior = trained.encode(self.pictures.inputs)
        z_mean = posterior["z_mean"]
        tf.summary.histogram("latent/z_mean", z_mean, self.step)
        tf.summary.histogram("latent/radius", tf.norm(z_mean, axis=-1), self.step)
        if "z_log_var" in posterior:
            z_log_var = posterior["z_log_var"]
            tf.summary.histogram("latent/z_log_var", z_log_var, self.step)
            kl = ops.diagonal_gaussian_kl(z_mean, z_log_var).numpy().mean(axis=0)
            tf.summary.histogram("latent/kl_per_dimension", kl, self.step)
            self._image("latent/kl_by_rank", charts.kl_per_dimension(kl))

    def _show_images(self, trained: codec_lib.Codec) -> None:
        count = min(len(self.pictures.inputs), 3 * _COLUMNS) // _COLUMNS * _COLUMNS
        if count:
            inputs = self.pictures.inputs[:count]
            targets = self.pictures.targets[:count]
            images = image_grids.to_uint8(
                trained.decode(trained.encode(inputs)["z_mean"])
            )
            rows = image_grids.stacked_rows(_COLUMNS, targets, images)
            self._image("images/reconstructions", image_grids.grid(rows, _COLUMNS))
        z = sampling.prior(tf.range(4 * _COLUMNS), trained.z_dim)
        self._image(
            "images/prior_samples", image_grids.grid(trained.decode(z), _COLUMNS)
        )

    def _image(self, name: str, image: np.ndarray) -> None:
        tf.summary.image(name, image[None], self.step)


class Profile(step_counting.StepCallback):
    """Profiles the steps from `first` to `last` into the train log."""

    def __init__(self, run_dir: str, first: int, last: int):
        super().__init__()
        self.directory = os.path.join(run_dir, "tensorboard", "train")
        self.first = first
        self.last = last
        self.running = False

    def on_train_batch_begin(self, batch, logs=None):
        """Start before the first step, with all that are taken in its call."""
        if self.step < self.first <= self.step + self.model.steps_per_execution:
            tf.profiler.experimental.start(self.directory)
            self.running = True

    def on_train_batch_end(self, batch, logs=None):
        """Stop after the last step."""
        super().on_train_batch_end(batch, logs)
        if self.running and self.step >= self.last:
            self._stop()

    def on_train_end(self, logs=None):
        """Stop with the run, should it end first."""
        if self.running:
            self._stop()

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        self.running = False
