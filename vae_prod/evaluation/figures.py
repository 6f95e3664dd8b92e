"""The figures of an evaluation by name, each with what it takes to read it.

Names, labels, units and directions stand in `config.figures`.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from vae_prod import config as config_lib
from vae_prod.config import figures as kinds
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation import pixel_statistics, protocol, resampling, wasserstein
from vae_prod.reporting import uncertainty


@attrs.frozen
class Figure:
    """One figure.

    Attributes:
        name: Its name in files.
        section: What it tells of.
        text: Its name in tables.
        value: None where it has no meaning.
        unit: Of the value; empty for a plain number.
        better: `higher` or `lower`; empty where neither is.
        protocol: Name of the protocol it was taken under.
        interval: Lowest and highest that other images would give, with a chance of
            95 %; None where it isn't known.
        replicates: Behind it, see `resampling.Estimate`; None where there are none.
    """

    name: str
    section: str
    text: str
    value: float | int | None
    unit: str
    better: str
    protocol: str
    interval: tuple[float, float] | None
    replicates: np.ndarray | None = attrs.field(
        eq=attrs.cmp_using(eq=np.array_equal), repr=False
    )

    @property
    def cell(self) -> float | int | uncertainty.Uncertain | None:
        """The value with its interval, as a report's table shows it."""
        if self.interval is None or self.value is None:
            return self.value
        low, high = self.interval
        return uncertainty.Uncertain(self.value, (high - low) / 2)


def list_figures(
    measurements: measurements_lib.Measurements, config: config_lib.ModelConfig
) -> list[Figure]:
    """Return the figures of an evaluation, in the order to show them."""
    extractors = measurements.features
    sections = {
        "loss in the training convention": _losses(measurements),
        "likelihood at beta = 1": _likelihood(measurements, config),
        "reconstructions from z_mean": _reconstructions(measurements),
        "checkerboards, against real images": _checkerboards(measurements),
        "images of z ~ N(0, I)": _samples(measurements),
        **{
            f"in features of {name}": _features(measurements, name)
            for name in extractors
        },
        "latent space": _latent(measurements),
    }
    return [
        attrs.evolve(figure, section=section)
        for section, figures in sections.items()
        for figure in figures
    ]


def _figure(
    name: str,
    figure: resampling.Estimate | float | int | None,
    protocol_name: str,
    text: str | None = None,
    unit: str | None = None,
) -> Figure:
    """Return a figure as the table of kinds has it, but for what is given."""
    kind = kinds.FIGURES[name]
    estimate = figure if isinstance(figure, resampling.Estimate) else None
    return Figure(
        name=name,
        section="",
        text=kind.text if text is None else text,
        value=figure.number if isinstance(figure, resampling.Estimate) else figure,
        unit=kind.unit if unit is None else unit,
        better=kind.better,
        protocol=protocol_name,
        interval=estimate.interval if estimate else None,
        replicates=estimate.replicates if estimate else None,
    )


def _losses(measurements) -> Iterator[Figure]:
    yield _figure("total_loss", measurements.total_loss, protocol.NOISE)
    yield _figure("reco_loss", measurements.reco_loss, protocol.NOISE)
    yield _figure("kl_loss", measurements.kl_loss, protocol.IMAGES)


def _likelihood(measurements, config) -> Iterator[Figure]:
    quality = measurements.quality
    nats, bound = quality.reconstruction_nats, quality.importance_bound
    scale = {} if config.likelihood.has_nats else {"text": "squared error", "unit": ""}
    yield _figure("reconstruction_nats", nats, protocol.NOISE, **scale)
    yield _figure("kl", quality.kl, protocol.IMAGES)
    yield _figure("elbo", quality.elbo, protocol.NOISE)
    yield _figure("bits_per_dim", quality.bits_per_dim, protocol.NOISE)
    kind, samples = "importance_bound", measurements.settings.importance_samples
    text = f"{kinds.FIGURES[kind].text}, K = {samples}"
    bound_protocol = protocol.NOISE if bound is None else protocol.BOUND
    yield _figure(kind, bound, bound_protocol, text=text)


