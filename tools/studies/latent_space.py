"""The latent space: radii, coordinates, principal components, clusters, t-SNE."""

import numpy as np

from pipelines.reading import dataset
from tools import progress
from tools.studies import annotations, encodings, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.latent import statistics
from vae_prod.reporting import latent_charts, plane_charts, projector, report

_SPLIT = dataset.TRAIN_SPLIT
_CLUSTERED = 20_000
_TSNE_POINTS = 5000
# (early exaggeration, perplexity)
_TSNE = ((12.0, 30.0), (16.0, 10.0))
_PROJECTED = 1000


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Encode the training images and look at where they are."""
    lab.check_at_most_images("clusters", lab.study.clusters)
    lab.check_at_most_images("tsne_points", lab.study.tsne_points)
    run = lab.one_run()
    encoding = encodings.encode(lab, run, _SPLIT)
    sections, figures = [], {"images": len(encoding.z_mean)}
    for heading, part in (
        ("Radii", _radii),
        ("Coordinates", _coordinates),
        ("Principal components", _components),
        ("Clusters", _clusters),
        ("t-SNE", _tsne),
    ):
        parts, figures[heading.lower().replace(" ", "_")] = part(lab, encoding)
        sections.append(report.Section(heading, parts))
    sections.append(report.Section("Losses", losses.parts({"run": run})))
    return outcome.Outcome(
        f"Where the encoder puts the {len(encoding.z_mean):,} training images: z_mean, "
        f"in {run.codec.z_dim} dimensions.",
        sections,
        {**figures, "losses": losses.figures(run)},
        {"run": run},
        _projected(lab, run, encoding),
    )


def _radii(lab, encoding) -> tuple[list[report.Part], dict]:
    radii = statistics.radii(encoding.z_mean)
    root = float(np.sqrt(radii.z_dim))
    figures = {
        "mean": radii.mean,
        "deviation": radii.deviation,
        "peak": radii.peak,
        "smallest": radii.smallest,
        "largest": radii.largest,
        "prior": root,
    }
    rows = [
        ["mean |z_mean|", radii.mean],
        ["deviation", radii.deviation],
        ["fullest bin, its middle", radii.peak],
        ["smallest", radii.smallest],
        ["largest", radii.largest],
        ["√z_dim, where N(0, I) has its points", root],
    ]
    sheet = latent_charts.radius_histogram({"z_mean": radii.counts}, radii.z_dim)
    caption = (
        "Points of N(0, I) lie on a thin shell at √z_dim. Of a VAE, z_mean lies "
        "further in, for its noise adds the rest."
    )
    parts = [
        report.Table(["radius", "value"], rows),
        pictures.chart("radii", sheet, caption),
    ]
    return parts, figures


def _coordinates(lab, encoding) -> tuple[list[report.Part], dict]:
    coordinates = statistics.coordinates(encoding.z_mean)
    figures = {
        "largest_mean": float(np.abs(coordinates.mean).max()),
        "smallest_deviation": float(coordinates.deviation.min()),
        "median_deviation": float(np.median(coordinates.deviation)),
        "largest_deviation": float(coordinates.deviation.max()),
        "farthest": float(np.maximum(-coordinates.smallest, coordinates.largest).max()),
    }
    rows = [
        ["largest mean of a coordinate, either way", figures["largest_mean"]],
        ["smallest deviation of a coordinate", figures["smallest_deviation"]],
        ["median deviation", figures["median_deviation"]],
        ["largest deviation", figures["largest_deviation"]],
        ["farthest value of all", figures["farthest"]],
    ]
    sheet = latent_charts.coordinates(coordinates.edges, coordinates.counts)
    caption = (
        "All coordinates together, and each one: narrow ones at 0 carry nothing about "
        "the image."
    )
    parts = [
        report.Table(["z_mean", "value"], rows),
        pictures.chart("coordinates", sheet, caption),
    ]
    return parts, figures


def _components(lab, encoding) -> tuple[list[report.Part], dict]:
    variances = statistics.covariance(encoding.z_mean).spectrum()
    explained = np.cumsum(variances) / variances.sum()
    needed = {
        share: int(np.searchsorted(explained, share)) + 1 for share in (0.9, 0.99)
    }
    caption = (
        "Variance of z_mean along its principal components: a steep fall means that "
        "few directions tell images apart."
    )
    sheet = latent_charts.spectrum(variances)
    figures = {
        "largest_variance": float(variances[0]),
        "components_for_90_percent": needed[0.9],
        "components_for_99_percent": needed[0.99],
    }
    return [pictures.chart("components", sheet, caption)], figures


def _clusters(lab, encoding) -> tuple[list[report.Part], dict]:
    count = min(_CLUSTERED, len(encoding.z_mean))
    points = _chosen(lab, encoding, count, "clusters")[1]
    numbers = range(2, lab.study.clusters + 1, 2)
    with progress.Progress("clusterings") as show:
        inertias = statistics.inertia_curve(points, numbers, lab.train.seed, show)
    caption = (
        f"Mini-batch k-means of {len(points):,} points, picked at random. Clusters "
        "that images fall into would show as an elbow."
    )
    sheet = latent_charts.inertia(numbers, inertias, len(points))
    values = dict(zip(map(str, numbers), inertias.tolist(), strict=True))
    return [pictures.chart("clusters", sheet, caption)], values


def _tsne(lab, encoding) -> tuple[list[report.Part], dict]:
    count = lab.study.tsne_points or min(_TSNE_POINTS, len(encoding.z_mean))
    rows, points = _chosen(lab, encoding, count, "--tsne_points")
    labels, names, shown = annotations.classes(lab, encoding, rows)
    parts = [report.Text(f"{count:,} points, picked at random, {shown}.")]
    for exaggeration, perplexity in _TSNE:
        print(f"t-SNE of {count:,} points, perplexity {perplexity:g}", flush=True)
        placed = statistics.tsne(points, exaggeration, perplexity, seed=lab.train.seed)
        sheet = plane_charts.scatter(placed, labels, names, ("t-SNE 1", "t-SNE 2"))
        name = f"tsne_{exaggeration:g}_{perplexity:g}"
        caption = f"Early exaggeration {exaggeration:g}, perplexity {perplexity:g}."
        parts.append(pictures.chart(name, sheet, caption))
    return parts, {"points": count}


def _chosen(lab, encoding, count: int, purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Pick points at random: their rows, and float32 [count, z_dim]."""
    total = len(encoding.z_mean)
    rows = statistics.choose_rows(total, count, lab.train.seed, purpose)
    return rows, np.asarray(encoding.z_mean[rows])


def _projected(lab, run, encoding) -> projector.Points:
    count = min(_PROJECTED, len(encoding.z_mean))
    rows, points = _chosen(lab, encoding, count, "the projector")
    record, metadata = lab.manifest.record, {}
    if encoding.label is not None:
        metadata["label"] = [record.label_names[i] for i in encoding.label[rows]]
    if encoding.attributes is not None:
        attributes = np.asarray(encoding.attributes[rows])
        metadata |= {
            n: attributes[:, i].tolist() for i, n in enumerate(record.attributes)
        }
    images = encodings.images(lab, run, _SPLIT, rows)
    return projector.Points("z_mean", points, images, metadata)
