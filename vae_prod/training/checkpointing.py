"""When checkpoints are saved: by steps, by minutes, at epochs' ends, when stopping."""

import time
from collections.abc import Callable

import keras
import numpy as np

from vae_prod.training import checkpoints as checkpoints_lib
from vae_prod.training import step_counting, stopping


class Checkpointing(step_counting.StepCallback):
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
        self.resumed_metrics: list[np.ndarray] | None = None

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
            raise stopping.Stopped

    def on_epoch_end(self, epoch, logs=None):
        """Save the finished epoch."""
        self._save()
        if self.stop_requested():
            raise stopping.Stopped

    def save_if_within_epoch(self) -> None:
        """Save after a step that failed; an epoch's end must come anew as a whole."""
        if not self.epoch_ends:
            self._save()

    def _save(self) -> None:
        self.model.guard.check()
        self.checkpoints.save()
        self.saved_at = time.monotonic()
