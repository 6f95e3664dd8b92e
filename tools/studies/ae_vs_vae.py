"""Autoencoder, VAE with a tiny KL loss, VAE: what makes a model generate.

All three reconstruct. Only where the KL loss brings encoded images near N(0, I), and
near each other, does a random point decode to an image like them.
"""

import numpy as np

from pipelines.reading import dataset
from tools.studies import encodings, losses, outcome, pictures, published, quality
from tools.studies import lab as lab_lib
from vae_prod.latent import sampling, statistics
from vae_prod.reporting import latent_charts, report

_TINY = 1e-5
# Half the sides of the boxes that random points are drawn from, beside the prior.
_BOXES = (2.0, 10.0)


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train the three and compare them."""
    opened = lab.train_and_open(
        {
            "ae": {"mode": "ae", "batch_norm": False, "group_norm": 0},
            "tiny_kl": {"mode": "vae", "fact": _TINY},
            "vae": {"mode": "vae"},
        }
    )
    evaluated = {name: quality.evaluate(lab, run) for name, run in opened.items()}
    radii = {
        name: statistics.radii(encodings.encode(lab, run, dataset.TRAIN_SPLIT).z_mean)
        for name, run in opened.items()
    }
    return outcome.Outcome(
        "The same networks, trained as an autoencoder (without batch norm), as a VAE "
        f"with fact {_TINY:g}, and as a VAE with fact {lab.model.fact:g}.",
        [
            report.Section("Verdicts", quality.verdicts(evaluated)),
            report.Section("Figures", [quality.table(lab, evaluated)]),
            report.Section("Radii", _radii_parts(radii, opened)),
            report.Section("Is z_log_var used?", _posterior_parts(evaluated, opened)),
            report.Section("Images of random z", _random_parts(lab, opened)),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            name: {
                "quality": evaluated[name].values(),
                "radius_peak": radii[name].peak,
                "radius_mean": radii[name].mean,
                "losses": losses.figures(run),
            }
            for name, run in opened.items()
        },
        opened,
    )


def _radii_parts(radii, opened) -> list[report.Part]:
    z_dim = next(iter(radii.values())).z_dim
    root = float(np.sqrt(z_dim))
    sheet = latent_charts.radius_histogram(
        {name: of_run.counts for name, of_run in radii.items()}, z_dim
    )
    rows = [
        [name, r.mean, r.deviation, r.peak, r.smallest, r.largest]
        for name, r in radii.items()
    ]
    columns = ["run", "mean", "deviation", "fullest bin", "smallest", "largest"]
    caption = f"|z_mean| of the training images; N(0, I) has its points at {root:.3g}."
    parts = [
        pictures.chart("radii", sheet, "How far encoded images are from the origin."),
        report.Table(columns, rows, caption),
    ]
    if any(published.of(run) for run in opened.values()):
        parts.append(report.Text(published.RADII))
    return parts


def _posterior_parts(evaluated, opened) -> list[report.Part]:
    parts: list[report.Part] = [
        report.Text(
            "Where the KL loss is next to nothing, z_log_var falls until z can't be "
            "told from z_mean: the model ignores its noise. An autoencoder has none."
        )
    ]
    for name, figures in evaluated.items():
        parts.append(quality.posteriors(name, figures))
        if published.of(opened[name]) and opened[name].run.model.fact == _TINY:
            parts.append(report.Text(published.TINY_KL))
    return parts


def _random_parts(lab, opened) -> list[report.Part]:
    seeds, parts = lab.seeds(2 * lab.study.columns), []
    for name, run in opened.items():
        z_dim = run.codec.z_dim
        drawn = {"prior": ("z ~ N(0, I)", sampling.prior(seeds, z_dim))}
        for limit in _BOXES:
            drawn[f"uniform_{limit:g}"] = (
                f"z uniform in [-{limit:g}, {limit:g}]",
                sampling.uniform(seeds, z_dim, limit),
            )
        for kind, (text, z) in drawn.items():
            images = run.codec.decode_many(np.asarray(z))
            caption = f"{name}: {text}."
            parts.append(
                pictures.grid(f"{name}_{kind}", images, lab.study.columns, caption)
            )
    return parts
