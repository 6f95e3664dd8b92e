"""What a study finds, and where it goes: figures, pictures, report, TensorBoard."""

import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines import files
from tools.studies import lab as lab_lib
from vae_prod.reporting import projector, report

REPORT, FIGURES = "report.html", "figures.json"
PICTURES, TENSORBOARD = "pictures", "tensorboard"
MARK = "study.json"


@attrs.frozen
class Outcome:
    """What a study found.

    Attributes:
        summary: What it shows, in a sentence or two.
        sections: What it found, for people.
        figures: The same for programs: numbers, texts, lists and dicts of them.
        runs: The runs it looked at, by name.
        points: What TensorBoard's embedding projector shows.
    """

    summary: str
    sections: Sequence[report.Section]
    figures: dict
    runs: Mapping[str, lab_lib.Opened]
    points: projector.Points | None = None


def begin(study: str, out: str) -> None:
    """Mark a folder as a study's.

    Raises:
        UserError: It is another study's.
    """
    path = os.path.join(out, MARK)
    text = json.dumps({"study": study}) + "\n"
    if os.path.exists(path):
        with open(path, "rb") as file:
            other = file.read()
        if other != text.encode():
            raise files.UserError(
                f"Expected a new folder or one of the study {study} as --out, {out} "
                f"holds another ({other.decode(errors='replace').strip()}). Choose "
                "another --out."
            )
    files.write(path, text)


def publish(outcome: Outcome, title: str, out: str) -> str:
    """Write `report.html`, `figures.json`, `pictures/` and `tensorboard/`.

    An earlier outcome is replaced. The report comes last: where it is, all of it is.

    Args:
        outcome: What was found.
        title: Title of its report.
        out: The study's folder.

    Returns:
        The report's path.
    """
    page = report.Report(title, outcome.summary, outcome.sections)
    with files.new_folder(os.path.join(out, PICTURES)) as folder:
        for picture in page.pictures():
            with open(os.path.join(folder, f"{picture.name}.png"), "wb") as file:
                file.write(picture.png)
    text = json.dumps(_plain(outcome.figures), indent=1)
    files.write(os.path.join(out, FIGURES), f"{text}\n")
    _to_tensorboard(page, outcome, os.path.join(out, TENSORBOARD))
    path = os.path.join(out, REPORT)
    page.write(path)
    return path


def _plain(value):
    """Return a figure as JSON has it: numbers that aren't finite are null."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _to_tensorboard(page: report.Report, outcome: Outcome, directory: str) -> None:
    """Write figures and pictures as events, in place of an earlier outcome's."""
    with files.new_folder(directory) as folder:
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default():
            tf.summary.text("summary", f"{page.title}: {page.summary}", 0)
            for name, value in _numbers(_plain(outcome.figures)):
                tf.summary.scalar(name, value, 0)
            for picture in page.pictures():
                image = Image.open(io.BytesIO(picture.png)).convert("RGB")
                tf.summary.image(picture.name, np.asarray(image)[None], 0)
        writer.close()
        if outcome.points is not None:
            outcome.points.write(folder)


def _numbers(figures: dict, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Give every number among the figures, with its name from the top."""
    for name, value in figures.items():
        path = prefix + re.sub(r"[^\w.-]", "_", str(name))
        if isinstance(value, dict):
            yield from _numbers(value, f"{path}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path, float(value)
