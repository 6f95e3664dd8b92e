"""What a person sees while a run trains: rate, time left, losses."""

import io
import sys
import time

import tensorflow as tf
import tqdm

from vae_prod.training import step_counting

_SHOWN = ("total_loss", "reco_loss", "kl_loss", "mmd_loss", "val_total_loss")


class Clock(step_counting.StepCallback):
    """Measures an epoch: `seconds`, `images_per_second` and `learning_rate`.

    The rate is over training steps alone: neither validation nor what comes first is
    in it. That is the run's first step (or call of several), which waits for tracing
    and compilation; it is told as `first_step_seconds`.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self.compiling = True

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        super().on_epoch_begin(epoch, logs)
        self.begin = self.steps_begin = self.steps_end = time.monotonic()
        self.steps, self.first_step_seconds = 0, None

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps; start counting anew after the compiling ones."""
        super().on_train_batch_end(batch, logs)
        taken = self.step - self.previous
        self.steps += taken
        if self.compiling or self.epoch_ends:
            # The device may lag behind; a value read waits for it.
            float(logs["total_loss"])
        self.steps_end = time.monotonic()
        if self.compiling:
            seconds = self.steps_end - self.begin
            steps = f"{taken} steps" if taken > 1 else "step"
            tqdm.tqdm.write(f"first {steps}: {seconds:.1f} s, with compiling")
            sys.stdout.flush()
            self.compiling, self.first_step_seconds = False, seconds
            self.steps, self.steps_begin = 0, self.steps_end

    def on_epoch_end(self, epoch, logs=None):
        """Add the figures to the epoch's logs."""
        seconds = self.steps_end - self.steps_begin
        if self.steps:
            logs["images_per_second"] = self.steps * self.batch_size / seconds
        if self.first_step_seconds is not None:
            logs["first_step_seconds"] = self.first_step_seconds
        rate = tf.convert_to_tensor(self.model.optimizer.learning_rate)
        logs["learning_rate"] = float(rate)
        logs["seconds"] = time.monotonic() - self.begin


class Progress(step_counting.StepCallback):
    """Shows the steps of an epoch, and a line when it is over.

    On a terminal the steps are a bar, elsewhere a plain line now and then. Rate and
    time left are without the first step, which waits for compilation.

    Args:
        epochs: Epochs of the whole run.
        batch_size: Images of a step, for the rate.
        line_seconds: Seconds between plain lines.
    """

    def __init__(self, epochs: int, batch_size: int, line_seconds: float = 30.0):
        super().__init__()
        self.epochs = epochs
        self.batch_size = batch_size
        self.line_seconds = line_seconds
        self.compiling = True

    def on_epoch_begin(self, epoch, logs=None):
        """Open a bar, which counts and measures even where it isn't drawn."""
        super().on_epoch_begin(epoch, logs)
        terminal = sys.stderr.isatty()
        self.bar = tqdm.tqdm(
            total=self.params["steps"] * self.batch_size,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            unit=" images",
            leave=False,
            file=sys.stderr if terminal else io.StringIO(),
            mininterval=0.1 if terminal else self.line_seconds,
        )
        self.show = self._draw if terminal else self._print

    def on_train_batch_end(self, batch, logs=None):
        """Advance; the loss is read from the device only when it is shown."""
        super().on_train_batch_end(batch, logs)
        images = (self.step - self.previous) * self.batch_size
        if self.compiling:
            self.compiling = False
            self.bar.n = self.bar.initial = self.bar.last_print_n = images
            self.bar.unpause()
        elif self.bar.update(images):
            self.show(float(logs["total_loss"]))

    def _draw(self, loss: float) -> None:
        self.bar.set_postfix(total_loss=f"{loss:.1f}")

    def _print(self, loss: float) -> None:
        done = self.bar.format_dict
        rate = (done["n"] - done["initial"]) / done["elapsed"]
        left = (done["total"] - done["n"]) / rate
        print(
            f"{self.bar.desc.removesuffix(': ')}: {done['n']:,} of {done['total']:,} "
            f"images, total_loss {loss:.1f}, {rate:.0f} images/s, {left:.0f} s left",
            flush=True,
        )

    def on_epoch_end(self, epoch, logs=None):
        """Close the bar and print the epoch's line."""
        self.bar.close()
        losses = ", ".join(f"{n} {logs[n]:.1f}" for n in _SHOWN if n in logs)
        rate = logs.get("images_per_second")
        shown = f", {rate:.0f} images/s" if rate else ""
        print(f"epoch {epoch + 1}/{self.epochs}: {losses}{shown}", flush=True)
