"""A latent space of two dimensions, of an autoencoder and of a VAE, by label.

Two dimensions can be looked at whole: where the classes are, where nothing is, and what
the decoder makes of every place.
"""

from collections.abc import Sequence

import attrs
import numpy as np

from pipelines.reading import dataset
from tools import flags
from tools.studies import (
    annotations,
    encodings,
    losses,
    outcome,
    pictures,
    reconstruction,
)
from tools.studies import lab as lab_lib
from vae_prod.latent import sampling, statistics
from vae_prod.reporting import plane_charts, report

_POINTS = 5000
_SIDE = 20
_SAMPLES = 12
# The box that is decoded is cut into so many cells a side, to see how many are used.
_CELLS = 20


@attrs.frozen(eq=False)
class _Plane:
    """A run's encoded images on their plane.

    Attributes:
        run: The run.
        points: float32 [N, 2], z_mean of training images.
        labels: int [N].
        names: Of the classes.
    """

    run: lab_lib.Opened
    points: np.ndarray
    labels: np.ndarray
    names: Sequence[str]


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train both and draw their planes."""
    if lab.model.z_dim != 2:
        raise flags.UsageError(
            f"--study=plane draws two dimensions, received --z_dim={lab.model.z_dim}. "
            "Leave it out."
        )
    opened = lab.train_and_open({"ae": {"mode": "ae"}, "vae": {"mode": "vae"}})
    planes = {name: _plane(lab, run) for name, run in opened.items()}
    return outcome.Outcome(
        "A latent space of two dimensions, looked at whole: of an autoencoder, which "
        "puts images wherever it likes, and of a VAE, whose KL loss brings them near "
        "N(0, I).",
        [
            report.Section("What to see", _comparison(planes)),
            *(_section(lab, name, plane) for name, plane in planes.items()),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            name: {**_figures(plane), "losses": losses.figures(plane.run)}
            for name, plane in planes.items()
        },
        opened,
    )


def _plane(lab: lab_lib.Lab, run: lab_lib.Opened) -> _Plane:
    encoding = encodings.encode(lab, run, dataset.TRAIN_SPLIT)
    total = len(encoding.z_mean)
    rows = statistics.choose_rows(
        total, min(_POINTS, total), lab.train.seed, "the plane"
    )
    labels, names, _ = annotations.classes(lab, encoding, rows)
    return _Plane(run, np.asarray(encoding.z_mean[rows]), labels, names)


def _axes(plane: _Plane) -> tuple[np.ndarray, np.ndarray]:
    """Return the values to decode: the prior's quantiles, or those the images span."""
    if plane.run.run.model.is_vae:
        quantiles = sampling.normal_quantiles(_SIDE)
        return quantiles, quantiles
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    return tuple(np.linspace(*ends, _SIDE) for ends in zip(low, high, strict=True))


def _random(lab: lab_lib.Lab, plane: _Plane) -> np.ndarray:
    """Draw points: of N(0, I), or evenly from the box that the images span."""
    seeds = lab.seeds(_SAMPLES)
    if plane.run.run.model.is_vae:
        return np.asarray(sampling.prior(seeds, 2))
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    shares = np.asarray(sampling.uniform(seeds, 2, 0.5)) + 0.5
    return (low + shares * (high - low)).astype(np.float32)


def _used(plane: _Plane) -> float:
    """Return the share of the cells of the decoded box that hold an image."""
    across, up = _axes(plane)
    box = [(across[0], across[-1]), (up[0], up[-1])]
    counts, _, _ = np.histogram2d(*plane.points.T, bins=_CELLS, range=box)
    return float(np.mean(counts > 0))


def _figures(plane: _Plane) -> dict:
    radius = np.linalg.norm(plane.points, axis=1)
    return {
        "deviation_1": float(plane.points[:, 0].std()),
        "deviation_2": float(plane.points[:, 1].std()),
        "mean_1": float(plane.points[:, 0].mean()),
        "mean_2": float(plane.points[:, 1].mean()),
        "largest_radius": float(radius.max()),
        "cells_used": _used(plane),
    }


def _comparison(planes: dict[str, _Plane]) -> list[report.Part]:
    figures = {name: _figures(plane) for name, plane in planes.items()}
    said = {
        "mean_1": "mean of z 1",
        "mean_2": "mean of z 2",
        "deviation_1": "deviation of z 1",
        "deviation_2": "deviation of z 2",
        "largest_radius": "largest |z|",
        "cells_used": "share of cells with images",
    }
    rows = [[text, *(f[key] for f in figures.values())] for key, text in said.items()]
    caption = (
        f"z_mean of training images; cells: {_CELLS} x {_CELLS} of the box that is "
        "decoded below."
    )
    wide = {name: of_run["largest_radius"] for name, of_run in figures.items()}
    return [
        report.Verdict(
            f"The autoencoder's images reach out to |z| = {wide['ae']:.1f} and fill "
            f"{figures['ae']['cells_used']:.0%} of their box; the VAE's reach "
            f"{wide['vae']:.1f} and fill {figures['vae']['cells_used']:.0%} of the "
            "prior's."
        ),
        report.Table(["z_mean", *figures], rows, caption),
    ]


def _section(lab, name: str, plane: _Plane) -> report.Section:
    is_vae = plane.run.run.model.is_vae
    across, up = _axes(plane)
    decoded = plane.run.codec.decode_many(sampling.plane(across, up))
    samples = _random(lab, plane)
    labelled = plane.points, plane.labels, plane.names
    where = "the prior's quantiles" if is_vae else "the box that the images span"
    sheets = {
        "scatter": (
            plane_charts.scatter(*labelled),
            "z_mean of training images, by class.",
        ),
        "p_values": (
            plane_charts.p_values(*labelled),
            "The same through the normal distribution function: N(0, I) would fill the "
            "square evenly.",
        ),
        "decoded": (
            plane_charts.decoded_plane(decoded, across, up),
            f"Decoded over {where}.",
        ),
        "samples": (
            plane_charts.samples(
                plane.points,
                samples,
                plane.run.codec.decode_many(samples),
                plane.labels,
                plane.names,
            ),
            "Random points and what they decode to: "
            + ("z ~ N(0, I)." if is_vae else "even over the box."),
        ),
    }
    drawn = [
        pictures.chart(f"{name}_{kind}", sheet, caption)
        for kind, (sheet, caption) in sheets.items()
    ]
    back = reconstruction.picture(
        lab, plane.run, lab.held_out, f"{name}_reconstructions"
    )
    heading = "VAE" if is_vae else "Autoencoder"
    return report.Section(heading, [*drawn, back])
