"""What a hyperparameter search tries, and what it ranks by."""

import attrs
from attrs import validators

from pipelines import settings
from vae_prod.config import decoders, extractors, figures
from vae_prod.config import likelihoods as likelihoods_lib
from vae_prod.config import model as model_lib

# Figures that a search can rank by.
OBJECTIVES = (
    *("frechet", "sample_frechet", "reconstruction_frechet", "psnr"),
    *("distance", "sample_distance", "reconstruction_distance"),
    *("reconstruction_nats", "elbo", "bits_per_dim", "importance_bound"),
    "total_loss",
)


def _range(default, text):
    rule = validators.deep_iterable(settings.above_zero)
    return settings.setting(default, text, rule, converter=settings.as_tuple)


def _choices(default, text, *rules):
    rule = [validators.deep_iterable(rule) for rule in rules]
    return settings.setting(default, text, *rule, converter=settings.as_tuple)


@attrs.frozen
class SearchConfig:
    """The space of a search, its method and its objective."""

    tuner: str = settings.setting(
        "hyperband",
        "hyperband: many short trials, of which the best are trained on; bayesian: a "
        "Gaussian process suggests the next trial; random.",
        validators.in_(("hyperband", "bayesian", "random")),
    )
    objective: str = settings.setting(
        "frechet",
        "What ranks the trials, measured on the validation split. frechet: "
        "sample_frechet + reconstruction_distance_weight x reconstruction_frechet, "
        "distances in the features of --judge; distance: the same of sliced "
        "Wasserstein distances, which take noise and hard contrasts for detail; "
        "total_loss falls with fact by construction, so it can't compare models of "
        "different fact.",
        validators.in_(OBJECTIVES),
    )
    judge: str = settings.setting("auto", extractors.JUDGE_HELP)
    reconstruction_distance_weight: float = settings.setting(
        1.0,
        "Weight of the reconstructions in the objectives frechet and distance; above "
        "1, detail of reconstructions counts for more than random samples.",
        settings.not_negative,
    )
    max_trials: int = settings.setting(
        0,
        "Most trials; 0: as many as Hyperband makes of max_epochs, else 20.",
        settings.not_negative,
        may_change=True,
    )
    max_epochs: int = settings.setting(
        0, "Epochs of the longest trial; 0: those of --epochs.", settings.not_negative
    )
    executions_per_trial: int = settings.setting(
        1,
        "Trainings of each trial, with seeds of their own, whose figures are averaged.",
        settings.positive,
    )
    hyperband_factor: int = settings.setting(
        3,
        "Hyperband trains the best one in this many trials on, for as many times the "
        "epochs.",
        settings.between(2, settings.LARGEST),
    )
    hyperband_iterations: int = settings.setting(
        1, "Times that Hyperband runs all its brackets.", settings.positive
    )
    search_fact: tuple[float, ...] = _range(
        (0.05, 20.0),
        "Lowest and highest fact, searched on a log scale; empty: --fact.",
    )
    search_learning_rate: tuple[float, ...] = _range(
        (),
        "Lowest and highest learning rate, searched on a log scale; empty: "
        "--learning_rate.",
    )
    search_z_dim: tuple[int, ...] = _choices(
        (32, 64, 128, 256),
        "Latent dimensions to try; empty: --z_dim.",
        settings.positive,
    )
    search_filters: tuple[str, ...] = _choices(
        ("narrow:16-32-64-128", "wide:32-64-128-256"),
        "Filters to try, each NAME:16-32-64-128 or 16-32-64-128; empty: --filters.",
    )
    search_decoder: tuple[str, ...] = _choices(
        tuple(decoders.DECODERS), "Decoders to try; empty: --decoder."
    )
    search_blocks: tuple[str, ...] = _choices(
        (), "Blocks to try, such as plain,residual; empty: --blocks."
    )
    search_encoder_dense: tuple[int, ...] = _choices(
        (),
        "Units of the dense layer before the latent heads to try; empty: "
        "--encoder_dense.",
        settings.not_negative,
    )
    search_reconstruction: tuple[str, ...] = _choices(
        (),
        "Likelihoods to try; empty: --reconstruction. fact has another useful range "
        "for mse than for the others.",
    )
    distance_images: int = settings.setting(
        2000,
        "Validation images behind distances, the same number for all trials; all "
        "if there are fewer.",
        settings.positive,
    )
    importance_samples: int = settings.setting(
        0,
        "Samples an image of the importance-weighted bound, each as much work as "
        "decoding the validation split; 0: no bound.",
        settings.not_negative,
    )
    measure_batch_norm: int = settings.setting(
        20,
        "Training batches over which batch-norm statistics are recomputed before a "
        "trial is measured; 0: the moving statistics, which lag in short trials.",
        settings.not_negative,
    )
    max_failed_in_a_row: int = settings.setting(
        10,
        "Failed trials in a row that end the search; 0: they never do.",
        settings.not_negative,
        may_change=True,
    )

    def __attrs_post_init__(self) -> None:
        for name in ("search_fact", "search_learning_rate"):
            self._check_range(name)
        for name in _SEARCHED:
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(
                    f"'{name}' must name each value once, received {values}."
                )
        if not any(getattr(self, name) for name in _SEARCHED):
            raise ValueError(
                "At least one search_* setting must hold values, received only empty "
                "ones: nothing to search."
            )
        self.filter_sequences()
        if self.objective == "importance_bound" and not self.importance_samples:
            raise ValueError(
                "'importance_samples' must be at least 1 for "
                "objective=importance_bound, received 0."
            )

    def _check_range(self, name: str) -> None:
        values = getattr(self, name)
        if not values:
            return
        if len(values) != 2 or values[0] >= values[1]:
            raise ValueError(
                f"'{name}' must hold a lowest and a highest value, lowest < "
                f"highest, received {values}."
            )

    def filter_sequences(self) -> dict[str, tuple[int, ...]]:
        """Return the filters to try by name.

        Raises:
            ValueError: One of them can't be read, or two have the same name.
        """
        sequences = {}
        for text in self.search_filters:
            name, _, numbers = text.rpartition(":")
            try:
                sequence = tuple(int(number) for number in numbers.split("-"))
            except ValueError as error:
                raise ValueError(
                    "'search_filters' must hold sequences such as 16-32-64 or "
                    f"small:16-32-64, received {text!r}."
                ) from error
            if (name or numbers) in sequences:
                raise ValueError(
                    f"'search_filters' must name each sequence once, received "
                    f"{name or numbers!r} twice."
                )
            sequences[name or numbers] = sequence
        return sequences

    def choices(self) -> dict[str, tuple]:
        """Return what is chosen from, by the model's setting; filters by name."""
        names = (
            *("z_dim", "filters", "decoder", "blocks", "encoder_dense"),
            "reconstruction",
        )
        settings_by_name = {name: getattr(self, f"search_{name}") for name in names}
        settings_by_name["filters"] = tuple(self.filter_sequences())
        return {name: values for name, values in settings_by_name.items() if values}

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return what is drawn from between two values, on a log scale."""
        settings_by_name = {name: getattr(self, f"search_{name}") for name in _RANGES}
        return {name: values for name, values in settings_by_name.items() if values}

    @property
    def minimize(self) -> bool:
        """Whether the objective is better when lower."""
        return figures.FIGURES[self.objective].minimize


_RANGES = ("fact", "learning_rate")
_SEARCHED = tuple(
    name for name in attrs.fields_dict(SearchConfig) if name.startswith("search_")
)


def check_space(search: SearchConfig, model: model_lib.ModelConfig) -> None:
    """Refuse a space with models that can't be built or can't be ranked.

    Args:
        search: The space.
        model: The settings that aren't searched, and the image's shape.

    Raises:
        ValueError: Naming the setting.
    """
    if not model.has_divergence and search.search_fact:
        raise ValueError(
            "'search_fact' must be empty with mode=ae, which has no KL loss, received "
            f"{search.search_fact}."
        )
    _check_objective(search, model)
    for name, values in search.choices().items():
        for value in values:
            changed = {name: value}
            if name == "filters":
                changed = {name: search.filter_sequences()[value]}
            try:
                attrs.evolve(model, **changed)
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"'search_{name}' holds {value}, of which no model can be made: "
                    f"{error.args[0]}"
                ) from error


def _check_objective(search: SearchConfig, model: model_lib.ModelConfig) -> None:
    likelihoods = search.search_reconstruction or (model.reconstruction,)
    trait = figures.FIGURES[search.objective].needs
    if trait == figures.KL_LOSS:
        if not model.has_kl_loss:
            raise ValueError(
                f"'objective' must have a value for every trial: {search.objective} "
                f"needs divergence=kl, received divergence={model.divergence}."
            )
        trait = ""
    allowed = likelihoods_lib.with_trait(trait) if trait else ()
    if trait and (model.mode == "ae" or not set(likelihoods) <= set(allowed)):
        raise ValueError(
            f"'objective' must have a value for every trial: {search.objective} needs "
            f"mode=vae and reconstruction among {', '.join(allowed)}, received "
            f"mode={model.mode} and {', '.join(likelihoods)}."
        )
    compared = trait or search.objective in ("reconstruction_nats", "total_loss")
    if compared and len(likelihoods) > 1:
        raise ValueError(
            f"'objective' must mean the same for every trial: {search.objective} "
            "doesn't between several likelihoods. Take frechet or psnr, or leave "
            "'search_reconstruction' empty."
        )
