"""Prior against densities fitted to the encoded images, for a VAE and an AE."""

import os
from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from pipelines.reading import dataset
from tools.studies import distances, encodings, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.latent import densities, sampling
from vae_prod.latent import encodings as encodings_lib
from vae_prod.reporting import report

# Images for each component and dimension from which on components have covariances of
# their own; with fewer they would learn the images by heart.
_POINTS_PER_NUMBER = 5
# Images of a split behind a log-density.
_MEASURED = 2000
_PRIOR = "N(0, I)"


@attrs.frozen(eq=False)
class _Fitted:
    """A run's encoded images, and densities fitted to the training ones.

    Attributes:
        run: The run.
        densities: Name to density.
        log_densities: Name to the mean log-density of training and of held-out
            images, nats an image.
    """

    run: lab_lib.Opened
    densities: Mapping[str, densities.Density]
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
    for name, each in fitted.items():
        for sampler, z in _draw(lab, each, held_out.num_images):
            sets[f"{name}, {sampler}"] = held_out.decoded(each.run, z)
            shown = z[: lab.study.rows * lab.study.columns]
            grids[f"{name}, {sampler}"] = each.run.codec.decode_many(shown)
    sets["training images"] = lambda: distances.clean(lab, first, dataset.TRAIN_SPLIT)
    found = held_out.measure(sets)
    return outcome.Outcome(
        "Random points drawn from the prior and from densities that were fitted to the "
        "encoded training images, decoded. By a fitted density also a model generates "
        "that has its images elsewhere than the prior has its points.",
        [
            report.Section("Distances", _distance_parts(lab, fitted, found, held_out)),
            report.Section("Pictures", _grids(lab, grids, found)),
            report.Section("Fitted densities", [_density_table(lab, fitted)]),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            "images": held_out.num_images,
            "distances": found,
            "log_densities": {
                name: {kind: list(pair) for kind, pair in each.log_densities.items()}
                for name, each in fitted.items()
            },
            "losses": {name: losses.figures(run) for name, run in opened.items()},
        },
        opened,
    )


def _fit(lab: lab_lib.Lab, name: str, run: lab_lib.Opened) -> _Fitted:
    """Fit a Gaussian and a mixture, and keep them in `samplers/RUN/`."""
    trained = encodings.encode(lab, run, dataset.TRAIN_SPLIT)
    held_out = encodings.encode(lab, run, lab.held_out)
    print(f"fitting densities to the images that {run.run_dir} encoded", flush=True)
    points = trained.z_mean, trained.z_log_var
    components = lab.study.components
    numbers = components * run.codec.z_dim
    is_enough = len(trained.z_mean) >= _POINTS_PER_NUMBER * numbers
    fitted = {
        "fitted Gaussian": densities.fit_gaussian(*points, made=trained.made),
        "fitted mixture": densities.fit_mixture(
            *points,
            components=components,
            covariance="full" if is_enough else "tied",
            seed=lab.train.seed,
            made=trained.made,
        ),
    }
    for density in fitted.values():
        density.save(os.path.join(lab.out, "samplers", name, density.made["kind"]))
    told = {
        kind: tuple(_log_density(lab, density, each) for each in (trained, held_out))
        for kind, density in fitted.items()
    }
    return _Fitted(run, fitted, told)


def _log_density(
    lab: lab_lib.Lab, density: densities.Density, encoding: encodings_lib.Encoding
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
    yield _PRIOR, np.asarray(sampling.prior(seeds, fitted.run.codec.z_dim))
    for kind, density in fitted.densities.items():
        yield kind, np.asarray(density.sample(seeds))


def _distance_parts(lab, fitted, found, held_out) -> list[report.Part]:
    kinds = [_PRIOR, *next(iter(fitted.values())).densities]
    rows = [[n, *(found[f"{n}, {kind}"] for kind in kinds)] for n in fitted]
    told = " ".join(_told(n, {k: found[f"{n}, {k}"] for k in kinds}) for n in fitted)
    caption = (
        f"Sliced Wasserstein distance of {held_out.num_images:,} decoded points from "
        f"as many {lab.held_out} images, lower is better; training images are at "
        f"{report.format_value(found['training images'])}."
    )
    return [report.Verdict(told), report.Table(["run", *kinds], rows, caption)]


def _told(name: str, found: Mapping[str, float]) -> str:
    best = min(found, key=found.get)
    if best == _PRIOR:
        return f"{name}: {_PRIOR} is as good as any; no fitted density is needed."
    share = 1 - found[best] / found[_PRIOR]
    return (
        f"{name}: {best} is best, at a distance {share:.0%} below that of {_PRIOR} "
        f"({found[best]:.0f} against {found[_PRIOR]:.0f})."
    )


def _grids(lab, grids, found) -> list[report.Part]:
    return [
        pictures.grid(
            name.replace(_PRIOR, "prior").replace(", ", "_").replace(" ", "_"),
            images,
            lab.study.columns,
            f"{name}: distance {found[name]:.0f}.",
        )
        for name, images in grids.items()
    ]


def _density_table(lab: lab_lib.Lab, fitted: Mapping[str, _Fitted]) -> report.Table:
    rows = [
        [f"{name}, {kind}", each.densities[kind].made.get("covariance", "full"), *pair]
        for name, each in fitted.items()
        for kind, pair in each.log_densities.items()
    ]
    columns = ["density", "covariance", "training images", f"{lab.held_out} images"]
    caption = (
        "Mean log-density of encoded images, nats an image. Where it is much lower on "
        "held-out images, the density has learnt the training images by heart."
    )
    return report.Table(columns, rows, caption)