def _reconstructions(measurements) -> Iterator[Figure]:
    quality = measurements.quality
    yield _figure("mse", quality.mse, protocol.IMAGES)
    yield _figure("psnr", quality.psnr, protocol.IMAGES)
    yield _figure("ssim", measurements.ssim, protocol.IMAGES)
    explained = measurements.explained_variance
    yield _figure("explained_variance", explained, protocol.IMAGES)
    yield _judged(measurements, "reconstruction_frechet", "reconstruction_fid")
    yield from _recognised(measurements, "reconstructions")
    yield from _statistics(measurements, "reconstruction")
    yield from _distance("reconstruction_distance", quality.reconstruction_distance)


def _distance(name: str, distance: wasserstein.Distance) -> Iterator[Figure]:
    yield _figure(name, distance.mean, protocol.DISTANCES)
    for size, value in distance.levels.items():
        level = _figure(name, value, protocol.DISTANCES, text=f"at {size} pixels")
        yield attrs.evolve(level, name=f"{name}_{size}")


def _checkerboards(measurements) -> Iterator[Figure]:
    for board in measurements.checkerboards:
        name, text = f"checkerboard_{board.period}", f"of {board.period} pixels, excess"
        excess = _figure("checkerboard_excess", board.excess, protocol.IMAGES)
        energy = _figure("checkerboard_energy", board.energy, protocol.IMAGES)
        yield attrs.evolve(excess, name=f"{name}_excess", text=text)
        yield attrs.evolve(energy, name=f"{name}_energy")


def _samples(measurements) -> Iterator[Figure]:
    yield _judged(measurements, "sample_frechet", "fid")
    for name in ("precision", "recall", "density", "coverage"):
        yield _judged(measurements, name, name)
    yield from _recognised(measurements, "samples", "real")
    yield from _statistics(measurements, "sample")
    yield from _distance("sample_distance", measurements.quality.sample_distance)


def _judged(measurements, name: str, distance: str) -> Figure:
    judged = measurements.quality.judged
    return _figure(name, getattr(judged, distance), protocol.JUDGE)


def _recognised(measurements, *which: str) -> Iterator[Figure]:
    for name in which if measurements.recognised else ():
        share = getattr(measurements.recognised, name)
        yield _figure(f"{name}_recognised", share, protocol.RECOGNITION)


def _statistics(measurements, of: str) -> Iterator[Figure]:
    for name in pixel_statistics.STATISTICS:
        value = measurements.pixel_statistics[f"{of}_{name}"]
        figure = _figure(name, value, protocol.DISTANCES)
        yield attrs.evolve(figure, name=f"{of}_{name}")


def _features(measurements, extractor: str) -> Iterator[Figure]:
    for name in kinds.FEATURES:
        distance = getattr(measurements.features[extractor], name)
        figure = _figure(name, distance, protocol.features(extractor))
        yield attrs.evolve(figure, name=f"{extractor}/{name}")


def _latent(measurements) -> Iterator[Figure]:
    quality, latent = measurements.quality, measurements.latent
    offset, deviation = np.abs(latent.dimensions.mean), latent.dimensions.deviation
    values = {
        "z_dim": quality.z_dim,
        "active_units": quality.active_units,
        "noise_share": latent.estimate(lambda each: each.noise_share),
        "radius": quality.radius,
        "sampled_radius": quality.sampled_radius,
        "prior_radius": quality.prior_radius,
        "z_log_var": measurements.z_log_var,
        "mean_offset": latent.estimate(lambda each: np.abs(each.mean).mean(axis=-1)),
        "largest_offset": float(offset.max()),
        "mean_deviation": latent.estimate(lambda each: each.deviation.mean(axis=-1)),
        "smallest_deviation": float(deviation.min()),
        "largest_deviation": float(deviation.max()),
    }
    for name, value in values.items():
        drawn = name == "sampled_radius"
        yield _figure(name, value, protocol.NOISE if drawn else protocol.IMAGES)
