"""What kind of model the figures of an evaluation show, in words, and what to do.

The thresholds are stated here and told with every verdict. They were chosen on runs of
the reference VAE over `fact` on faces, so that each kind is told where its pictures
show it; they are no theory.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from vae_prod import config as config_lib
from vae_prod.evaluation import measurements as measurements_lib

# Nats per image of the posterior from N(0, I), and so at most what z says of an image.
_COLLAPSED = 1.0
# Shares of the pixels' variance that reconstructions give back: what is no better than
# the mean image, and what keeps general features only.
_NOTHING, _LITTLE = 0.05, 0.6
# Shares of the posteriors' noise in the variance of z. Below the first, posteriors are
# points; above the second, dimensions say less than they hide.
_POINTS, _NOISY = 1e-3, 0.5
# Root mean square of |z|, over that of N(0, I), that is near enough.
_NEAR = (0.75, 1.33)
# Distance of samples from real images, over that of reconstructions, that is far.
_FAR = 2.0


@attrs.frozen
class Verdict:
    """What the figures show.

    Attributes:
        kind: collapsed, underfitted, autoencoder, over-regularised or healthy.
        finding: The same in words.
        reasons: The figures behind it, with their thresholds.
        advice: What to do.
    """

    kind: str
    finding: str
    reasons: tuple[str, ...]
    advice: str


@attrs.frozen
class _Evidence:
    """The figures that decide."""

    explained: float
    kl: float
    active: int
    noise: float
    radius: float
    gap: float

    @classmethod
    def from_measurements(
        cls, measurements: measurements_lib.Measurements
    ) -> "_Evidence":
        quality, dimensions = measurements.quality, measurements.dimensions
        squares = np.square(dimensions.mean) + dimensions.spread + dimensions.noise
        reconstructions = quality.reconstruction_distance.mean
        return cls(
            measurements.explained_variance,
            quality.kl,
            quality.active_units,
            dimensions.noise_share,
            float(np.sqrt(squares.mean())),
            quality.sample_distance.mean / max(reconstructions, 1e-9),
        )

    def against_sampling(self) -> Iterator[str]:
        """Give the reasons why z ~ N(0, I) is not what the decoder was trained on."""
        if 0.0 < self.noise < _POINTS:  # An autoencoder has none.
            yield (
                f"noise is {self.noise:.2g} of the variance of z (less than {_POINTS})"
                ": posteriors are points, with nothing learned between them"
            )
        if not _NEAR[0] <= self.radius <= _NEAR[1]:
            yield (
                f"encoded images are {self.radius:.2f} times as far from the origin as "
                f"points of N(0, I) (not {_NEAR[0]} to {_NEAR[1]} times)"
            )
        if self.gap > _FAR:
            yield (
                f"images of z ~ N(0, I) are {self.gap:.1f} times as far from real ones "
                f"as reconstructions are (more than {_FAR:g} times)"
            )

    def of_health(self) -> Iterator[str]:
        yield f"reconstructions explain {self._explained} (at least {_LITTLE:.0%})"
        yield f"noise is {self.noise:.2g} of the variance of z (at least {_POINTS})"
        yield (
            f"encoded images are {self.radius:.2f} times as far from the origin as "
            f"points of N(0, I) ({_NEAR[0]} to {_NEAR[1]} times)"
        )
        yield (
            f"images of z ~ N(0, I) are {self.gap:.1f} times as far from real ones as "
            f"reconstructions are (at most {_FAR:g} times)"
        )

    @property
    def _explained(self) -> str:
        return f"{self.explained:.0%} of the pixels' variance"

    def of_reconstructions(self, threshold: float) -> str:
        return f"reconstructions explain {self._explained} (less than {threshold:.0%})"


def decide(
    measurements: measurements_lib.Measurements, config: config_lib.ModelConfig
) -> Verdict:
    """Decide what kind a model is by what its evaluation has taken."""
    evidence = _Evidence.from_measurements(measurements)
    if config.is_vae and evidence.kl < _COLLAPSED:
        return _collapsed(evidence, config)
    if evidence.explained < _LITTLE and evidence.noise > _NOISY:
        return _over_regularised(evidence, config)
    if evidence.explained < _NOTHING:
        return _underfitted(evidence, _NOTHING, config)
    against = tuple(evidence.against_sampling())
    if against or not config.is_vae:
        return _autoencoder(against, config)
    if evidence.explained < _LITTLE:
        return _underfitted(evidence, _LITTLE, config)
    return Verdict(
        "healthy",
        "healthy: reconstructions keep what images show, and N(0, I) can be sampled",
        tuple(evidence.of_health()),
        "Sample from N(0, I). For more detail lower --fact a little, as long as "
        "samples keep up with reconstructions.",
    )


def _collapsed(evidence: _Evidence, config: config_lib.ModelConfig) -> Verdict:
    return Verdict(
        "collapsed",
        "posterior collapse: the decoder ignores z, and all images are alike",
        (
            f"z says {evidence.kl:.2g} nats about an image (KL less than "
            f"{_COLLAPSED:g}), with {evidence.active} of {config.z_dim} units active",
        ),
        f"Lower --fact (now {config.fact:g}), warm it up (--fact_schedule=linear), or "
        "leave some KL free of charge (--free_bits=0.1).",
    )


def _underfitted(
    evidence: _Evidence, threshold: float, config: config_lib.ModelConfig
) -> Verdict:
    return Verdict(
        "underfitted",
        "underfitted: reconstructions keep little of the images, though noise is not "
        "the reason",
        (evidence.of_reconstructions(threshold),),
        f"{_lag(config)}Train longer, or raise --z_dim (now {config.z_dim}) or "
        "--filters.",
    )


def _lag(config: config_lib.ModelConfig) -> str:
    if not config.uses_batch_norm:
        return ""
    return (
        "After few training steps batch norm's moving statistics lag behind the "
        "weights: see first whether --recompute_batch_norm=10 mends it. "
    )


def _autoencoder(against: tuple[str, ...], config: config_lib.ModelConfig) -> Verdict:
    if not config.is_vae:
        reasons = ("it was trained without a KL loss", *against)
        finding, advice = "is an autoencoder", "train with --mode=vae"
    else:
        reasons, finding = against, "behaves like an autoencoder"
        advice = f"raise --fact (now {config.fact:g})"
    return Verdict(
        "autoencoder",
        f"{finding}: images of z ~ N(0, I) will fail",
        reasons,
        "Sample from a density fitted to the encoded images (tools.fit_sampler), or "
        f"{advice}.",
    )


def _over_regularised(evidence: _Evidence, config: config_lib.ModelConfig) -> Verdict:
    return Verdict(
        "over-regularised",
        "over-regularised: z says too little about an image, and everything blurs",
        (
            evidence.of_reconstructions(_LITTLE),
            f"noise is {evidence.noise:.2g} of the variance of z (more than {_NOISY})",
        ),
        f"{_lag(config)}Lower --fact (now {config.fact:g}), or, if the loss was still "
        "falling, train longer.",
    )
