"""An evaluation as a file: `evaluation/SPLIT.json`, written, read and checked."""

import json
import re
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.evaluation import figures, protocol, resampling, verdict
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation.features import extractor as extractor_lib

_SCHEMA_VERSION = 2
# The version before had no intervals.
_WITHOUT_INTERVALS = 1
# A list of numbers over several lines; no text in JSON holds a line's end.
_NUMBERS = re.compile(r'\[\n[^\[\]{}"]*\]')


@attrs.frozen
class Evaluation:
    """What is known of one model on one split, as it stands in a file.

    Attributes:
        model: Which model: where it lies, its weights and its settings.
        made_by: Versions of the packages.
        protocols: Name to how figures were taken.
        figures: Name to `value`, `interval` (lowest and highest of 95 %; None where
            it isn't known), `unit`, `better`, `text`, `section` and `protocol`.
        per_dimension: Name to one number a latent dimension.
        posteriors: The table of z against z_mean, see `posterior_table.Table`.
        verdict: See `verdict.Verdict`.
        replicates: Name of a figure to its replicates, see `resampling.Estimate`, to
            six digits; of figures with an interval.
        copies: What was copied of the training images, see `sections.copies`; None
            where nobody looked.
        attribute_gaps: What attributes go with, see `sections.gaps`; None where the
            images have none.
        schema_version: Version of this form.
    """

    model: dict
    made_by: dict[str, str]
    protocols: dict[str, dict]
    figures: dict[str, dict]
    per_dimension: dict[str, list[float]]
    posteriors: dict
    verdict: dict
    replicates: dict[str, list[float]]
    copies: dict | None = None
    attribute_gaps: list[dict] | None = None
    schema_version: int = _SCHEMA_VERSION

    def estimate(self, name: str) -> resampling.Estimate | None:
        """Return a figure with its replicates; None where it has none."""
        if name not in self.replicates:
            return None
        replicates = np.array(self.replicates[name])
        return resampling.Estimate(self.figures[name]["value"], replicates)


def from_measurements(
    measurements: measurements_lib.Measurements,
    config: config_lib.ModelConfig,
    images: Mapping,
    extractors: Sequence[extractor_lib.Extractor],
    model: dict,
    made_by: dict[str, str],
) -> Evaluation:
    """Put what an evaluation has taken in the form of a file.

    Args:
        measurements: What was taken.
        config: What the model computes.
        images: The data's part of the protocols, such as split, crop and size.
        extractors: Those that were used, but for the judge.
        model: Which model.
        made_by: Versions of the packages.
    """
    listed = figures.list_figures(measurements, config)
    dimensions = measurements.dimensions
    names = ("kl", "mean", "deviation", "spread", "noise")
    return Evaluation(
        model=model,
        made_by=made_by,
        protocols=protocol.protocols_of(measurements, images, extractors),
        figures={
            figure.name: attrs.asdict(
                figure, filter=attrs.filters.exclude("name", "replicates")
            )
            for figure in listed
        },
        per_dimension={name: getattr(dimensions, name).tolist() for name in names},
        posteriors=attrs.asdict(measurements.posteriors),
        verdict=attrs.asdict(verdict.decide(measurements, config)),
        replicates={
            figure.name: resampling.rounded(figure.replicates)
            for figure in listed
            if figure.replicates is not None
        },
    )


def to_text(evaluation: Evaluation) -> str:
    """Return the file's text, where a list of numbers is one line."""
    text = json.dumps(attrs.asdict(evaluation), indent=1) + "\n"
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)


def load(path: str) -> Evaluation:
    """Read an evaluation.

    Raises:
        UserError: There is none, or it can't be read.
    """
    try:
        with open(path) as file:
            values = json.load(file)
        if values["schema_version"] == _WITHOUT_INTERVALS:
            values = _with_intervals(values)
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


def _with_intervals(values: dict) -> dict:
    """Return a file of the version before in this one's form; it has no intervals."""
    old = {name: {**row, "interval": None} for name, row in values["figures"].items()}
    verdict_of = {**values["verdict"], "uncertain": ""}
    changes = {"figures": old, "verdict": verdict_of, "replicates": {}}
    return values | changes | {"schema_version": _SCHEMA_VERSION}
