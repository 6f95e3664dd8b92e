"""Charts of latent statistics: radii, coordinates, clusters, principal components.

All are functions of arrays and return uint8 [height, width, 3], readable with any
colour vision, for nothing is told by colour alone, and on a phone: letters are large
for the width. Charts of a plane of points are in `plane_charts`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from scipy import stats

from vae_prod.latent import statistics
from vae_prod.reporting import charts

_STYLES = ("-", "--", ":", "-.")
_GREY = "#555555"


def radius_histogram(
    counts: Mapping[str, np.ndarray],
    z_dim: int,
    width: float = statistics.RADIUS_WIDTH,
) -> np.ndarray:
    """Plot how far encoded images are from the origin, beside what N(0, I) gives.

    Args:
        counts: Name of a model to its counts [bins], of |z| in [0, width), [width, 2
            width), ...
        z_dim: Dimensions of the latent space.
        width: Of a bin.
    """
    root = np.sqrt(z_dim)

    def draw(sheet):
        axes = sheet.subplots()
        top = root + 3
        for number, (name, images) in enumerate(counts.items()):
            share = 100 * images / images.sum()
            edges = width * np.arange(len(images) + 1)
            top = max(top, edges[np.searchsorted(np.cumsum(share), 99.9) + 1])
            axes.stairs(share, edges, label=name, **_series(number, len(counts)))
        radius = np.linspace(0, top, 500)
        expected = 100 * width * stats.chi(z_dim).pdf(radius)
        axes.plot(radius, expected, color="black", linewidth=1.2, label="N(0, I)")
        axes.axvline(root, color=_GREY, linestyle=(0, (2, 2)), linewidth=1.2)
        place = (root, axes.get_ylim()[1])
        label = f"√{z_dim} = {root:.3g}"
        axes.annotate(
            label, place, (4, 2), textcoords="offset points", color=_GREY, fontsize=11
        )
        axes.set_xlim(0, top)
        charts.tidy(axes, "radius |z| (no unit)", f"images (% per bin of {width:g})")
        axes.legend(frameon=False)

    return charts.drawn(draw)


def _series(number: int, in_all: int) -> dict:
    color = charts.COLORS[number % len(charts.COLORS)]
    if in_all == 1:
        return {"color": color, "fill": True, "alpha": 0.6}
    style = _STYLES[number % len(_STYLES)]
    return {"color": color, "linestyle": style, "linewidth": 2}


def coordinates(edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Plot how each coordinate of the encoded images is distributed.

    Above all coordinates together beside N(0, 1), below one by one, the widest first.

    Args:
        edges: float [bins + 1], of the histograms.
        counts: [z_dim, bins].
    """
    width = edges[1] - edges[0]
    density = counts / counts.sum(axis=1, keepdims=True) / width
    middles = (edges[:-1] + edges[1:]) / 2
    mean = (density * middles).sum(axis=1, keepdims=True) * width
    spread = (density * np.square(middles - mean)).sum(axis=1)
    ordered = density[np.argsort(-spread)]

    def draw(sheet):
        above, below = sheet.subplots(2, sharex=True, height_ratios=(2, 3))
        above.stairs(
            density.mean(axis=0),
            edges,
            fill=True,
            alpha=0.6,
            color=charts.COLORS[0],
            label="all coordinates",
        )
        fine = np.linspace(edges[0], edges[-1], 400)
        above.plot(fine, stats.norm.pdf(fine), "k-", linewidth=1.2, label="N(0, 1)")
        charts.tidy(above, "", "density")
        above.legend(frameon=False)
        shown = below.pcolormesh(
            edges, np.arange(len(counts) + 1) + 0.5, ordered, cmap="cividis"
        )
        below.invert_yaxis()
        below.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        below.set_xlabel("value of the coordinate (no unit)")
        below.set_ylabel("coordinate, widest first")
        sheet.colorbar(shown, ax=below, label="density", location="bottom")

    return charts.drawn(draw, 7.0)


def inertia(
    clusters: Sequence[int], inertia: np.ndarray, num_points: int
) -> np.ndarray:
    """Plot how close points are to their clusters' centres.

    Args:
        clusters: Numbers of clusters.
        inertia: float [len(clusters)], mean squared distance of a point.
        num_points: Points that were clustered.
    """

    def draw(sheet):
        axes = sheet.subplots()
        axes.plot(clusters, inertia, "o-", color=charts.COLORS[0], markersize=5)
        axes.set_ylim(bottom=0)
        distance = "mean squared distance\nfrom the centre (no unit)"
        charts.tidy(axes, f"clusters, of {num_points:,} points", distance)

    return charts.drawn(draw)


def spectrum(variances: np.ndarray) -> np.ndarray:
    """Plot the principal components' variances and what the first ones hold together.

    Args:
        variances: float [z_dim], largest first.
    """
    ranks = np.arange(1, len(variances) + 1)
    shares = 100 * np.cumsum(variances) / variances.sum()

    def draw(sheet):
        above, below = sheet.subplots(2, sharex=True)
        line = {"color": charts.COLORS[0], "linewidth": 2}
        floor = variances.max() * 1e-8
        above.semilogy(ranks, np.maximum(variances, floor), **line)
        above.axhline(1.0, color="black", linestyle="--", linewidth=1.2)
        above.annotate(
            "N(0, I)",
            (1.0, 1.0),
            (-2, 4),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=11,
        )
        charts.tidy(above, "", "variance\n(no unit)")
        below.plot(ranks, shares, **line)
        for share in (90, 99):
            number = int(np.searchsorted(shares, share)) + 1
            below.plot(number, shares[number - 1], "o", color="black")
            left = number <= len(variances) / 2
            below.annotate(
                f"{share} %: {number}",
                (number, share),
                (6 if left else -6, -16),
                textcoords="offset points",
                ha="left" if left else "right",
                fontsize=11,
            )
        below.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        below.set_ylim(0, 104)
        charts.tidy(below, "principal component, by rank", "variance held\n(% of all)")

    return charts.drawn(draw, 5.5)
