import numpy as np
import tensorflow as tf

from vae_prod.evaluation import resampling


class CountsTest(tf.test.TestCase):
    def test_whatever_the_batches(self):
        whole = resampling.counts(3, resampling.REAL, 0, 50)
        parts = [
            resampling.counts(3, resampling.REAL, first, count)
            for first, count in ((0, 7), (7, 1), (8, 42))
        ]
        self.assertAllEqual(np.concatenate(parts), whole)

    def test_streams_and_seeds_differ(self):
        drawn = resampling.counts(3, resampling.REAL, 0, 50)
        for seed, stream in ((4, resampling.REAL), (3, resampling.GENERATED)):
            other = resampling.counts(seed, stream, 0, 50)
            correlation = np.corrcoef(drawn.ravel(), other.ravel())[0, 1]
            self.assertLess(abs(correlation), 0.05)

    def test_poisson(self):
        drawn = resampling.counts(1, resampling.REAL, 0, 2000)
        self.assertAllClose(drawn.mean(), 1.0, atol=0.01)
        self.assertAllClose(drawn.var(), 1.0, atol=0.01)
        self.assertAllClose((drawn == 0).mean(), np.exp(-1), atol=0.005)


class MeanTest(tf.test.TestCase):
    def _estimate(self, values, seed=1):
        mean = resampling.Mean()
        for first in range(0, len(values), 64):
            batch = values[first : first + 64]
            counts = resampling.counts(seed, resampling.REAL, first, len(batch))
            mean.add(batch, counts)
        return mean.result()

    def test_value_and_standard_error(self):
        values = np.random.default_rng(1).gamma(2.0, size=1000)
        estimate = self._estimate(values)
        self.assertAllClose(estimate.value, values.mean())
        expected = values.std() / np.sqrt(len(values))
        self.assertAllClose(estimate.standard_error, expected, rtol=0.15)
        low, high = estimate.interval
        self.assertAllClose((low + high) / 2, estimate.value)

    def test_shares(self):
        is_in = np.arange(1000) % 4 == 0
        estimate = self._estimate(is_in)
        self.assertEqual(estimate.value, 0.25)
        expected = np.sqrt(0.25 * 0.75 / 1000)
        self.assertAllClose(estimate.standard_error, expected, rtol=0.15)
        self.assertEqual(self._estimate(np.ones(100, bool)).standard_error, 0.0)

    def test_intervals_cover_as_often_as_they_say(self):
        random, covered = np.random.default_rng(2), []
        for trial in range(2000):
            low, high = self._estimate(random.gamma(2.0, size=128), trial).interval
            covered.append(low <= 2.0 <= high)
        self.assertBetween(np.mean(covered), 0.93, 0.97)

    def test_what_images_share_cancels_in_differences(self):
        random = np.random.default_rng(3)
        hard = random.normal(size=500)
        first, second = (hard + 0.01 * random.normal(size=500) for _ in range(2))
        difference = resampling.difference(
            self._estimate(first + 0.1), self._estimate(second)
        )
        self.assertAllClose(difference.value, 0.1, atol=0.005)
        self.assertGreater(difference.interval[0], 0.0)
        alone = self._estimate(first).standard_error
        self.assertLess(difference.standard_error, alone / 20)

    def test_means_of_arrays(self):
        values = np.random.default_rng(4).normal(size=(70, 2, 3))
        estimate = self._estimate(values)
        self.assertAllClose(estimate.value, values.mean(axis=0))
        for place in np.ndindex(2, 3):
            alone = self._estimate(values[:, *place])
            self.assertAllClose(estimate.replicates[:, *place], alone.replicates)


class DerivedTest(tf.test.TestCase):
    def test_is_computed_of_values_and_of_replicates(self):
        replicates = np.arange(resampling.REPLICATES) + 1.0
        first = resampling.Estimate(3.0, replicates)
        second = resampling.Estimate(2.0, replicates**2)
        ratio = resampling.derived(lambda one, two: one / two, first, second)
        self.assertEqual(ratio, resampling.Estimate(1.5, 1 / replicates))

    def test_what_an_interval_may_be(self):
        replicates = np.random.default_rng(0).normal(5.0, 1.0, resampling.REPLICATES)
        estimate = resampling.Estimate(5.0, replicates)
        for value, may_be in ((4.0, True), (6.0, True), (2.0, False), (8.0, False)):
            self.assertEqual(estimate.may_be(value), may_be)


class OverTrainingsTest(tf.test.TestCase):
    def _trainings(self, random, count, between=1.0, within=0.5):
        """Return a figure of trainings, on images that all of them share."""
        images = random.normal(0.0, within, resampling.REPLICATES + 1)
        return [
            resampling.Estimate(moved[0], moved[0] - images[0] + images[1:])
            for moved in (images + random.normal(0.0, between) for _ in range(count))
        ]

    def test_one_training_knows_of_images_alone(self):
        (only,) = self._trainings(np.random.default_rng(0), 1)
        self.assertEqual(resampling.over_trainings([only], 1), only)

    def test_spreads_as_other_trainings_on_other_images(self):
        random, values, variances = np.random.default_rng(1), [], []
        for seed in range(500):
            trainings = self._trainings(random, 3)
            estimate = resampling.over_trainings(trainings, seed)
            values.append(estimate.value)
            variances.append(estimate.standard_error**2)
        self.assertAllClose(np.mean(variances), np.var(values), rtol=0.15)

    def test_draws_are_the_same_for_all_models(self):
        trainings = self._trainings(np.random.default_rng(2), 4)
        better = [
            resampling.derived(lambda value: value + 0.1, each) for each in trainings
        ]
        difference = resampling.difference(
            resampling.over_trainings(better, 5),
            resampling.over_trainings(trainings, 5),
        )
        self.assertAllClose(difference.interval, (0.1, 0.1))


if __name__ == "__main__":
    tf.test.main()
