"""The figures of an assessment by name, each with what it takes to read it."""

from collections.abc import Iterator

import attrs
import numpy as np

from vae_prod import config as config_lib
from vae_prod.evaluation import assessment as assessment_lib
from vae_prod.evaluation import wasserstein

# The protocols that figures are taken under, see `protocol`.
IMAGES, NOISE, DISTANCES, BOUND = "images", "noise", "distances", "bound"
_HIGHER, _LOWER, _NEITHER = "higher", "lower", ""


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


def _losses(assessment) -> Iterator[tuple]:
    # What falls with fact ranks nothing.
    yield "total_loss", "total", assessment.total_loss, "", _NEITHER, NOISE
    yield "reco_loss", "reconstruction", assessment.reco_loss, "", _LOWER, NOISE
    yield "kl_loss", "KL times fact", assessment.kl_loss, "", _NEITHER, IMAGES


def _likelihood(assessment, config) -> Iterator[tuple]:
    quality, unit = assessment.quality, "nats/image"
    nats, bound = quality.reconstruction_nats, quality.importance_bound
    text, own = "reconstruction", unit
    if not config.likelihood.has_nats:
        text, own = "squared error", ""
    samples = f"weighted bound, K = {assessment.settings.importance_samples}"
    own_protocol = NOISE if bound is None else BOUND
    yield "reconstruction_nats", text, nats, own, _LOWER, NOISE
    yield "kl", "KL", quality.kl, unit, _NEITHER, IMAGES
    yield "elbo", "ELBO", quality.elbo, unit, _HIGHER, NOISE
    yield "bits_per_dim", "bits/dim", quality.bits_per_dim, "bits", _LOWER, NOISE
    yield "importance_bound", samples, bound, unit, _HIGHER, own_protocol


def _reconstructions(assessment) -> Iterator[tuple]:
    quality, explained = assessment.quality, assessment.explained_variance
    yield "mse", "MSE", quality.mse, "", _LOWER, IMAGES
    yield "psnr", "PSNR", quality.psnr, "dB", _HIGHER, IMAGES
    yield "ssim", "SSIM", assessment.ssim, "", _HIGHER, IMAGES
    yield "explained_variance", "explained variance", explained, "", _HIGHER, IMAGES
    yield from _distance("reconstruction_distance", quality.reconstruction_distance)


def _distance(name: str, distance: wasserstein.Distance) -> Iterator[tuple]:
    rest = "1/1000", _LOWER, DISTANCES
    yield name, "sliced Wasserstein distance", distance.mean, *rest
    for size, value in distance.levels.items():
        yield f"{name}_{size}", f"at {size} pixels", value, *rest


def _checkerboards(assessment) -> Iterator[tuple]:
    for board in assessment.checkerboards:
        name, text = f"checkerboard_{board.period}", f"of {board.period} pixels"
        yield f"{name}_excess", f"{text}, excess", board.excess, "dB", _LOWER, IMAGES
        yield f"{name}_energy", "energy", board.energy, "dB", _NEITHER, IMAGES


def _samples(assessment) -> Iterator[tuple]:
    yield from _distance("sample_distance", assessment.quality.sample_distance)


def _features(assessment, extractor: str) -> Iterator[tuple]:
    for name, text, better in (
        ("fid", "FID", _LOWER),
        ("kid", "KID", _LOWER),
        ("precision", "precision", _HIGHER),
        ("recall", "recall", _HIGHER),
    ):
        value = getattr(assessment.features[extractor], name)
        yield f"{extractor}/{name}", text, value, "", better, features(extractor)


def _latent(assessment) -> Iterator[tuple]:
    quality, dimensions = assessment.quality, assessment.dimensions
    mean, deviation = np.abs(dimensions.mean), dimensions.deviation
    log_var = assessment.posteriors.z_log_var
    for name, text, value, protocol in (
        ("z_dim", "dimensions", quality.z_dim, IMAGES),
        ("active_units", "active units", quality.active_units, IMAGES),
        ("noise_share", "noise's share of variance", dimensions.noise_share, IMAGES),
        ("radius", "mean |z_mean|", quality.radius, IMAGES),
        ("sampled_radius", "mean |z|", quality.sampled_radius, NOISE),
        ("prior_radius", "sqrt(z_dim)", quality.prior_radius, IMAGES),
        ("z_log_var", "mean z_log_var", log_var and log_var.mean, IMAGES),
        ("mean_offset", "|mean of z_j|, mean over j", float(mean.mean()), IMAGES),
        ("largest_offset", "largest", float(mean.max()), IMAGES),
        ("mean_deviation", "deviation of z_j, mean", float(deviation.mean()), IMAGES),
        ("smallest_deviation", "smallest", float(deviation.min()), IMAGES),
        ("largest_deviation", "largest", float(deviation.max()), IMAGES),
    ):
        yield name, text, value, "", _NEITHER, protocol
