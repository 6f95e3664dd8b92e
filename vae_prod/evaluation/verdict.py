"""What kind of model the figures of an evaluation show, in words, and what to do.

Values decide, by the thresholds of `evidence`, which are told with every verdict. Where
images drawn anew show another kind, the verdict says so.
"""

import collections

import attrs

from vae_prod import config as config_lib
from vae_prod.evaluation import evidence as evidence_lib
from vae_prod.evaluation import measurements as measurements_lib
from vae_prod.evaluation import resampling
from vae_prod.reporting import uncertainty

_COLLAPSED, _NEAR, _FAR = evidence_lib.COLLAPSED, evidence_lib.NEAR, evidence_lib.FAR
_NOTHING, _LITTLE = evidence_lib.NOTHING, evidence_lib.LITTLE
_POINTS, _NOISY = evidence_lib.POINTS, evidence_lib.NOISY
# Share of the draws of the images that show another kind, from which it is told.
_DOUBT = 0.025
_Evidence = evidence_lib.Evidence[resampling.Estimate]


@attrs.frozen
class Verdict:
    """What the figures show.

    Attributes:
        kind: collapsed, underfitted, autoencoder, over-regularised or healthy.
        finding: The same in words.
        reasons: The figures behind it, with their intervals and thresholds.
        advice: What to do.
        uncertain: From which other kinds so many images can't tell it; empty: they can.
    """

    kind: str
    finding: str
    reasons: tuple[str, ...]
    advice: str
    uncertain: str = ""


def decide(
    measurements: measurements_lib.Measurements, config: config_lib.ModelConfig
) -> Verdict:
    """Decide what kind a model is by what its evaluation has taken."""
    evidence = evidence_lib.Evidence.from_measurements(measurements)
    kind = evidence_lib.kind_of(evidence.value, config)
    finding, reasons, advice = _TOLD[kind](evidence, measurements, config)
    kinds = collections.Counter(
        evidence_lib.kind_of(each, config) for each in evidence.replicates
    )
    uncertain = _uncertain(kind, kinds, measurements.quality.num_images)
    return Verdict(kind, finding, tuple(reasons), advice, uncertain)


def _uncertain(kind: str, kinds: collections.Counter, num_images: int) -> str:
    """Say from which kinds the images can't tell a model, given those of replicates."""
    drawn = {
        other: count / kinds.total()
        for other, count in kinds.most_common()
        if other != kind and count / kinds.total() > _DOUBT
    }
    if not drawn:
        return ""
    shares = " and ".join(f"{share:.0%} {other}" for other, share in drawn.items())
    return (
        f"with {num_images:,} images it can't be told from {' and '.join(drawn)} "
        f"(of the same images drawn anew, {shares}): evaluate on more images"
    )


def _collapsed(evidence: _Evidence, measurements, config) -> tuple[str, list[str], str]:
    quality = measurements.quality
    return (
        "posterior collapse: the decoder ignores z, and all images are alike",
        [
            f"z says {_told(quality.kl, '.2g')} nats about an image (KL less than "
            f"{_COLLAPSED:g}), with {quality.active_units.value} of {config.z_dim} "
            "units active"
        ],
        f"Lower --fact (now {config.fact:g}), warm it up (--fact_schedule=linear), or "
        "leave some KL free of charge (--free_bits=0.1).",
    )


def _underfitted(
    evidence: _Evidence, measurements, config
) -> tuple[str, list[str], str]:
    threshold = _NOTHING if evidence.value.explained < _NOTHING else _LITTLE
    return (
        "underfitted: reconstructions keep little of the images, though noise is not "
        "the reason",
        [f"{_explain(evidence)} (less than {threshold:.0%})"],
        f"{_lag(config)}Train longer, or raise --z_dim (now {config.z_dim}) or "
        "--filters.",
    )


def _autoencoder(
    evidence: _Evidence, measurements, config
) -> tuple[str, list[str], str]:
    if config.has_divergence:
        reasons, finding = [], "behaves like an autoencoder"
        advice = f"raise --fact (now {config.fact:g})"
    else:
        reasons = ["it was trained without a KL loss"]
        finding, advice = "is an autoencoder", "train with --mode=vae"
    numbers = evidence.value
    if numbers.has_points:
        reasons.append(
            f"{_share_of_noise(evidence)} (less than {_POINTS}): posteriors are "
            "points, with nothing learned between them"
        )
    if numbers.is_elsewhere:
        reasons.append(f"{_distance(evidence)} (not {_NEAR[0]} to {_NEAR[1]} times)")
    if numbers.samples_fail:
        reasons.append(f"{_gap(evidence)} (more than {_FAR:g} times)")
    return (
        f"{finding}: images of z ~ N(0, I) will fail",
        reasons,
        "Sample from a density fitted to the encoded images (tools.fit_sampler), or "
        f"{advice}.",
    )


def _over_regularised(
    evidence: _Evidence, measurements, config
) -> tuple[str, list[str], str]:
    return (
        "over-regularised: z says too little about an image, and everything blurs",
        [
            f"{_explain(evidence)} (less than {_LITTLE:.0%})",
            f"{_share_of_noise(evidence)} (more than {_NOISY})",
        ],
        f"{_lag(config)}Lower --fact (now {config.fact:g}), or, if the loss was still "
        "falling, train longer.",
    )


def _healthy(evidence: _Evidence, measurements, config) -> tuple[str, list[str], str]:
    return (
        "healthy: reconstructions keep what images show, and N(0, I) can be sampled",
        [
            f"{_explain(evidence)} (at least {_LITTLE:.0%})",
            f"{_share_of_noise(evidence)} (at least {_POINTS})",
            f"{_distance(evidence)} ({_NEAR[0]} to {_NEAR[1]} times)",
            f"{_gap(evidence)} (at most {_FAR:g} times)",
        ],
        "Sample from N(0, I). For more detail lower --fact a little, as long as "
        "samples keep up with reconstructions.",
    )


# What is told of each kind: finding, reasons, advice.
_TOLD = {
    "collapsed": _collapsed,
    "underfitted": _underfitted,
    "autoencoder": _autoencoder,
    "over-regularised": _over_regularised,
    "healthy": _healthy,
}


def _told(figure: resampling.Estimate, form: str) -> str:
    interval = uncertainty.plus_minus(figure.half_width)
    return f"{figure.value:{form}} {interval}"


def _explain(evidence: _Evidence) -> str:
    percent = resampling.derived(lambda share: 100.0 * share, evidence.explained)
    return f"reconstructions explain {_told(percent, '.0f')} % of the pixels' variance"


def _share_of_noise(evidence: _Evidence) -> str:
    return f"noise is {_told(evidence.noise, '.2g')} of the variance of z"


def _distance(evidence: _Evidence) -> str:
    return (
        f"encoded images are {_told(evidence.radius, '.2f')} times as far from the "
        "origin as points of N(0, I)"
    )


def _gap(evidence: _Evidence) -> str:
    return (
        f"images of z ~ N(0, I) are {_told(evidence.gap, '.1f')} times as far from "
        "real ones as reconstructions are"
    )


def _lag(config: config_lib.ModelConfig) -> str:
    if not config.uses_batch_norm:
        return ""
    return (
        "After few training steps batch norm's moving statistics lag behind the "
        "weights: see first whether --recompute_batch_norm=10 mends it. "
    )
