"""What happens around the train step: history, weights, checkpoints, stopping."""

import csv
import json
import os
import shutil
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from vae_prod import batch_norm, optimizer
from vae_prod import checkpoints as checkpoints_lib

MONITORED = "total_loss"
WEIGHT_PARTS = ("vae", "encoder", "decoder")


class Stopped(Exception):
    """Training was asked to stop and has left a checkpoint."""


class StepCallback(keras.callbacks.Callback):
    """Counts steps on the host, so that asking for the step costs no transfer."""

    step = 0

    def on_train_begin(self, logs=None):
        """Read the step from the model."""
        self.step = int(self.model.step.numpy())

    def on_train_batch_end(self, batch, logs=None):
        """Count one step."""
        self.step += 1


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
        with optimizer.averaged(model), batch_norm.recomputed(model, batches):
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
        with open(f"{self.path}.tmp", "w", newline="") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.tmp", self.path)


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
        with optimizer.averaged(self.model):
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
        final = os.path.join(self.directory, kind)
        aside = os.path.join(self.directory, f".{kind}.tmp")
        shutil.rmtree(aside, ignore_errors=True)
        os.makedirs(aside)
        parts = (self.plain, self.plain.encoder, self.plain.decoder)
        for name, part in zip(WEIGHT_PARTS, parts, strict=True):
            part.save_weights(os.path.join(aside, f"{name}.weights.h5"))
        with open(os.path.join(aside, "epoch.json"), "w") as file:
            json.dump({"epoch": epoch + 1, MONITORED: loss}, file)
        old = os.path.join(self.directory, f".{kind}.old")
        shutil.rmtree(old, ignore_errors=True)
        if os.path.exists(final):
            os.rename(final, old)
        os.rename(aside, final)
        shutil.rmtree(old, ignore_errors=True)


class Checkpointing(StepCallback):
    """Saves checkpoints by steps, by minutes, at each epoch's end and when stopping.

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
        if self.resumed_metrics:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self.resumed_metrics, strict=True):
                variable.assign(value)
            self.resumed_metrics = None

    def on_train_batch_end(self, batch, logs=None):
        """Save when it is time to; leave when asked to."""
        super().on_train_batch_end(batch, logs)
        if batch + 1 == self.params["steps"]:
            # A checkpoint here would say that the epoch is over, before validation,
            # history and weights are. `on_epoch_end` makes it, and stops.
            return
        stop = self.stop_requested()
        by_steps = self.every_steps and self.step % self.every_steps == 0
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
        self.checkpoints.save()
        self.saved_at = time.monotonic()
