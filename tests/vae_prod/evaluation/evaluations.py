"""Evaluations of a tiny model, for tests of what is done with them."""

import functools

import attrs

from tests.vae_prod import tiny
from vae_prod.evaluation import evaluation_file, measurements, recognition
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import extractor as extractor_lib

IMAGES = {
    **{"data": "faces", "split": "test", "crop": "square", "resample": "lanczos"},
    "stored": "lossless",
}
MODEL = {"recompute_batch_norm": 0, "settings": attrs.asdict(tiny.config())}


def extractor(digest: str = "e" * 64) -> extractor_lib.Extractor:
    """Return an extractor of images' mean colours."""
    return extractor_lib.Extractor(
        "means", digest, "saved_model", "none", lambda images: images.mean(axis=(1, 2))
    )


def recogniser(digest: str = "f" * 64) -> recognition.Recogniser:
    """Return what takes brighter images than most for what it knows."""
    return recognition.Recogniser(
        "bright", digest, lambda images: (images.mean(axis=(1, 2, 3)) > 127) * 1.0
    )


@functools.cache
def measured() -> measurements.Measurements:
    """Return what an evaluation of a tiny VAE has taken, features too."""
    settings = measurements.EvaluationSettings(importance_samples=3)
    subject = subject_lib.Subject.from_model(tiny.model())
    return measurements.evaluate(
        subject,
        tiny.batches(),
        settings,
        extractors=[extractor()],
        recogniser=recogniser(),
    )


def evaluation(
    images=None,
    extractors=None,
    made_by="1.0",
    weights="best",
    changes=None,
    **settings,
) -> evaluation_file.Evaluation:
    """Return an evaluation of `measured`, changed as the arguments say."""
    base = attrs.evolve(measured(), **(changes or {}))
    return evaluation_file.from_measurements(
        attrs.evolve(base, settings=attrs.evolve(base.settings, **settings)),
        tiny.config(),
        IMAGES | (images or {}),
        [extractor()] if extractors is None else extractors,
        MODEL | {"weights": weights},
        {"vae_prod": made_by},
    )
