"""What happens around the train step: history, weights, checkpoints, stopping."""

import csv
import json
import os
import sys
import time
from collections.abc import Callable

import keras
import tensorflow as tf
import tqdm

from pipelines import files
from vae_prod.optim import adam
from vae_prod.training import batch_norm
from vae_prod.training import checkpoints as checkpoints_lib

MONITORED = "total_loss"
WEIGHT_PARTS = ("vae", "encoder", "decoder")


class Stopped(Exception):
    """Training was asked to stop and has left a checkpoint."""


class StepCallback(keras.callbacks.Callback):
    """Counts steps on the host, so that asking for the step costs no transfer.

    Attributes:
        step: Steps done in the whole run.
        previous: Steps done before those that TensorFlow has just taken in one call.
        epoch_ends: Whether these were an epoch's last.
    """

    step = previous = 0
    epoch_ends = False

    def on_train_begin(self, logs=None):
        """Read the step from the model."""
        self.step = int(self.model.step.numpy())

    def on_epoch_begin(self, epoch, logs=None):
        """Remember where the epoch, or what is left of it, begins."""
        self.begun_at = self.step

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps taken; `batch` is the last one's place in the epoch."""
        # Keras counts on where the last call of an epoch took fewer.
        done = min(batch + 1, self.params["steps"] or batch + 1)
        self.previous, self.step = self.step, self.begun_at + done
        self.epoch_ends = done == self.params["steps"]

    def passes(self, every: int) -> bool:
        """Say whether a multiple of `every` is among the steps just taken."""
        return self.previous // every < self.step // every


class BadSteps(StepCallback):
    """Tells of steps that the model's guard has skipped; ends a run of nothing else.

    Adds `skipped_steps`, those of the run so far, to the logs that it looks at: every
    `every_steps` and at an epoch's end. Comes first among the callbacks, so that none
    keeps anything of a run that has failed.
    """

    def __init__(self, every_steps: int):
        super().__init__()
        self.every_steps = every_steps

    def on_train_begin(self, logs=None):
        """Expect no more than there are."""
        super().on_train_begin(logs)
        self.skipped = self.model.guard.check()

    def on_train_batch_end(self, batch, logs=None):
        """Look when it is time to.

        Raises:
            UserError: Too many in a row were skipped.
        """
        super().on_train_batch_end(batch, logs)
        if not (self.epoch_ends or self.passes(self.every_steps)):
            return
        before, self.skipped = self.skipped, self.model.guard.check()
        logs["skipped_steps"] = self.skipped
        if self.skipped > before:
            # tqdm's, for a line that doesn't run into a bar.
            tqdm.tqdm.write(
                f"step {self.step:,}: {self.skipped - before} skipped since the last "
                f"look, {self.skipped} in all: loss or gradients were not finite"
            )
            sys.stdout.flush()

    def on_epoch_end(self, epoch, logs=None):
        """Add the number to the epoch's logs."""
        logs["skipped_steps"] = self.skipped


class RecomputedValidation(keras.callbacks.Callback):
    """Validates again with batch-norm statistics recomputed over training batches.

    Adds `val_recomputed_*` to an epoch's logs.

    Args:
        validation: Makes the validation batches.
        training: Makes the training batches of an epoch (0-based) to recompute over.
    """

    def __init__(
        self,
        validation: Callable[[], tf.data.Dataset],
        training: Callable[[int], tf.data.Dataset],
    ):
        super().__init__()
        self.validation = validation
        self.training = training

    def on_epoch_end(self, epoch, logs=None):
        """Recompute, validate, put the moving statistics back."""
        model, batches = self.model, self.training(epoch)
        with adam.averaged(model), batch_norm.recomputed(model, batches):
            values = model.evaluate(self.validation(), verbose=0, return_dict=True)
        logs.update({f"val_recomputed_{name}": v for name, v in values.items()})


