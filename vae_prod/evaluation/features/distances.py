"""How two sets of images compare in features: all distances at once.

Features are what a network trained on other images makes of images, and are near for
images that look alike. All distances depend on the extractor and, all but the kernel
distance, on the number of images: only figures of one extractor over as many images
compare.
"""

from collections.abc import Sequence

import attrs
import numpy as np

from vae_prod.evaluation import resampling
from vae_prod.evaluation.features import frechet, kernel, neighbourhoods

FEWEST = neighbourhoods.FEWEST


@attrs.frozen
class FeatureDistances:
    """How samples and reconstructions compare with real images, in features.

    Attributes:
        num_images: Images of each kind.
        fid: Fréchet distance of samples; lower is better.
        kid: Kernel distance of samples; lower is better, 0 on average for equal
            distributions, and below by chance.
        reconstruction_fid: Fréchet distance of reconstructions.
        reconstruction_kid: Kernel distance of reconstructions.
        precision: Share of samples that lie among the real images: fidelity.
        recall: Share of real images that lie among the samples: variety.
        density: How many real images' spheres a sample lies in, in units of what is
            expected: fidelity, less touched by single real images far from others.
        coverage: Share of real images with a sample near: variety, by spheres that
            don't depend on the model.
    """

    num_images: int
    fid: resampling.Estimate
    kid: resampling.Estimate
    reconstruction_fid: resampling.Estimate
    reconstruction_kid: resampling.Estimate
    precision: resampling.Estimate
    recall: resampling.Estimate
    density: resampling.Estimate
    coverage: resampling.Estimate


def compare(
    real: np.ndarray,
    samples: np.ndarray,
    reconstructions: np.ndarray,
    counts: Sequence[np.ndarray],
) -> FeatureDistances:
    """Compare the features of a model's images with those of as many real ones.

    Args:
        real: float32 [N, D].
        samples: float32 [N, D].
        reconstructions: float32 [N, D], each of the real image of its number.
        counts: How often each replicate draws each real image, [N, REPLICATES], and
            each sample, see `resampling.counts`.

    Raises:
        ValueError: The sets differ in shape, or have fewer than 7 features.
    """
    shapes = {features.shape for features in (real, samples, reconstructions)}
    if len(shapes) > 1 or len(real) < FEWEST:
        raise ValueError(
            f"Sets to compare must have as many features, at least {FEWEST}, of one "
            f"size, received {', '.join(map(str, sorted(shapes)))}."
        )
    real_counts, sample_counts = counts
    sampled, paired = (sample_counts, real_counts), (real_counts, real_counts)
    density, coverage = neighbourhoods.density_coverage(samples, real, sampled)
    return FeatureDistances(
        num_images=len(real),
        fid=frechet.frechet_distance(samples, real, sampled),
        kid=kernel.kernel_distance(samples, real, sampled),
        reconstruction_fid=frechet.frechet_distance(reconstructions, real, paired),
        reconstruction_kid=kernel.kernel_distance(reconstructions, real, paired, True),
        precision=neighbourhoods.share_among(samples, real, sampled),
        recall=neighbourhoods.share_among(real, samples, counts),
        density=density,
        coverage=coverage,
    )
