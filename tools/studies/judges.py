"""Measures of how close a set of images is to real ones, each taken by a judge.

A judge knows the real images. What it measures of a set is named `JUDGE, FIGURE`, where
the figure's row in `config.figures` says which way is better.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from vae_prod.evaluation import judge as judge_lib
from vae_prod.evaluation import recognition, resampling, wasserstein
from vae_prod.evaluation.features import (
    built_in,
    extractor,
    face_network,
    frechet,
    kernel,
    neighbourhoods,
    scaling,
)


@attrs.frozen
class Judge:
    """Takes measures of a set of images, uint8 [N, H, W, C].

    Attributes:
        name: What it judges by.
        measure: From images to values by name.
    """

    name: str
    measure: Callable[[np.ndarray], Mapping[str, float]]


def panel(real: np.ndarray, seed: int) -> list[Judge]:
    """Return all judges there are, who know the real images, uint8 [N, H, W, C]."""
    shape = real.shape[1:]
    judges = [_by_features(built_in.load_gradients(shape), real, seed)]
    if judge_lib.shows_faces(real[: judge_lib.NUM_IMAGES])[0]:
        judges.append(_by_features(built_in.load_faces(shape), real, seed))
        judges.append(_by_recognition(recognition.load(face_network.NAME, shape)))
    return [*judges, _by_patches(real, seed)]


def judge_of(measure: str) -> str:
    """Return the judge's name of a measure's."""
    return measure.rpartition(", ")[0]


def kind_of(measure: str) -> str:
    """Return the figure's name of a measure's."""
    return measure.rpartition(", ")[2]


def _by_features(network: extractor.Extractor, real: np.ndarray, seed: int) -> Judge:
    known = network.features(real)
    weights = scaling.weights(known, network.groups)
    known = known * weights
    counts = _counts(len(real), seed)

    def measure(images):
        features = network.features(images) * weights
        density, coverage = neighbourhoods.density_coverage(features, known, counts)
        estimates = {
            "fid": frechet.frechet_distance(features, known, counts),
            "kid": kernel.kernel_distance(features, known, counts),
            "precision": neighbourhoods.share_among(features, known, counts),
            "recall": neighbourhoods.share_among(known, features, counts[::-1]),
            "density": density,
            "coverage": coverage,
        }
        return {f"{network.name}, {k}": e.value for k, e in estimates.items()}

    return Judge(network.name, measure)


def _counts(count: int, seed: int) -> Sequence[np.ndarray]:
    streams = (resampling.GENERATED, resampling.REAL)
    return [resampling.counts(seed, stream, 0, count) for stream in streams]


def _by_recognition(network: recognition.Recogniser) -> Judge:
    def measure(images):
        share = float(network.recognised(images).mean())
        return {f"{network.name} found, samples_recognised": share}

    return Judge(f"{network.name} found", measure)


def _by_patches(real: np.ndarray, seed: int) -> Judge:
    def patches(images, stream):
        cut = wasserstein.Patches(real.shape[1:], seed, stream=stream)
        for start in range(0, len(images), 100):
            cut.add(images[start : start + 100])
        return cut

    known = patches(real, resampling.REAL)

    def measure(images):
        given = patches(images, resampling.GENERATED)
        distance = wasserstein.distance(given, known, seed)
        return {"patches, sample_distance": distance.mean.value}

    return Judge("patches", measure)
