"""Protocols: how figures were taken.

A figure means little without its protocol: which images it was taken on, prepared how,
how many, with which seed. Each figure of an evaluation names one of the evaluation's
protocols. What differs between models is no part of a protocol: weights, recomputed
batch norm and versions stand beside the figures.
"""

from collections.abc import Mapping, Sequence

from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation import wasserstein
from vae_prod.evaluation.features import extractor as extractor_lib
from vae_prod.evaluation.features import neighbourhoods

# Of all images; with latent noise; of the first images' sets; of the bound's samples;
# of the first images, by the judge and by what recognises them.
IMAGES, NOISE, DISTANCES, BOUND = "images", "noise", "distances", "bound"
JUDGE, RECOGNITION = "judge", "recognition"


def features(extractor: str) -> str:
    """Return the name of the protocol of an extractor's figures."""
    return f"features/{extractor}"


def protocols_of(
    measurements: measurements_lib.Measurements,
    images: Mapping,
    extractors: Sequence[extractor_lib.Extractor],
) -> dict[str, dict]:
    """Return the protocols that an evaluation's figures were taken under, by name.

    Args:
        measurements: What was taken.
        images: The data's part, such as split, crop and size.
        extractors: The feature extractors that were used, but for the judge.
    """
    settings, quality = measurements.settings, measurements.quality
    counted = {"num_images": quality.num_images, "images": measurements.images_digest}
    base = {**images, **counted}
    noise = {**base, "seed": settings.seed}
    protocols = {
        IMAGES: base,
        NOISE: noise,
        DISTANCES: {
            **noise,
            "distance_images": quality.distance_images,
            "normalised_by": wasserstein.NORMALISED_BY,
        },
    }
    if quality.importance_bound is not None:
        samples = settings.importance_samples
        protocols[BOUND] = {**noise, "importance_samples": samples}
    if recognised := measurements.recognised:
        protocols[RECOGNITION] = {
            **noise,
            "recognised_images": recognised.num_images,
            "recogniser": recognised.digest,
        }
    compared = {JUDGE: (measurements.judge, quality.judged)}
    for extractor in extractors:
        taken = measurements.features[extractor.name]
        compared[features(extractor.name)] = (extractor, taken)
    for name, (extractor, taken) in compared.items():
        protocols[name] = {
            **noise,
            "feature_images": taken.num_images,
            "extractor": extractor.digest,
            "extractor_kind": extractor.kind,
            "resizing": extractor.resizing,
            "neighbours": dict(neighbourhoods.NEIGHBOURS),
        }
    return protocols
