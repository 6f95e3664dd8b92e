"""Copies and gaps between attributes, as sections of a report."""

import attrs
import numpy as np

from pipelines.reading import dataset
from tools import evaluating
from tools.studies import lab as lab_lib
from tools.studies import pictures
from vae_prod.evaluation import attribute_gaps, held_out, memorisation, sections
from vae_prod.reporting import charts, report

# Pairs of a sample and a training image that are shown.
_PAIRS = 8


def parts(
    lab: lab_lib.Lab, opened: lab_lib.Opened, beside: evaluating.Beside
) -> tuple[list[report.Section], dict | None, list[dict] | None]:
    """Tell what an evaluation took beside its figures, after its images were seen.

    Returns:
        The report's sections, and copies and gaps as `sections` has them.
    """
    copies, gaps = beside.copies(), beside.gaps()
    about = [report.Text(beside.note)] if beside.note else []
    if copies:
        about = [*_copies(lab, opened, copies), *about]
    told = [report.Section("Copies", about)]
    if gaps:
        told.append(report.Section("Attributes", [_gaps(gaps)]))
    return (
        told,
        copies and sections.copies(copies),
        None if gaps is None else sections.gaps(gaps),
    )


def _copies(
    lab: lab_lib.Lab,
    opened: lab_lib.Opened,
    copies: memorisation.Memorisation,
) -> list[report.Part]:
    columns = ["", "value"]
    rows = [list(row) for row in sections.copies_rows(sections.copies(copies))]
    caption = f"Looked for among {copies.num_training:,} training images."
    return [report.Table(columns, rows, caption), _pairs(lab, opened, copies)]


def _pairs(
    lab: lab_lib.Lab, opened: lab_lib.Opened, copies: memorisation.Memorisation
) -> report.Picture:
    """Show the samples that are nearest to a training image, above these."""
    numbers = copies.distances.argsort(kind="stable")[:_PAIRS]
    drawn = held_out.samples(opened.codec, lab.train.seed, numbers)
    training = dataset.examples(
        lab.data_dir,
        lab.manifest,
        dataset.TRAIN_SPLIT,
        np.asarray(copies.nearest[numbers]),
        attrs.evolve(opened.run.data, corruption="none"),
    )
    caption = (
        "Above, the images of random z that are nearest to a training image; below, "
        "that image."
    )
    return pictures.pairs(
        "nearest_training", len(numbers), caption, drawn, training["image"]
    )


def _gaps(gaps: list[attribute_gaps.Gap]) -> report.Picture:
    chart = charts.intervals(
        {gap.name: (gap.gap, gap.low, gap.high) for gap in gaps},
        "PSNR with it less without (dB)",
    )
    caption = (
        "Reconstructions of images with an attribute against those of images without "
        "it, with intervals of 95 %; left of 0 they are worse. Attributes that fewer "
        f"than {attribute_gaps.FEWEST} images have, or haven't, are left out."
    )
    return pictures.chart("attribute_gaps", chart, caption)
