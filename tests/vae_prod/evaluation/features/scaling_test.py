import numpy as np
import tensorflow as tf

from vae_prod.evaluation.features import scaling


class WeightsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(1)
        self.features = random.normal(size=(200, 6)) * [1, 1, 1, 50, 100, 1e-9]

    def test_each_group_counts_the_same(self):
        weighted = self.features * scaling.weights(self.features, (3, 3))
        shares = weighted.var(axis=0)
        self.assertAllClose(shares[:3].sum(), 1.0, atol=0.1)
        # What varies less than its group is not blown up to the others.
        self.assertAllClose(shares[4], 1 / 3, atol=1e-6)
        self.assertLess(shares[3], 1 / 3)
        self.assertLess(shares[5], 1e-12)

    def test_any_unit(self):
        scaled = self.features * np.repeat([7.0, 0.01], 3)
        self.assertAllClose(
            scaled * scaling.weights(scaled, (3, 3)),
            self.features * scaling.weights(self.features, (3, 3)),
        )

    def test_of_one_kind_as_they_are(self):
        self.assertAllEqual(scaling.weights(self.features, ()), np.ones(6))

    def test_all_equal(self):
        weights = scaling.weights(np.ones((5, 4)), (2, 2))
        self.assertTrue(np.isfinite(weights).all())


if __name__ == "__main__":
    tf.test.main()
