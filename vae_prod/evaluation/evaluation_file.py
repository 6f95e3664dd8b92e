"""An evaluation as a file: `evaluation/SPLIT.json`, written, read and checked."""

import json
import re
import typing
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from pipelines import documents
from vae_prod import config as config_lib
from vae_prod.evaluation import figures, protocol, resampling, verdict
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation.features import extractor as extractor_lib

_SCHEMA_VERSION = 2
# The version before had no intervals.
_WITHOUT_INTERVALS = 1
# A list of numbers over several lines; no text in JSON holds a line's end.
_NUMBERS = re.compile(r'\[\n[^\[\]{}"]*\]')


class Row(typing.TypedDict):
    """A figure, see `Evaluation`."""

    value: float | int | None
    interval: tuple[float, float] | None
    unit: str
    better: str
    text: str
    section: str
    protocol: str


class Settings(typing.TypedDict):
    """Those of a model's settings that are told of it."""

    mode: str
    reconstruction: str
    fact: float
    z_dim: int
    decoder: str


class Model(typing.TypedDict):
    """Which model it is: where it lies, its weights and its settings."""

    settings: Settings


class Images(typing.TypedDict):
    """Those of the protocol of images that are told."""

    data: str
    split: str
    num_images: int
    crop: str | None
    resample: str | None
    stored: str


class Verdict(typing.TypedDict):
    """As `verdict.Verdict` has it."""

    finding: str
    reasons: list[str]
    advice: str
    uncertain: str


class Copies(typing.TypedDict):
    """Those of the numbers of copies that are told in comparisons and cards."""

    samples: int
    held_out_images: int
    training_images: int
    copied: int
    nearer_to_training: float
    chance: tuple[float, float]
    training_duplicates: int
    held_out_duplicates: int


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

    model: Model
    made_by: dict[str, str]
    protocols: dict[str, dict]
    figures: dict[str, Row]
    per_dimension: dict[str, list[float]]
    posteriors: dict
    verdict: Verdict
    replicates: dict[str, list[float]] = attrs.field(
        validator=resampling.check_replicates
    )
    copies: Copies | None = None
    attribute_gaps: list[dict] | None = None
    schema_version: int = _SCHEMA_VERSION

    def estimate(self, name: str) -> resampling.Estimate | None:
        """Return a figure with its replicates; None where it has none."""
        if name not in self.replicates:
            return None
        replicates = np.array(self.replicates[name])
        value = self.figures[name]["value"]
        return None if value is None else resampling.Estimate(value, replicates)


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
        model=typing.cast(Model, model),
        made_by=made_by,
        protocols=protocol.protocols_of(measurements, images, extractors),
        figures={
            figure.name: typing.cast(
                Row,
                attrs.asdict(
                    figure, filter=attrs.filters.exclude("name", "replicates")
                ),
            )
            for figure in listed
        },
        per_dimension={name: getattr(dimensions, name).tolist() for name in names},
        posteriors=attrs.asdict(measurements.posteriors),
        verdict=typing.cast(
            Verdict, attrs.asdict(verdict.decide(measurements, config))
        ),
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
    return documents.load(
        path,
        Evaluation,
        "an evaluation made by tools.evaluate",
        "Evaluate again, or mend the path.",
        finite=False,
        change=_of_this_version,
    )


def _of_this_version(values: dict) -> dict:
    """Return what a file says, where it may be of the version before."""
    version = values.get("schema_version")
    if version == _WITHOUT_INTERVALS:
        values = _with_intervals(values)
    elif version != _SCHEMA_VERSION:
        raise ValueError(f"expected schema version {_SCHEMA_VERSION}, not {version!r}")
    protocols = documents.build(dict[str, dict], values.get("protocols"), "protocols")
    documents.build(Images, protocols.get("images"), "images")
    return values


def _with_intervals(values: dict) -> dict:
    """Return a file of the version before in this one's form; it has no intervals."""
    rows = documents.build(dict[str, dict], values.get("figures"), "figures")
    verdict_of = documents.build(dict, values.get("verdict"), "verdict")
    old = {name: {**row, "interval": None} for name, row in rows.items()}
    verdict_of = {**verdict_of, "uncertain": ""}
    changes = {"figures": old, "verdict": verdict_of, "replicates": {}}
    return values | changes | {"schema_version": _SCHEMA_VERSION}
