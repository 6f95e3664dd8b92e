"""Tests for vae_prod.latent.moments."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.latent import moments as moments_lib


class MomentsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(([10],), ([4, 4, 2],), ([1] * 10,), ([0, 7, 0, 3],))
    def test_are_those_of_all_rows_whatever_the_batches(self, sizes):
        rows = np.random.default_rng(0).normal(3.0, 2.0, (10, 5))
        moments = moments_lib.Moments()
        for batch in np.split(rows, np.cumsum(sizes)[:-1]):
            moments.update(batch)
        self.assertEqual(moments.count, 10)
        self.assertAllClose(moments.mean, rows.mean(axis=0), rtol=1e-12)
        self.assertAllClose(moments.variance, rows.var(axis=0), rtol=1e-12)

    def test_large_mean_costs_no_digits(self):
        moments = moments_lib.Moments()
        for _ in range(100):
            moments.update(np.array([1e8 - 1.0, 1e8 + 1.0]))
        self.assertAllClose(moments.variance, 1.0, rtol=1e-12)

    def test_scalars(self):
        moments = moments_lib.Moments()
        moments.update(np.float32([1.0, 2.0]))
        moments.update(np.float32([6.0]))
        self.assertEqual(moments.mean, 3.0)  # Not 3.75, the mean of the batches' means.


if __name__ == "__main__":
    tf.test.main()
