import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import special

from tests.vae_prod import tiny
from vae_prod.evaluation import (
    latent_space,
    measurements,
    resampling,
    verdict,
    wasserstein,
)
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation.features import built_in
from vae_prod.evaluation.features import distances as distances_lib
from vae_prod.latent import per_dimension, posterior_table

_Z_DIM = 64
_REPLICATES = resampling.REPLICATES


def _estimate(value: float, error: float = 0.0) -> resampling.Estimate:
    """Return a figure that other images change by a standard error."""
    quantiles = (np.arange(_REPLICATES) + 0.5) / _REPLICATES
    return resampling.Estimate(value, value + error * special.ndtri(quantiles))


def _measurements(
    explained=0.85,
    kl=32.0,
    mean=0.0,
    spread=0.2,
    noise=0.8,
    samples=110.0,
    reconstructions=100.0,
    error=0.0,
) -> measurements.Measurements:
    """Return a healthy model's figures but for those that are given.

    `error` is the standard error of the samples' distance, in thousandths too of the
    explained variance.
    """
    rows = [np.full(_Z_DIM, value) for value in (0.5, mean, spread, noise)]
    latent = latent_space.LatentSpace(
        per_dimension.Dimensions(*rows),
        per_dimension.Dimensions(*(np.tile(row, (_REPLICATES, 1)) for row in rows)),
    )
    quality = quality_lib.Quality(
        num_images=100,
        distance_images=100,
        sample_distance=wasserstein.Distance({32: _estimate(samples, error)}),
        reconstruction_distance=wasserstein.Distance({32: _estimate(reconstructions)}),
        judged=distances_lib.FeatureDistances(
            100,
            fid=_estimate(samples, error),
            reconstruction_fid=_estimate(reconstructions),
            **dict.fromkeys(
                (
                    *("kid", "reconstruction_kid", "precision", "recall"),
                    *("density", "coverage"),
                ),
                _estimate(0.5),
            ),
        ),
        mse=_estimate(0.01),
        psnr=_estimate(20.0),
        reconstruction_nats=_estimate(1e3),
        kl=_estimate(kl),
        elbo=_estimate(-1032.0),
        bits_per_dim=None,
        importance_bound=None,
        active_units=latent.estimate(lambda each: each.active_units),
        z_dim=_Z_DIM,
        radius=_estimate(1.0),
        sampled_radius=_estimate(1.0),
    )
    none = posterior_table.Extent(0.0, 0.0, 0.0)
    return measurements.Measurements(
        settings=measurements.EvaluationSettings(),
        judge=built_in.load_gradients((16, 16, 3)),
        quality=quality,
        reco_loss=_estimate(1e3),
        kl_loss=_estimate(160.0),
        ssim=_estimate(0.6),
        explained_variance=_estimate(explained, error / 1e3),
        latent=latent,
        z_log_var=_estimate(0.0),
        posteriors=posterior_table.Table(100, _Z_DIM, none, none, 0, *[none] * 4),
        checkerboards=(),
        recognised=None,
        pixel_statistics={},
        features={},
        images_digest="",
    )


class DecideTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({}, {}, "healthy", "Sample from N"),
        ({"kl": 0.9, "explained": 0.1}, {}, "collapsed", r"Lower --fact \(now 5\)"),
        (
            {"kl": 0.0, "noise": 0.0, "spread": 1.0},
            {"mode": "ae"},
            "autoencoder",
            "--mode=vae",
        ),
        ({"noise": 1e-6, "spread": 1.0}, {"fact": 1e-5}, "autoencoder", "now 1e-05"),
        ({"noise": 0.5, "spread": 3.0}, {}, "autoencoder", "tools.fit_sampler"),
        ({"mean": 2.0}, {}, "autoencoder", "raise --fact"),
        ({"noise": 0.1, "spread": 0.3}, {}, "autoencoder", "raise --fact"),
        ({"samples": 450.0}, {}, "autoencoder", "raise --fact"),
        (
            {"explained": 0.4},
            {"fact": 50.0, "batch_norm": False},
            "over-regularised",
            r"^Lower --fact \(now 50\)",
        ),
        # Two dimensions can't say more, and all they say is kept.
        (
            {"explained": 0.4, "noise": 0.01, "spread": 0.99},
            {"batch_norm": False},
            "underfitted",
            r"^Train longer, or raise --z_dim",
        ),
        ({"explained": -0.1}, {}, "over-regularised", "--recompute_batch_norm=10"),
        (
            {"explained": -0.1, "noise": 1e-6, "spread": 1.0},
            {},
            "underfitted",
            "--recompute_batch_norm=10",
        ),
        (
            {"explained": 0.01, "noise": 0.0, "spread": 1.0},
            {"mode": "ae"},
            "underfitted",
            "Train longer",
        ),
    )
    def test_kinds(self, figures, config, kind, advice):
        decided = verdict.decide(_measurements(**figures), tiny.config(**config))
        self.assertEqual(decided.kind, kind)
        self.assertRegex(decided.advice, advice)
        self.assertNotEmpty(decided.reasons)

    def test_all_that_speaks_against_sampling_is_told(self):
        figures = _measurements(noise=1e-5, spread=9.0, samples=500.0)
        decided = verdict.decide(figures, tiny.config(fact=1e-5))
        self.assertLen(decided.reasons, 3)
        for reason, words in zip(
            decided.reasons,
            ("noise is 1.1e-06 ±", "3.00 ± 0 times", "5.0 ± 0 times as far"),
            strict=True,
        ):
            self.assertIn(words, reason)

    def test_a_healthy_model_is_told_why(self):
        decided = verdict.decide(_measurements(), tiny.config())
        self.assertLen(decided.reasons, 4)
        self.assertIn("explain 85 ± 0 % of the pixels' variance", decided.reasons[0])
        self.assertIn("1.00 ± 0 times as far from the origin", decided.reasons[2])
        self.assertEqual(decided.uncertain, "")

    def test_what_the_images_cannot_tell_is_told(self):
        # A normal distribution has 16 % beyond one standard error, 1 % beyond 2.33.
        for samples, kind, other in (
            (390.0, "healthy", "autoencoder"),
            (410.0, "autoencoder", "healthy"),
        ):
            figures = _measurements(samples=samples, error=10.0)
            decided = verdict.decide(figures, tiny.config())
            self.assertEqual(decided.kind, kind)
            self.assertStartsWith(
                decided.uncertain, f"with 100 images it can't be told from {other} ("
            )
            self.assertIn(f"16% {other}): evaluate on more", decided.uncertain)
        figures = _measurements(samples=376.7, error=10.0)
        self.assertEqual(verdict.decide(figures, tiny.config()).uncertain, "")
        figures = _measurements(explained=0.63, error=30.0)
        decided = verdict.decide(figures, tiny.config())
        self.assertIn("told from over-regularised", decided.uncertain)


if __name__ == "__main__":
    tf.test.main()
