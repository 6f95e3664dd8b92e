"""Reconstruction against sample quality, over fact: how large should it be?"""

import numpy as np

from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, pictures, quality, reconstruction
from vae_prod.config import figures as kinds
from vae_prod.evaluation import resampling
from vae_prod.latent import sampling
from vae_prod.reporting import charts, report, uncertainty


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train the same model with several values of fact."""
    plans = {
        f"fact_{fact:g}": {"fact": fact, "mode": "vae"} for fact in lab.study.facts
    }
    opened = lab.train_and_open(plans)
    evaluated = {name: quality.evaluate(lab, run) for name, run in opened.items()}
    return outcome.Outcome(
        "The same model trained with several weights of the KL loss. A small fact "
        "reconstructs best, and its images of random z fail; a large one blurs all.",
        [
            report.Section("Reconstruction against samples", _parts(lab, evaluated)),
            report.Section("Pictures", _pictures(lab, opened)),
            report.Section(
                "Losses",
                [
                    report.Text(
                        "total_loss falls as fact falls and ranks nothing here; "
                        "reco_loss and kl_loss show the trade."
                    ),
                    losses.table(opened),
                ],
            ),
        ],
        {
            name: {
                "fact": run.run.model.fact,
                "quality": evaluated[name].values(),
                "losses": losses.figures(run),
            }
            for name, run in opened.items()
        },
        opened,
    )


def _parts(lab, evaluated) -> list[report.Part]:
    distances = {name: run.quality.frechet() for name, run in evaluated.items()}
    best = min(distances, key=lambda name: distances[name].value)
    least = distances[best]
    alike = [
        name.replace("_", " ")
        for name, distance in distances.items()
        if name != best and resampling.difference(distance, least).may_be(0.0)
    ]
    shown = f", no difference shown from {' and '.join(alike)}" if alike else ""
    sentence = (
        f"Both distances together are least with {best.replace('_', ' ')} "
        f"({least.value:.3g} {uncertainty.plus_minus(least.half_width)}){shown}. Look "
        "at the pictures before you believe it."
    )
    points = {
        name.removeprefix("fact_"): (
            run.quality.judged.reconstruction_fid.value,
            run.quality.judged.fid.value,
        )
        for name, run in evaluated.items()
    }
    axes = map(_axis, ("reconstruction_frechet", "sample_frechet"))
    sheet = charts.front(points, *axes)
    caption = (
        "Fréchet distance of images of z ~ N(0, I) from held-out images over that of "
        "reconstructions; each point is a fact."
    )
    return [
        report.Verdict(sentence),
        pictures.chart("front", sheet, caption),
        quality.table(lab, evaluated),
    ]


def _axis(name: str) -> str:
    kind = kinds.FIGURES[name]
    return f"{kind.label}\n({kind.better} is better)"


def _pictures(lab, opened) -> list[report.Part]:
    parts = []
    seeds = lab.seeds(2 * lab.study.columns)
    for name, run in opened.items():
        z = np.asarray(sampling.prior(seeds, run.codec.z_dim))
        fact = f"fact {run.run.model.fact:g}"
        caption = f"{fact}: images of the same z ~ N(0, I)."
        images = run.codec.decode_many(z)
        parts.append(
            pictures.grid(f"samples_{name}", images, lab.study.columns, caption)
        )
        name = f"reconstructions_{name}"
        parts.append(reconstruction.picture(lab, run, lab.held_out, name, rows=1))
    return parts
