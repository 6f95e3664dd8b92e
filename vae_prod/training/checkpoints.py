"""Checkpoints of a run: everything that training needs to go on as if unstopped.

A checkpoint is a folder `checkpoints/step-N` of TensorFlow's files and their digests,
written aside and named when whole. The newest that is as it was written is the one to
go on from; no other file says which.
"""

import json
import os
import re

import attrs
import tensorflow as tf

from pipelines import files, folders
from vae_prod.core import seals
from vae_prod.model import vae as vae_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import workers


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


_NAME = re.compile(r"step-(\d+)")
_VARIABLES = "variables"


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
        self._directory = os.path.join(directory, "checkpoints")
        self._model = model
        self._keep = keep
        self._configuration = configuration
        self.early_stopping = EarlyStopping()
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        variables += [*model.metrics_variables, model.guard.counts]
        # One flat list: the run's configuration fixes its order.
        self._variables = [variable.value for variable in variables]
        self._checkpoint = tf.train.Checkpoint(
            variables=self._variables,
            # The name it has in checkpoints.
            progress=_EarlyStoppingState(self.early_stopping),
            configuration=_Configuration(configuration),
        )

    def steps(self) -> list[int]:
        """Return the steps that there are checkpoints of, from the first on."""
        matches = map(_NAME.fullmatch, folders.listed(self._directory))
        return sorted(int(match[1]) for match in matches if match)

    def save(self) -> None:
        """Write a checkpoint named by the step, and remove those that are too many."""
        step = int(self._model.step.numpy())
        with files.new_folder(self._path(step)) as folder:
            self._checkpoint.write(os.path.join(folder, _VARIABLES))
            seals.write(folder)
        # One of a later step is damaged: training went on from an earlier one.
        steps = self.steps()
        kept = [other for other in steps if other <= step][-self._keep :]
        for other in set(steps) - set(kept):
            files.remove_folder(self._path(other))

    def share(self, exchange: exchange_lib.Exchange) -> None:
        """Give all workers of a run what the chief's checkpoint holds."""
        progress = tf.Variable(attrs.astuple(self.early_stopping), dtype=tf.float64)
        workers.share(exchange, [*self._variables, progress])
        best, *epochs = progress.numpy().tolist()
        state = EarlyStopping(best, *map(int, epochs))
        for name, value in attrs.asdict(state).items():
            setattr(self.early_stopping, name, value)

    def restore(self) -> bool:
        """Restore the newest checkpoint that is whole; say whether there was one.

        Raises:
            UserError: It has another configuration or can't be read, or all that there
                are, in whatever form, are damaged.
        """
        damaged: list[str] = []
        for step in reversed(self.steps()):
            path = self._path(step)
            damage = seals.damage(path)
            if not damage:
                self._read(path)
                if damaged:
                    print(f"damaged: {'; '.join(damaged)}: going on from {path}")
                return True
            damaged.append(f"{path} ({damage})")
        if not (names := folders.listed(self._directory)):
            return False
        reason = "; ".join(damaged) or f"there is {', '.join(names)}"
        raise files.UserError(
            f"Expected a whole checkpoint in {self._directory}, found none ({reason}). "
            "Bring one back, or start in another --run_dir, with this one's weights by "
            "--init_from."
        )

    def _path(self, step: int) -> str:
        return os.path.join(self._directory, f"step-{step}")

    def _read(self, path: str) -> None:
        try:
            with folders.without_patterns(path) as folder:
                variables = os.path.join(folder, _VARIABLES)
                self._check_configuration(path, variables)
                self._checkpoint.read(variables).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise files.UserError(
                f"Expected a checkpoint of this model in {path}, it can't be read "
                f"({reason}). Use the package version that wrote it, or start in "
                "another --run_dir."
            ) from error

    def _check_configuration(self, path: str, variables: str) -> None:
        made_with = _Configuration()
        reader = tf.train.Checkpoint(configuration=made_with)
        reader.read(variables).expect_partial()
        if made_with.digest != self._configuration:
            raise files.UserError(
                f"Expected a checkpoint of configuration {self._configuration!r} in "
                f"{path}, received one of {made_with.digest!r}. Resume with the "
                "settings and data that it was made with, or start in another "
                "--run_dir."
            )
