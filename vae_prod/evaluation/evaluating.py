"""A model's evaluation: its figures taken in one pass, in the form that is kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata

import attrs
import tensorflow as tf

from vae_prod.evaluation import evaluation_file, measurements, recognition
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import extractor as extractor_lib

_PACKAGES = ("vae_prod", "tensorflow", "keras")


def evaluate(
    subject: subject_lib.Subject,
    batches: Iterable[dict[str, tf.Tensor]],
    images: Mapping,
    model: Mapping,
    settings: measurements.EvaluationSettings,
    *,
    judge: extractor_lib.Extractor,
    extractors: Sequence[extractor_lib.Extractor] = (),
    recogniser: recognition.Recogniser | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
    beside: Sequence[measurements.Part] = (),
) -> evaluation_file.Evaluation:
    """Evaluate a model on held-out images.

    Args:
        subject: The trained model.
        batches: Held-out images, each once.
        images: The data's part of the protocols, such as split, crop and size.
        model: Which model it is and where it lies; its digest and settings are added.
        settings: What to take.
        judge: See `measurements.evaluate`, as for the rest.
        extractors: The same.
        recogniser: The same.
        on_progress: The same.
        beside: The same.

    Raises:
        UserError: There are too few images, or the figures aren't finite.
    """
    measured = measurements.evaluate(
        subject,
        batches,
        settings,
        judge=judge,
        extractors=extractors,
        recogniser=recogniser,
        on_progress=on_progress,
        beside=beside,
    )
    known = {
        "weights_digest": subject.codec.weights_digest(),
        "settings": attrs.asdict(subject.config),
    }
    return evaluation_file.from_measurements(
        measured,
        subject.config,
        images,
        extractors,
        dict(model) | known,
        {name: metadata.version(name) for name in _PACKAGES},
    )