class History(keras.callbacks.Callback):
    """Keeps `history.csv`, one row an epoch, rewritten whole at each epoch's end.

    Args:
        path: The file; rows it holds of epochs before `first_epoch` are kept.
        first_epoch: 0-based epoch at which this fit begins.
    """

    def __init__(self, path: str, first_epoch: int):
        super().__init__()
        self.path = path
        self.rows = [r for r in read_history(path) if int(r["epoch"]) <= first_epoch]

    def on_epoch_end(self, epoch, logs=None):
        """Add the epoch's row."""
        self.rows.append({"epoch": epoch + 1, **logs})
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with files.open_new(self.path, "w") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def read_history(path: str) -> list[dict[str, str]]:
    """Read the rows of a `history.csv`, none where there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Weights(keras.callbacks.Callback):
    """Saves `weights/last` each epoch and `weights/best`, and stops early.

    Saved are the averaged weights where an average is kept.

    Best is the lowest validation `total_loss`, which always uses the final fact;
    without validation data, the lowest training `total_loss`.

    Args:
        run_dir: The run directory.
        progress: Holds the best so far, over restarts.
        patience: Epochs without a better loss before stopping; 0: never.
    """

    def __init__(self, run_dir: str, progress: checkpoints_lib.Progress, patience: int):
        super().__init__()
        self.directory = os.path.join(run_dir, "weights")
        self.progress = progress
        self.patience = patience

    def on_train_begin(self, logs=None):
        """Make the copy that is saved: without the optimizer, in float32."""
        self.plain = self.model.with_precision("float32")

    def on_epoch_end(self, epoch, logs=None):
        """Save, and compare with the best."""
        with adam.averaged(self.model):
            self.plain.set_weights(self.model.get_weights())
        loss = logs.get(f"val_{MONITORED}", logs[MONITORED])
        self._save("last", epoch, loss)
        if loss < self.progress.best:
            self.progress.best, self.progress.best_epoch = loss, epoch + 1
            self.progress.epochs_without_gain = 0
            self._save("best", epoch, loss)
        else:
            self.progress.epochs_without_gain += 1
        if self.progress.has_stalled(self.patience):
            self.model.stop_training = True

    def _save(self, kind: str, epoch: int, loss: float) -> None:
        parts = (self.plain, self.plain.encoder, self.plain.decoder)
        with files.new_folder(os.path.join(self.directory, kind)) as folder:
            for name, part in zip(WEIGHT_PARTS, parts, strict=True):
                part.save_weights(os.path.join(folder, f"{name}.weights.h5"))
            with open(os.path.join(folder, "epoch.json"), "w") as file:
                json.dump({"epoch": epoch + 1, MONITORED: loss}, file)


class Checkpointing(StepCallback):
    """Saves checkpoints by steps, by minutes, at each epoch's end and when stopping.

    Where TensorFlow takes several steps in one call, all of it waits for the call's
    end. Nothing is saved once the model's guard has seen too many bad steps.

    Comes last among the callbacks, so that a checkpoint at an epoch's end holds what
    the others made of it.

    Args:
        checkpoints: Saves them.
        every_steps: Steps between checkpoints; 0: none by steps.
        every_minutes: Minutes between checkpoints; 0: none by time.
        stop_requested: Says whether the run was asked to stop.
    """

    def __init__(
        self,
        checkpoints: checkpoints_lib.Checkpoints,
        every_steps: int,
        every_minutes: float,
        stop_requested: Callable[[], bool],
    ):
        super().__init__()
        self.checkpoints = checkpoints
        self.every_steps = every_steps
        self.every_seconds = 60.0 * every_minutes
        self.stop_requested = stop_requested
        self.saved_at = time.monotonic()
        self.resumed_metrics = None

    def keep_metrics(self, model: keras.Model) -> None:
        """Remember the restored metrics of an epoch that was interrupted."""
        self.resumed_metrics = [v.numpy() for v in model.metrics_variables]

    def on_epoch_begin(self, epoch, logs=None):
        """Put the restored metrics back, which Keras has just reset."""
        super().on_epoch_begin(epoch, logs)
        if self.resumed_metrics:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self.resumed_metrics, strict=True):
                variable.assign(value)
            self.resumed_metrics = None

    def on_train_batch_end(self, batch, logs=None):
        """Save when it is time to; leave when asked to."""
        super().on_train_batch_end(batch, logs)
        if self.epoch_ends:
            # A checkpoint here would say that the epoch is over, before validation,
            # history and weights are. `on_epoch_end` makes it, and stops.
            return
        stop = self.stop_requested()
        by_steps = self.every_steps and self.passes(self.every_steps)
        elapsed = time.monotonic() - self.saved_at
        if stop or by_steps or (self.every_seconds and elapsed >= self.every_seconds):
            self._save()
        if stop:
            raise Stopped

    def on_epoch_end(self, epoch, logs=None):
        """Save the finished epoch."""
        self._save()
        if self.stop_requested():
            raise Stopped

    def _save(self) -> None:
        self.model.guard.check()
        self.checkpoints.save()
        self.saved_at = time.monotonic()
