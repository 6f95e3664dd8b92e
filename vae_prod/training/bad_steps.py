"""Steps whose loss or gradients were not finite (NaN): reported while training."""

import sys

import tqdm

from vae_prod.training import step_counting


class BadSteps(step_counting.StepCallback):
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
