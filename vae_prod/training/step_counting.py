"""The base of callbacks that must know the run's step: counted on the host."""

import keras


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
