"""What a person sees while a run trains: rate, time left, losses."""

import sys
import time

import keras
import tqdm

_SHOWN = ("total_loss", "reco_loss", "kl_loss", "val_total_loss")


class Clock(keras.callbacks.Callback):
    """Adds `seconds`, `images_per_second` and `learning_rate` to an epoch's logs.

    The rate is over training steps alone: neither validation nor the first step of
    a fit, which waits for tracing and compilation, is in it.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self.compiling = True

    def on_train_begin(self, logs=None):
        """Expect a first, compiling step."""
        self.compiling = True

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.begin = self.steps_begin = self.steps_end = time.monotonic()
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        """Count a step; start counting anew after the compiling one."""
        self.steps += 1
        self.steps_end = time.monotonic()
        if self.compiling:
            self.compiling, self.steps, self.steps_begin = False, 0, self.steps_end

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures."""
        seconds = self.steps_end - self.steps_begin
        if self.steps:
            logs["images_per_second"] = self.steps * self.batch_size / seconds
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = time.monotonic() - self.begin


class Progress(keras.callbacks.Callback):
    """Shows an epoch's steps as a bar on a terminal, and one line per epoch.

    Args:
        epochs: Epochs of the whole run.
        batch_size: Images of a step, for the rate.
    """

    def __init__(self, epochs: int, batch_size: int):
        super().__init__()
        self.epochs = epochs
        self.batch_size = batch_size
        self.bar = None

    def on_epoch_begin(self, epoch, logs=None):
        """Open a bar."""
        self.bar = tqdm.tqdm(
            total=self.params["steps"] * self.batch_size,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            unit=" images",
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def on_train_batch_end(self, batch, logs=None):
        """Advance the bar; read the loss only when the bar is drawn."""
        if self.bar.update(self.batch_size):
            self.bar.set_postfix(total_loss=f"{float(logs['total_loss']):.1f}")

    def on_epoch_end(self, epoch, logs=None):
        """Close the bar and print the epoch's line."""
        self.bar.close()
        losses = ", ".join(f"{n} {logs[n]:.1f}" for n in _SHOWN if n in logs)
        rate = logs.get("images_per_second")
        shown = f", {rate:.0f} images/s" if rate else ""
        print(f"epoch {epoch + 1}/{self.epochs}: {losses}{shown}", flush=True)
