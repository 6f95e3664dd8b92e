import numpy as np
import tensorflow as tf

from vae_prod.evaluation import potentials, resampling

_NUM, _SAMPLES = 64, 2


def _draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets, whose images' samples are alike: float64 [1, N x P] each."""
    sets = []
    for mean, deviation in ((0.0, 1.0), (0.8, 1.5)):
        shared = random.normal(mean, deviation, (_NUM, 1))
        samples = shared + random.normal(0.0, 0.3, (_NUM, _SAMPLES))
        sets.append(samples.reshape(1, -1))
    return tuple(sets)


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return np.abs(np.sort(first) - np.sort(second)).mean()


class InfluencesTest(tf.test.TestCase):
    def test_means_add_up_to_the_distance(self):
        first, second = _draw(np.random.default_rng(0))
        sums = sum(each.mean() for each in potentials.influences(first, second, _NUM))
        # Bins have a 512th of the range.
        self.assertAllClose(sums, _distance(first, second), atol=0.02)

    def test_of_shifted_samples_all_move_alike(self):
        first = np.random.default_rng(0).normal(size=(3, 50))
        one, other = potentials.influences(first, first + 100.0, 50)
        # The slope is 1 everywhere: what lies between them, less where each sample is.
        places = first.mean(axis=0)
        self.assertAllClose(one - one.mean(), places.mean() - places, atol=0.3)
        self.assertAllClose(other - other.mean(), places - places.mean(), atol=0.3)

    def test_equal_sets_and_equal_samples(self):
        same = np.random.default_rng(0).normal(size=(1, 20))
        for first in (same, np.ones((1, 20))):
            for each in potentials.influences(first, first, 10):
                self.assertAllEqual(each, np.zeros(10))

    def test_intervals_cover_as_often_as_they_say(self):
        random, values, errors = np.random.default_rng(1), [], []
        for seed in range(1000):
            sets = _draw(random)
            values.append(_distance(*sets))
            replicates = np.full(resampling.REPLICATES, values[-1])
            influences = potentials.influences(*sets, _NUM)
            for stream, each in enumerate(influences):
                counts = resampling.counts(seed, stream, 0, _NUM)
                replicates += (each - each.mean()) @ (counts - 1.0) / _NUM
            errors.append(resampling.Estimate(values[-1], replicates).half_width)
        covered = np.abs(np.array(values) - np.mean(values)) < errors
        self.assertBetween(covered.mean(), 0.93, 0.97)


if __name__ == "__main__":
    tf.test.main()
