"""Images of random z: normal, uniform in growing boxes, sharpened."""

import numpy as np

from tools.studies import distances, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.latent import sampling
from vae_prod.reporting import charts, image_grids, report

_TRAINING = "training images"
_NORMAL = "normal"


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Decode points of N(0, I) and of boxes, and say how far from faces they are."""
    run = lab.one_run()
    held_out = distances.HeldOut(lab, run)
    count = max(held_out.num_images, lab.study.rows * lab.study.columns)
    seeds, z_dim = lab.seeds(count), run.codec.z_dim
    points = {_NORMAL: np.asarray(sampling.prior(seeds, z_dim))}
    for limit in lab.study.limits:
        points[f"uniform_{limit:g}"] = np.asarray(sampling.uniform(seeds, z_dim, limit))
    sets = {name: held_out.decoded(run, z) for name, z in points.items()}
    for factor in lab.study.sharpness:
        sets[f"sharpened_{factor:g}"] = _sharpened(sets[_NORMAL], factor)
    grids = {name: _first(batches, lab) for name, batches in sets.items()}
    sets[_TRAINING] = lambda: distances.clean(lab, run, "train")
    measured = held_out.measure(sets)
    return outcome.Outcome(
        "Images decoded from random points of the latent space, and how far they are, "
        f"as a set, from {held_out.num_images:,} {lab.held_out} images (Fréchet "
        f"distance in features of {lab.study.judge}; lower is better).",
        [
            report.Section("Normal", _normal_parts(lab, measured, grids)),
            report.Section("Uniform in a box", _uniform_parts(lab, measured, grids)),
            report.Section("Sharpened", _sharpened_parts(lab, measured, grids)),
            report.Section("Losses", losses.parts({"run": run})),
        ],
        {
            "images": held_out.num_images,
            "distances": distances.values(measured),
            "losses": losses.figures(run),
        },
        {"run": run},
    )


def _sharpened(batches, factor: float):
    return lambda: (image_grids.sharpen(images, factor) for images in batches())


def _first(batches, lab: lab_lib.Lab) -> np.ndarray:
    """Return a picture's images of a set."""
    return next(iter(batches()))[: lab.study.rows * lab.study.columns]


def _normal_parts(lab, measured, grids) -> list[report.Part]:
    rows = [
        ["images of z ~ N(0, I)", distances.cell(measured[_NORMAL])],
        [_TRAINING, distances.cell(measured[_TRAINING])],
    ]
    sentence = (
        f"Images of random z are at distance {measured[_NORMAL].value:.3g} from "
        f"held-out ones, training images at {measured[_TRAINING].value:.3g}: what a "
        "perfect sampler "
        "comes to. Where they don't look like training images, raise fact, train for "
        "longer, or draw from a fitted density (--study=samplers)."
    )
    caption = "z ~ N(0, I)."
    return [
        report.Text(sentence),
        report.Table(["set of images", f"distance from {lab.held_out} images"], rows),
        pictures.grid(_NORMAL, grids[_NORMAL], lab.study.columns, caption),
    ]


def _uniform_parts(lab, measured, grids) -> list[report.Part]:
    limits = lab.study.limits
    values = [measured[f"uniform_{limit:g}"].value for limit in limits]
    sheet = charts.lines(
        {"uniform": (limits, values)},
        "R, half the side of the box",
        "distance from held-out images",
    )
    caption = "Distance from held-out images over the size of the box."
    parts = [
        report.Text(
            "Small boxes hold what is common to all images; in larger ones images vary "
            "more, until they leave what the decoder has learnt."
        ),
        pictures.chart("uniform_distances", sheet, caption),
    ]
    for limit in limits:
        name = f"uniform_{limit:g}"
        caption = (
            f"Each coordinate uniform in [-{limit:g}, {limit:g}]: distance "
            f"{measured[name].value:.3g}."
        )
        parts.append(pictures.grid(name, grids[name], lab.study.columns, caption))
    return parts


def _sharpened_parts(lab, measured, grids) -> list[report.Part]:
    parts = [
        report.Text(
            "The images of z ~ N(0, I) after Pillow's sharpening; 1 would change "
            "nothing, 0 smooths. High factors bring out lines that are partly in the "
            "decoder's output already."
        )
    ]
    for factor in lab.study.sharpness:
        name = f"sharpened_{factor:g}"
        caption = f"Sharpened by {factor:g}: distance {measured[name].value:.3g}."
        parts.append(pictures.grid(name, grids[name], lab.study.columns, caption))
    return parts
