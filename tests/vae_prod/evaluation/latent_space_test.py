import types

import numpy as np
import tensorflow as tf

from vae_prod.evaluation import latent_space, resampling
from vae_prod.latent import per_dimension

_FIELDS = ("kl", "mean", "spread", "noise")


def _batch(first: int, z_mean: np.ndarray, z_log_var: np.ndarray | None):
    counts = resampling.counts(1, resampling.REAL, first, len(z_mean))
    return types.SimpleNamespace(z_mean=z_mean, z_log_var=z_log_var, counts=counts)


class LatentSpaceTest(tf.test.TestCase):
    def test_a_replicate_is_that_of_the_images_it_drew(self):
        random = np.random.default_rng(0)
        z_mean, z_log_var = random.normal(size=(2, 40, 3)).astype(np.float32)
        moments = latent_space.Moments()
        for first in (0, 25):
            rows = slice(first, first + 25)
            moments.add(_batch(first, z_mean[rows], z_log_var[rows]))
        latent = moments.result()
        counts = resampling.counts(1, resampling.REAL, 0, 40).astype(int)
        for replicate in (0, 199):
            drawn = np.repeat(np.arange(40), counts[:, replicate])
            expected = per_dimension.Moments()
            expected.add(z_mean[drawn], z_log_var[drawn])
            for name in _FIELDS:
                self.assertAllClose(
                    getattr(latent.replicates, name)[replicate],
                    getattr(expected.result(), name),
                    rtol=1e-5,
                )
        share = latent.estimate(lambda each: each.noise_share)
        self.assertAllClose(share.replicates[199], expected.result().noise_share)

    def test_an_autoencoder_has_neither_kl_nor_noise(self):
        moments = latent_space.Moments()
        moments.add(_batch(0, np.ones((5, 2), np.float32), None))
        latent = moments.result()
        for figure in (
            lambda each: each.kl.sum(axis=-1),
            lambda each: each.noise_share,
        ):
            self.assertEqual(latent.estimate(figure).interval, (0.0, 0.0))


if __name__ == "__main__":
    tf.test.main()
