"""Prior against what is fitted to the encoded images, for a VAE and an AE."""

import os
from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from pipelines.reading import dataset
from tools import progress
from tools.studies import distances, encodings, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.evaluation import resampling
from vae_prod.latent import densities, samplers, sampling, second_stage_training
from vae_prod.latent import encodings as encodings_lib
from vae_prod.latent import fitted as fitted_lib
from vae_prod.reporting import report

# Images of a split behind a log-density.
_MEASURED = 2000
# What samplers are called in tables, by name.
_LABELS = {name: sampler.label for name, sampler in samplers.SAMPLERS.items()}


@attrs.frozen(eq=False)
class _Fitted:
    """A run's encoded images, and samplers fitted to the training ones.

    Attributes:
        run: The run.
        samplers: What was fitted, by name.
        log_densities: Name of a sampler to the mean log-density of training and of
            held-out images, nats an image.
    """

    run: lab_lib.Opened
    samplers: Mapping[str, fitted_lib.Fitted]
    log_densities: Mapping[str, tuple[float, float]]


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Draw from prior and fitted densities, decode, compare with held-out images."""
    lab.check_at_most_images("components", lab.study.components)
    if lab.run_dir:
        opened = {"run": lab.one_run()}
    else:
        opened = lab.train_and_open({"vae": {"mode": "vae"}, "ae": {"mode": "ae"}})
    fitted = {name: _fit(lab, name, run) for name, run in opened.items()}
    first = next(iter(opened.values()))
    held_out = distances.HeldOut(lab, first)
    sets, grids = {}, {}
    for name, run in opened.items():
        for sampler, z in _draw(lab, fitted[name], held_out.num_images):
            sets[_label(name, sampler)] = held_out.decoded(run, z)
            shown = z[: lab.study.rows * lab.study.columns]
            grids[name, sampler] = run.codec.decode_many(shown)
    sets["training images"] = lambda: distances.clean(lab, first, dataset.TRAIN_SPLIT)
    measured = held_out.measure(sets)
    return outcome.Outcome(
        "Random points drawn from the prior and from densities that were fitted to the "
        "encoded training images, decoded. By a fitted density also a model generates "
        "that has its images elsewhere than the prior has its points.",
        [
            report.Section(
                "Distances", _distance_parts(lab, fitted, measured, held_out)
            ),
            report.Section("Pictures", _grids(lab, grids, measured)),
            report.Section("Fitted densities", [_density_table(lab, fitted)]),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            "images": held_out.num_images,
            "judge": lab.study.judge,
            "distances": distances.values(measured),
            "half_widths": {name: d.half_width for name, d in measured.items()},
            "log_densities": {
                name: {_LABELS[k]: list(pair) for k, pair in fit.log_densities.items()}
                for name, fit in fitted.items()
            },
            "losses": {name: losses.figures(run) for name, run in opened.items()},
        },
        opened,
    )


def _label(run: str, sampler: str) -> str:
    return f"{run}, {_LABELS[sampler]}"


def _fit(lab: lab_lib.Lab, name: str, run: lab_lib.Opened) -> _Fitted:
    """Fit what there is to fit, and keep it in `samplers/RUN/`."""
    trained = encodings.encode(lab, run, dataset.TRAIN_SPLIT)
    held_out = encodings.encode(lab, run, lab.held_out)
    print(f"fitting densities to the images that {run.run_dir} encoded", flush=True)
    points = trained.z_mean, trained.z_log_var
    fitted = {
        "gaussian": densities.fit_gaussian(*points, made=trained.made),
        "mixture": densities.fit_mixture(
            *points,
            components=lab.study.components,
            seed=lab.train.seed,
            made=trained.made,
        ),
    }
    if epochs := lab.study.second_stage_epochs:
        with progress.Progress("epochs") as show:
            fitted["two_stage"] = second_stage_training.fit(
                *points,
                epochs=epochs,
                seed=lab.train.seed,
                made=trained.made,
                on_progress=show,
            )
    for sampler, density in fitted.items():
        density.save(os.path.join(lab.out, "samplers", name, sampler))
    log_densities = {
        sampler: (
            _log_density(lab, density, trained),
            _log_density(lab, density, held_out),
        )
        for sampler, density in fitted.items()
    }
    return _Fitted(run, fitted, log_densities)


def _log_density(
    lab: lab_lib.Lab, density: fitted_lib.Fitted, encoding: encodings_lib.Encoding
) -> float:
    points = densities.draw_points(
        encoding.z_mean, encoding.z_log_var, _MEASURED, lab.train.seed
    )
    return float(density.log_prob(points).mean())


def _draw(
    lab: lab_lib.Lab, fitted: _Fitted, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Draw `count` points, or as many as a picture shows, by each sampler."""
    seeds = lab.seeds(max(count, lab.study.rows * lab.study.columns))
    yield samplers.PRIOR, np.asarray(sampling.prior(seeds, fitted.run.codec.z_dim))
    for sampler, density in fitted.samplers.items():
        yield sampler, np.asarray(density.sample(seeds))


