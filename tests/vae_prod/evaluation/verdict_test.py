import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.evaluation import measurements, verdict, wasserstein
from vae_prod.evaluation import quality as quality_lib
from vae_prod.latent import per_dimension, posterior_table

_Z_DIM = 64


def _measurements(
    explained=0.85,
    kl=32.0,
    mean=0.0,
    spread=0.2,
    noise=0.8,
    samples=110.0,
    reconstructions=100.0,
) -> measurements.Measurements:
    """Return a healthy model's figures but for those that are given."""
    rows = [np.full(_Z_DIM, value) for value in (0.5, mean, spread, noise)]
    dimensions = per_dimension.Dimensions(*rows)
    quality = quality_lib.Quality(
        num_images=100,
        distance_images=100,
        sample_distance=wasserstein.Distance({32: samples}),
        reconstruction_distance=wasserstein.Distance({32: reconstructions}),
        mse=0.01,
        psnr=20.0,
        reconstruction_nats=1e3,
        kl=kl,
        elbo=-1032.0,
        bits_per_dim=None,
        importance_bound=None,
        active_units=dimensions.active_units,
        z_dim=_Z_DIM,
        radius=1.0,
        sampled_radius=1.0,
    )
    none = posterior_table.Extent(0.0, 0.0, 0.0)
    return measurements.Measurements(
        settings=measurements.Settings(),
        quality=quality,
        reco_loss=1e3,
        kl_loss=160.0,
        ssim=0.6,
        explained_variance=explained,
        dimensions=dimensions,
        posteriors=posterior_table.Table(100, _Z_DIM, none, none, 0, *[none] * 4),
        checkerboards=(),
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
        ({"samples": 250.0}, {}, "autoencoder", "raise --fact"),
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
        figures = _measurements(noise=1e-5, spread=9.0, samples=300.0)
        decided = verdict.decide(figures, tiny.config(fact=1e-5))
        self.assertLen(decided.reasons, 3)
        for reason, words in zip(
            decided.reasons,
            ("noise is 1.1e-06 of", "3.00 times as far", "3.0 times as far"),
            strict=True,
        ):
            self.assertIn(words, reason)

    def test_a_healthy_model_is_told_why(self):
        decided = verdict.decide(_measurements(), tiny.config())
        self.assertLen(decided.reasons, 4)
        self.assertIn("explain 85% of the pixels' variance", decided.reasons[0])
        self.assertIn("1.00 times as far from the origin", decided.reasons[2])


if __name__ == "__main__":
    tf.test.main()
