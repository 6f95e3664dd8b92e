"""The figures that decide what kind a model is, and their thresholds.

They were chosen on runs of the reference VAE over `fact` on faces, so that each kind is
told where its pictures show it; they are no theory.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs
import numpy as np

from vae_prod import config as config_lib
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation import resampling
from vae_prod.latent import per_dimension

# Nats per image of the posterior from N(0, I), and so at most what z says of an image.
COLLAPSED = 1.0
# Shares of the pixels' variance that reconstructions give back: what is no better than
# the mean image, and what keeps general features only.
NOTHING, LITTLE = 0.05, 0.6
# Shares of the posteriors' noise in the variance of z. Below the first, posteriors are
# points; above the second, dimensions say less than they hide.
POINTS, NOISY = 1e-3, 0.5
# Root mean square of |z|, over that of N(0, I), that is near enough.
NEAR = (0.75, 1.33)
# Fréchet distance of samples from real images, over that of reconstructions, that is
# far: models that N(0, I) can be sampled of have up to 1.8, others 12 and more.
FAR = 4.0


_Number = TypeVar("_Number", float, resampling.Estimate)


@attrs.frozen
class Evidence(Generic[_Number]):
    """The figures that decide: numbers, or, for what is told of them, estimates."""

    explained: _Number
    kl: _Number
    noise: _Number
    radius: _Number
    gap: _Number

    @staticmethod
    def from_measurements(
        measurements: measurements_lib.Measurements,
    ) -> "Evidence[resampling.Estimate]":
        """Take the estimates from what an evaluation has taken."""
        quality, latent = measurements.quality, measurements.latent
        return Evidence(
            measurements.explained_variance,
            quality.kl,
            latent.estimate(lambda each: each.noise_share),
            latent.estimate(_relative_radius),
            resampling.derived(
                lambda samples, others: samples / np.maximum(others, 1e-9),
                quality.judged.fid,
                quality.judged.reconstruction_fid,
            ),
        )

    @property
    def value(self: "Evidence[resampling.Estimate]") -> "Evidence[float]":
        """Return the numbers of all images."""
        return Evidence(*(each.number for each in self._estimates))

    @property
    def replicates(
        self: "Evidence[resampling.Estimate]",
    ) -> Iterator["Evidence[float]"]:
        """Give the numbers of each replicate."""
        rows = np.stack([each.replicates for each in self._estimates], axis=1)
        return (Evidence(*row) for row in rows.tolist())

    @property
    def _estimates(
        self: "Evidence[resampling.Estimate]",
    ) -> tuple[resampling.Estimate, ...]:
        return attrs.astuple(self, recurse=False)

    @property
    def has_points(self: "Evidence[float]") -> bool:
        """Whether posteriors are points; an autoencoder has none."""
        return 0.0 < self.noise < POINTS

    @property
    def is_elsewhere(self: "Evidence[float]") -> bool:
        """Whether encoded images are not as far from the origin as N(0, I)."""
        return not NEAR[0] <= self.radius <= NEAR[1]

    @property
    def samples_fail(self: "Evidence[float]") -> bool:
        """Whether images of z ~ N(0, I) are much farther than reconstructions."""
        return self.gap > FAR


def _relative_radius(dimensions: per_dimension.Dimensions) -> np.ndarray:
    squares = np.square(dimensions.mean) + dimensions.spread + dimensions.noise
    return np.sqrt(squares.mean(axis=-1))


def kind_of(evidence: Evidence[float], config: config_lib.ModelConfig) -> str:
    """Return the kind of model that the numbers show, see `verdict.Verdict`."""
    if config.is_vae and evidence.kl < COLLAPSED:
        return "collapsed"
    if evidence.explained < LITTLE and evidence.noise > NOISY:
        return "over-regularised"
    if evidence.explained < NOTHING:
        return "underfitted"
    fails = evidence.has_points or evidence.is_elsewhere or evidence.samples_fail
    if fails or not config.has_divergence:
        return "autoencoder"
    if evidence.explained < LITTLE:
        return "underfitted"
    return "healthy"
