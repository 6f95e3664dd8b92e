"""Checkpoints of a run: everything that training needs to go on as if unstopped."""

import json
import os

import attrs
import tensorflow as tf

from pipelines import files
from vae_prod.model import vae as vae_lib


@attrs.define
class EarlyStopping:
    """The best epoch so far and the epochs since, remembered over a restart.

    Attributes:
        best: Lowest monitored loss so far.
        best_epoch: Epoch, from 1, that gave it; 0 before the first.
        epochs_without_gain: Epochs since then.
    """

    best: float = float("inf")
    best_epoch: int = 0
    epochs_without_gain: int = 0

    def has_stalled(self, patience: int) -> bool:
        """Say whether there was no gain for `patience` epochs; 0: never."""
        return 0 < patience <= self.epochs_without_gain

    def update(self, loss: float, epoch: int) -> bool:
        """Take the monitored loss of an epoch, from 1; say whether it is the best."""
        if loss < self.best:
            self.best, self.best_epoch, self.epochs_without_gain = loss, epoch, 0
            return True
        self.epochs_without_gain += 1
        return False


class _EarlyStoppingState(tf.train.experimental.PythonState):
    """Carries an `EarlyStopping` inside a TensorFlow checkpoint."""

    def __init__(self, early_stopping: EarlyStopping):
        super().__init__()
        self.early_stopping = early_stopping

    def serialize(self) -> str:
        return json.dumps(attrs.asdict(self.early_stopping))

    def deserialize(self, string_value: str) -> None:
        for name, value in json.loads(string_value).items():
            setattr(self.early_stopping, name, value)


class _Configuration(tf.train.experimental.PythonState):
    """Carries the digest of a run's settings inside a TensorFlow checkpoint."""

    def __init__(self, digest: str = ""):
        super().__init__()
        self.digest = digest

    def serialize(self) -> str:
        return self.digest

    def deserialize(self, string_value: str) -> None:
        value = string_value
        self.digest = value.decode() if isinstance(value, bytes) else value


class Checkpoints:
    """Saves and restores a compiled model under `directory`.

    Held are the weights, the optimizer's variables (loss scale, gradients summed so
    far and the weights' average among them), the step and call counters, random
    states, the metrics of the epoch under way, the guard's counts, the state of early
    stopping, and the configuration.

    Args:
        directory: The run directory.
        model: The compiled model.
        keep: Checkpoints kept.
        configuration: Digest of what decides the run's numbers. A checkpoint of
            another is refused.
    """

    def __init__(
        self, directory: str, model: vae_lib.VAE, keep: int, configuration: str = ""
    ):
        self._model = model
        self._configuration = configuration
        self.early_stopping = EarlyStopping()
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        variables += [*model.metrics_variables, model.guard.counts]
        # One flat list: the run's configuration fixes its order.
        self._checkpoint = tf.train.Checkpoint(
            variables=[variable.value for variable in variables],
            # The name it has in checkpoints.
            progress=_EarlyStoppingState(self.early_stopping),
            configuration=_Configuration(configuration),
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, os.path.join(directory, "checkpoints"), max_to_keep=keep
        )

    @property
    def latest(self) -> str | None:
        """Path of the newest checkpoint, None where there is none."""
        return self._manager.latest_checkpoint

    def save(self) -> str:
        """Write a checkpoint named by the step; return its path."""
        return self._manager.save(checkpoint_number=int(self._model.step.numpy()))

    def restore(self) -> bool:
        """Restore the newest checkpoint; say whether there was one.

        Raises:
            UserError: It has another configuration, or is damaged.
        """
        if not self.latest:
            return False
        try:
            self._check_configuration()
            status = self._checkpoint.restore(self.latest)
            status.assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise files.UserError(
                f"Expected a checkpoint of this model in {self.latest}, it can't be "
                f"read ({reason}). Remove it to go on from an earlier one, or start in "
                "another --run_dir."
            ) from error
        return True

    def _check_configuration(self) -> None:
        made_with = _Configuration()
        reader = tf.train.Checkpoint(configuration=made_with)
        reader.restore(self.latest).expect_partial()
        if made_with.digest != self._configuration:
            raise files.UserError(
                f"Expected a checkpoint of configuration {self._configuration!r} in "
                f"{self.latest}, received one of {made_with.digest!r}. Resume with the "
                "settings and data that it was made with, or start in another "
                "--run_dir."
            )
