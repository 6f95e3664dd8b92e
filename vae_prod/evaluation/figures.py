"""The figures of an assessment by name, each with what it takes to read it."""

from collections.abc import Iterator

import attrs
import numpy as np

from vae_prod import config as config_lib
from vae_prod.config import figures as kinds
from vae_prod.evaluation import assessment as assessment_lib
from vae_prod.evaluation import wasserstein

# The protocols that figures are taken under, see `protocol`.
IMAGES, NOISE, DISTANCES, BOUND = "images", "noise", "distances", "bound"


def features(extractor: str) -> str:
    """Return the name of the protocol of an extractor's figures."""
    return f"features/{extractor}"


@attrs.frozen
class Figure:
    """One figure.

    Attributes:
        name: Its name in files.
        section: What it tells of.
        text: Its name in tables.
        value: None where it has no meaning.
        unit: Of the value; empty for a plain number.
        better: `higher` or `lower`; empty where neither is.
        protocol: Name of the protocol it was taken under.
    """

    name: str
    section: str
    text: str
    value: float | int | None
    unit: str
    better: str
    protocol: str


def of(
    assessment: assessment_lib.Assessment, config: config_lib.ModelConfig
) -> list[Figure]:
    """Return an assessment's figures, in the order to show them."""
    extractors = assessment.features
    sections = {
        "loss in the training convention": _losses(assessment),
        "likelihood at beta = 1": _likelihood(assessment, config),
        "reconstructions from z_mean": _reconstructions(assessment),
        "checkerboards, against real images": _checkerboards(assessment),
        "images of z ~ N(0, I)": _samples(assessment),
        **{f"the same, by {name}": _features(assessment, name) for name in extractors},
        "latent space": _latent(assessment),
    }
    return [Figure(row[0], s, *row[1:]) for s, rows in sections.items() for row in rows]


def _row(name: str, value: float | int | None, protocol: str) -> tuple:
    """Return a figure's row: what is known of it stands in `config.figures`."""
    kind = kinds.FIGURES[name]
    return name, kind.text, value, kind.unit, kind.better, protocol


def _losses(assessment) -> Iterator[tuple]:
    yield _row("total_loss", assessment.total_loss, NOISE)
    yield _row("reco_loss", assessment.reco_loss, NOISE)
    yield _row("kl_loss", assessment.kl_loss, IMAGES)


def _likelihood(assessment, config) -> Iterator[tuple]:
    quality = assessment.quality
    nats, bound = quality.reconstruction_nats, quality.importance_bound
    name, text, _, unit, better, protocol = _row("reconstruction_nats", nats, NOISE)
    if not config.likelihood.has_nats:
        text, unit = "squared error", ""
    yield name, text, nats, unit, better, protocol
    yield _row("kl", quality.kl, IMAGES)
    yield _row("elbo", quality.elbo, NOISE)
    yield _row("bits_per_dim", quality.bits_per_dim, NOISE)
    own_protocol = NOISE if bound is None else BOUND
    name, text, *others = _row("importance_bound", bound, own_protocol)
    yield name, f"{text}, K = {assessment.settings.importance_samples}", *others


def _reconstructions(assessment) -> Iterator[tuple]:
    quality = assessment.quality
    yield _row("mse", quality.mse, IMAGES)
    yield _row("psnr", quality.psnr, IMAGES)
    yield _row("ssim", assessment.ssim, IMAGES)
    yield _row("explained_variance", assessment.explained_variance, IMAGES)
    yield from _distance("reconstruction_distance", quality.reconstruction_distance)


def _distance(name: str, distance: wasserstein.Distance) -> Iterator[tuple]:
    yield _row(name, distance.mean, DISTANCES)
    _, _, _, *same = _row(name, None, DISTANCES)
    for size, value in distance.levels.items():
        yield f"{name}_{size}", f"at {size} pixels", value, *same


def _checkerboards(assessment) -> Iterator[tuple]:
    for board in assessment.checkerboards:
        name, text = f"checkerboard_{board.period}", f"of {board.period} pixels"
        yield (
            f"{name}_excess",
            f"{text}, excess",
            board.excess,
            "dB",
            kinds.LOWER,
            IMAGES,
        )
        yield f"{name}_energy", "energy", board.energy, "dB", kinds.NEITHER, IMAGES


def _samples(assessment) -> Iterator[tuple]:
    yield from _distance("sample_distance", assessment.quality.sample_distance)


def _features(assessment, extractor: str) -> Iterator[tuple]:
    for name in ("fid", "kid", "precision", "recall"):
        value = getattr(assessment.features[extractor], name)
        _, *row = _row(name, value, features(extractor))
        yield f"{extractor}/{name}", *row


def _latent(assessment) -> Iterator[tuple]:
    quality, dimensions = assessment.quality, assessment.dimensions
    mean, deviation = np.abs(dimensions.mean), dimensions.deviation
    log_var = assessment.posteriors.z_log_var
    yield _row("z_dim", quality.z_dim, IMAGES)
    yield _row("active_units", quality.active_units, IMAGES)
    yield _row("noise_share", dimensions.noise_share, IMAGES)
    yield _row("radius", quality.radius, IMAGES)
    yield _row("sampled_radius", quality.sampled_radius, NOISE)
    yield _row("prior_radius", quality.prior_radius, IMAGES)
    yield _row("z_log_var", log_var and log_var.mean, IMAGES)
    yield _row("mean_offset", float(mean.mean()), IMAGES)
    yield _row("largest_offset", float(mean.max()), IMAGES)
    yield _row("mean_deviation", float(deviation.mean()), IMAGES)
    yield _row("smallest_deviation", float(deviation.min()), IMAGES)
    yield _row("largest_deviation", float(deviation.max()), IMAGES)