def _distance_parts(lab, fitted, measured, held_out) -> list[report.Part]:
    drawn = [samplers.PRIOR, *next(iter(fitted.values())).samplers]
    by_run = {
        run: {_LABELS[name]: measured[_label(run, name)] for name in drawn}
        for run in fitted
    }
    rows = [
        [run, *map(distances.cell, of_run.values())] for run, of_run in by_run.items()
    ]
    caption = (
        f"Fréchet distance, in features of {lab.study.judge}, of "
        f"{held_out.num_images:,} decoded points from "
        f"as many {lab.held_out} images, lower is better; training images are at "
        f"{distances.cell(measured['training images'])}."
    )
    return [
        report.Verdict(" ".join(_best(*item) for item in by_run.items())),
        report.Table(["run", *(_LABELS[name] for name in drawn)], rows, caption),
    ]


def _best(run: str, measured: Mapping[str, resampling.Estimate]) -> str:
    """Say which sampler is best, given the distance of each by its label."""
    values, prior = distances.values(measured), _LABELS[samplers.PRIOR]
    best = min(values, key=values.get)
    if best == prior:
        return f"{run}: {prior} is as good as any; no fitted density is needed."
    told = f"({values[best]:.3g} against {values[prior]:.3g})"
    if resampling.difference(measured[best], measured[prior]).may_be(0.0):
        return f"{run}: no difference shown between {best} and {prior} {told}."
    share = 1 - values[best] / values[prior]
    return (
        f"{run}: {best} is best, at a distance {share:.0%} below that of {prior} "
        f"{told}."
    )


def _grids(lab, grids, measured) -> list[report.Part]:
    parts = []
    for (run, sampler), images in grids.items():
        label = _label(run, sampler)
        caption = f"{label}: distance {measured[label].value:.3g}."
        name = f"{run}_{sampler}"
        parts.append(pictures.grid(name, images, lab.study.columns, caption))
    return parts


def _density_table(lab: lab_lib.Lab, fitted: Mapping[str, _Fitted]) -> report.Table:
    rows = []
    for run, fit in fitted.items():
        for sampler, pair in fit.log_densities.items():
            rows.append([_label(run, sampler), _form(fit.samplers[sampler]), *pair])
    columns = ["density", "form", "training images", f"{lab.held_out} images"]
    caption = (
        "Mean log-density of encoded images, nats an image. Where it is much lower on "
        "held-out images, the density has learnt the training images by heart. Of a "
        "second stage it is a lower bound."
    )
    return report.Table(columns, rows, caption)


def _form(sampler: fitted_lib.Fitted) -> str:
    """Say what is special to a sampler: its covariance, or its size."""
    made = sampler.made
    if "units" in made:
        return f"{made['layers']} layers of {made['units']:,} units"
    return made.get("covariance", "full")
