"""The search space: KerasTuner's hyperparameters to the package's settings."""

from collections.abc import Mapping
from typing import Any

import attrs
import keras_tuner

from pipelines import settings as settings_lib
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.training import building


class SearchSpace(keras_tuner.HyperModel):
    """What is searched; everything else stays as the settings say.

    Args:
        search: Ranges and choices.
        model: The model's other settings.
        train: The training's other settings.
    """

    def __init__(
        self,
        search: config_lib.SearchConfig,
        model: config_lib.ModelConfig,
        train: config_lib.TrainConfig,
    ):
        super().__init__()
        self.search = search
        self.model = model
        self.train = train

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare ranges, on a log scale, and choices; numbers are ordered."""
        for name, (low, high) in self.search.ranges().items():
            hp.Float(name, low, high, sampling="log")
        for name, values in self.search.choices().items():
            ordered = not isinstance(values[0], str)
            hp.Choice(name, sorted(values) if ordered else values, ordered=ordered)

    def settings(
        self, values: Mapping[str, Any], epochs: int, execution: int = 0
    ) -> tuple[config_lib.ModelConfig, config_lib.TrainConfig]:
        """Return the settings of a trial.

        Args:
            values: Of what is searched; other names are left aside.
            epochs: Epochs in all.
            execution: 0-based number of the trial's training, which changes the seed.
        """
        searched = {**self.search.ranges(), **self.search.choices()}
        chosen = {name: values[name] for name in searched}
        if "filters" in chosen:
            chosen["filters"] = self.search.filter_sequences()[chosen["filters"]]
        rate = chosen.pop("learning_rate", self.train.learning_rate)
        train = attrs.evolve(
            self.train,
            epochs=epochs,
            learning_rate=rate,
            seed=settings_lib.later_seed(self.train.seed, execution),
        )
        return attrs.evolve(self.model, **chosen), train

    def build(self, hp: keras_tuner.HyperParameters) -> vae_lib.VAE:
        """Build and compile the model of some values, as KerasTuner's tuners do."""
        self.declare_hyperparameters(hp)
        return building.build(*self.settings(hp.values, self.train.epochs))
