"""Evaluations as files: figures, how they were taken, and whether two of them compare.

A figure means little without its protocol: which images it was taken on, prepared how,
how many, with which seed. Each figure of a file names one of the file's protocols, and
`check_alike` refuses to compare files in which a protocol of the same name differs.
What differs between models is no part of a protocol: weights, recomputed batch norm
and versions stand beside the figures, and `notes` tells them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import attrs

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.evaluation import assessment as assessment_lib
from vae_prod.evaluation import extractors as extractors_lib
from vae_prod.evaluation import figures, verdict

_SCHEMA_VERSION = 1


@attrs.frozen
class Evaluation:
    """What is known of one model on one split, as it stands in a file.

    Attributes:
        model: Which model: where it lies, its weights and its settings.
        made_by: Versions of the packages.
        protocols: Name to how figures were taken.
        figures: Name to `value`, `unit`, `better`, `text`, `section` and `protocol`.
        per_dimension: Name to one number a latent dimension.
        posteriors: The table of z against z_mean, see `posterior_table.Table`.
        verdict: See `verdict.Verdict`.
        schema_version: Version of this form.
    """

    model: dict
    made_by: dict[str, str]
    protocols: dict[str, dict]
    figures: dict[str, dict]
    per_dimension: dict[str, list[float]]
    posteriors: dict
    verdict: dict
    schema_version: int = _SCHEMA_VERSION


def evaluation(
    assessment: assessment_lib.Assessment,
    config: config_lib.ModelConfig,
    images: Mapping,
    extractors: Sequence[extractors_lib.Extractor],
    model: dict,
    made_by: dict[str, str],
) -> Evaluation:
    """Put an assessment in the form of a file.

    Args:
        assessment: The figures.
        config: What the model computes.
        images: The data's part of the protocols, such as split, crop and size.
        extractors: Those that were used.
        model: Which model.
        made_by: Versions of the packages.
    """
    listed = figures.of(assessment, config)
    dimensions = assessment.dimensions
    names = ("kl", "mean", "deviation", "spread", "noise")
    return Evaluation(
        model=model,
        made_by=made_by,
        protocols=_protocols(assessment, images, extractors),
        figures={
            each.name: attrs.asdict(each, filter=attrs.filters.exclude("name"))
            for each in listed
        },
        per_dimension={name: getattr(dimensions, name).tolist() for name in names},
        posteriors=attrs.asdict(assessment.posteriors),
        verdict=attrs.asdict(verdict.judge(assessment, config)),
    )


def _protocols(
    assessment: assessment_lib.Assessment,
    images: Mapping,
    extractors: Sequence[extractors_lib.Extractor],
) -> dict[str, dict]:
    settings, quality = assessment.settings, assessment.quality
    counted = {"num_images": quality.num_images, "images": assessment.images_digest}
    base = {**images, **counted}
    noise = {**base, "seed": settings.seed}
    protocols = {
        figures.IMAGES: base,
        figures.NOISE: noise,
        figures.DISTANCES: {**noise, "distance_images": quality.distance_images},
    }
    if quality.importance_bound is not None:
        samples = settings.importance_samples
        protocols[figures.BOUND] = {**noise, "importance_samples": samples}
    for each in extractors:
        protocols[figures.features(each.name)] = {
            **noise,
            "feature_images": assessment.features[each.name].num_images,
            "extractor": each.digest,
            "extractor_size": each.size and list(each.size),
        }
    return protocols


def to_text(evaluation: Evaluation) -> str:
    """Return the file's text."""
    return json.dumps(attrs.asdict(evaluation), indent=1) + "\n"


def load(path: str) -> Evaluation:
    """Read an evaluation.

    Raises:
        UserError: There is none, or it can't be read.
    """
    try:
        with open(path) as file:
            values = json.load(file)
        if values["schema_version"] == _SCHEMA_VERSION:
            return Evaluation(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise files.UserError(
            f"Expected an evaluation made by tools.evaluate in {path}, it can't be "
            f"read: {error}"
        ) from error
    raise files.UserError(
        f"Expected an evaluation of schema version {_SCHEMA_VERSION} in {path}, "
        f"received version {values['schema_version']}. Evaluate again."
    )


def check_alike(evaluations: Mapping[str, Evaluation]) -> None:
    """Refuse to compare figures that were taken in different ways.

    Args:
        evaluations: Path to evaluation, two or more. A protocol that some of them
            haven't is no hindrance: its figures are missing there.

    Raises:
        UserError: Naming what differs.
    """
    (first, one), *others = evaluations.items()
    for path, other in others:
        if differences := list(_differences(one.protocols, other.protocols)):
            raise files.UserError(
                f"Expected evaluations taken alike, {first} and {path} differ in "
                f"{', '.join(differences)}. Evaluate both in the same way."
            )


def _differences(first: dict[str, dict], second: dict[str, dict]) -> Iterator[str]:
    told = set()
    for protocol in (name for name in first if name in second):
        one, other = first[protocol], second[protocol]
        for name in {**one, **other}:
            values = one.get(name), other.get(name)
            if values[0] != values[1] and name not in told:
                told.add(name)
                yield f"{name} ({_shown(values[0])} and {_shown(values[1])})"


def _shown(value) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text  # A digest.


def notes(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return how models were taken or measured differently, though comparably."""
    lines = []
    for name in ("weights", "recompute_batch_norm"):
        values = [each.model.get(name) for each in evaluations.values()]
        if len(set(map(str, values))) > 1:
            lines.append(f"{name}: {', '.join(map(_shown, values))}")
    versions = [each.made_by for each in evaluations.values()]
    for name in versions[0]:
        values = [each.get(name) for each in versions]
        if len(set(values)) > 1:
            lines.append(f"made by {name} {', '.join(map(_shown, values))}")
    return lines
