"""Settings of the studies themselves. Nothing here imports TensorFlow."""

import attrs
from attrs import validators

from pipelines import settings
from vae_prod.config import extractors

_at_least_two = settings.between(2, settings.LARGEST)
_all_positive = validators.deep_iterable(settings.above_zero)
_none_negative = validators.deep_iterable(settings.not_negative)


@attrs.frozen
class StudyConfig:
    """What the studies draw and measure."""

    rows: int = settings.setting(
        4, "Rows of a picture (pairs, for reconstructions).", settings.positive
    )
    columns: int = settings.setting(7, "Images of a row.", _at_least_two)
    measured_images: int = settings.setting(
        500,
        "Held-out images behind distances between sets of images, at most: the first "
        "ones. Only distances of as many images compare.",
        _at_least_two,
    )
    judge: str = settings.setting("auto", extractors.JUDGE_HELP)
    repeats: int = settings.setting(
        3,
        "Times that all random numbers are drawn anew, for the range over seeds.",
        settings.positive,
    )
    limits: tuple[float, ...] = settings.setting(
        (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 5.0, 8.0),
        "Values of R for samples uniform in [-R, R] per coordinate.",
        _all_positive,
        converter=tuple,
    )
    sharpness: tuple[float, ...] = settings.setting(
        (0.0, 3.0, 6.0, 7.0),
        "Factors of Pillow's sharpening; 1 is unchanged, 0 smooths.",
        _none_negative,
        converter=tuple,
    )
    facts: tuple[float, ...] = settings.setting(
        (0.05, 0.5, 1.5, 5.0, 15.0, 50.0),
        "Values of fact, for bce; other likelihoods have other useful "
        "ones (mse: a hundredth).",
        _all_positive,
        converter=tuple,
    )
    clusters: int = settings.setting(
        80,
        "Largest number of clusters; all even ones up to it are tried.",
        _at_least_two,
    )
    tsne_points: int = settings.setting(
        0,
        "Training images that t-SNE places, picked at random; 0: 5,000, "
        "or all if there are fewer.",
        settings.not_negative,
    )
    components: int = settings.setting(
        10, "Components of the Gaussian mixture.", settings.positive
    )
    second_stage_epochs: int = settings.setting(
        0,
        "Passes over the encoded images of a second VAE's training; 0: none is fitted.",
        settings.not_negative,
    )
    attributes: tuple[str, ...] = settings.setting(
        (),
        "Attributes to edit (labels: to go towards); in plots the first one tells "
        "points apart where there are no labels. Empty: some well-known ones.",
        converter=tuple,
    )
    strengths: tuple[float, ...] = settings.setting(
        (),
        "How often an attribute's vector is added; empty: -2 to 2, of labels 0 to 1.",
        validators.deep_iterable(settings.between(-settings.LARGEST, settings.LARGEST)),
        converter=tuple,
    )
