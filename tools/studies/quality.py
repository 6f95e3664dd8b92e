"""Runs evaluated on held-out images, as tables and verdicts of reports."""

from collections.abc import Mapping

import attrs

from tools import evaluating, progress
from tools.studies import lab as lab_lib
from vae_prod.config import figures as kinds
from vae_prod.evaluation import figures as figures_lib
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation import verdict as verdict_lib
from vae_prod.reporting import report

# What tables show, by the figures' names.
_SHOWN = (
    *("psnr", "ssim", "explained_variance", "reconstruction_nats", "kl", "elbo"),
    *("bits_per_dim", "importance_bound", "reconstruction_frechet"),
    *("sample_frechet", "density", "coverage", "reconstruction_distance"),
    *("sample_distance", "active_units", "noise_share", "sampled_radius"),
    "prior_radius",
)


@attrs.frozen(eq=False)
class Evaluated:
    """A run's figures on held-out images, and what they show.

    Attributes:
        measurements: All that was taken.
        figures: Those with a name, by it.
        verdict: What they show.
    """

    measurements: measurements_lib.Measurements
    figures: Mapping[str, figures_lib.Figure]
    verdict: verdict_lib.Verdict

    @property
    def quality(self) -> quality_lib.Quality:
        """The figures that rank models."""
        return self.measurements.quality

    def values(self) -> dict:
        """Return the figures and the verdict, for `figures.json`."""
        plain = {name: figure.value for name, figure in self.figures.items()}
        quality = self.quality
        counted = {
            "num_images": quality.num_images,
            "distance_images": quality.distance_images,
        }
        intervals = {
            name: figure.interval
            for name, figure in self.figures.items()
            if figure.interval
        }
        return {
            **plain,
            **counted,
            "intervals": intervals,
            "verdict": self.verdict.kind,
            "uncertain": self.verdict.uncertain,
        }


def evaluate(
    lab: lab_lib.Lab,
    opened: lab_lib.Opened,
    importance_samples: int = 0,
    beside: evaluating.Beside | None = None,
) -> Evaluated:
    """Evaluate a run on all held-out images, with a verdict.

    Args:
        lab: The study's data and settings.
        opened: The run.
        importance_samples: K of the importance-weighted bound; 0: no bound.
        beside: What else to take in the same pass.
    """
    split, config = lab.held_out, opened.run.model
    count = lab.num_images(split)
    settings = measurements_lib.EvaluationSettings(
        lab.train.seed, lab.study.measured_images, importance_samples
    )
    print(f"evaluating {opened.run_dir}", flush=True)
    with progress.Progress() as show:
        measurements = measurements_lib.evaluate(
            subject_lib.Subject.from_model(opened.model),
            beside.batches() if beside else lab.batches(opened, split),
            settings,
            judge=lab.judge(opened),
            on_progress=lambda done: show(done, count),
            beside=beside.parts if beside else (),
        )
    listed = figures_lib.list_figures(measurements, config)
    verdict = verdict_lib.decide(measurements, config)
    return Evaluated(measurements, {figure.name: figure for figure in listed}, verdict)


def table(lab: lab_lib.Lab, evaluated: Mapping[str, Evaluated]) -> report.Table:
    """Tabulate how good runs are, a column a run."""
    rows = []
    for name in _SHOWN:
        figures = [run.figures[name] for run in evaluated.values()]
        if any(figure.value is not None for figure in figures):
            rows.append([_label(figures[-1]), *(figure.cell for figure in figures)])
    quality = next(iter(evaluated.values())).quality
    caption = (
        f"On {quality.num_images:,} {lab.held_out} images, distances from "
        f"{quality.distance_images:,} of them: Fréchet distances, density and coverage "
        f"in features of {lab.study.judge}, and sliced Wasserstein distances. ± holds "
        "95 % of what other images as many would give."
    )
    return report.Table(["figure", *evaluated], rows, caption)


def _label(figure: figures_lib.Figure) -> str:
    """Return a figure's label, with its unit where it has one of its own."""
    label = kinds.FIGURES[figure.name].label
    better = figure.better and f"{figure.better} is better"
    unit = "" if figure.unit == "1/1000" else figure.unit
    meaning = ", ".join(part for part in (unit, better) if part)
    return f"{label} ({meaning})" if meaning else label


def verdicts(evaluated: Mapping[str, Evaluated]) -> list[report.Part]:
    """Tell what each run is, why, and what to do."""
    parts = []
    for name, run in evaluated.items():
        verdict = run.verdict
        parts += [
            report.Verdict(f"{name}: {verdict.finding}. {verdict.advice}"),
            report.Text(f"Why: {'; '.join(verdict.reasons)}."),
        ]
        if verdict.uncertain:
            parts.append(report.Text(f"Not certain: {verdict.uncertain}."))
    return parts


def posteriors(name: str, evaluated: Evaluated) -> report.Table:
    """Tabulate what separates z from z_mean."""
    posteriors = evaluated.measurements.posteriors
    rows = [
        [text, *map(_exact, (extent.mean, extent.smallest, extent.largest))]
        for text, extent in posteriors.rows()
    ]
    components = posteriors.num_images * posteriors.z_dim
    caption = (
        f"{name}: z against z_mean. {posteriors.far:,} of {components:,} components of "
        "z are more than 0.05 from z_mean."
    )
    return report.Table(["over images", "mean", "smallest", "largest"], rows, caption)


def _exact(value: float) -> str:
    return f"{value:.6g}" if abs(value) >= 1e-3 or not value else f"{value:.2e}"
