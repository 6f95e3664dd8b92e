import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod.evaluation.features import sets
from vae_prod.evaluation.features import neighbourhoods


def _all(samples, real, counts=None) -> list:
    """Return estimates of precision, recall, density and coverage."""
    counts = counts or sets.counts(len(samples), len(real))
    return [
        neighbourhoods.share_among(samples, real, counts),
        neighbourhoods.share_among(real, samples, counts[::-1]),
        *neighbourhoods.density_coverage(samples, real, counts),
    ]


def _values(samples, real) -> list[float]:
    return [estimate.value for estimate in _all(samples, real)]


class ValuesTest(tf.test.TestCase):
    def test_equal_sets(self):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        precision, recall, density, coverage = _values(features, features)
        self.assertEqual((precision, recall, coverage), (1.0, 1.0, 1.0))
        # Each sphere holds 5 neighbours and its own.
        self.assertAllClose(density, 6 / 5)

    def test_sets_apart(self):
        features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        self.assertEqual(_values(features, features + 100), [0.0] * 4)

    def test_on_a_line_by_hand(self):
        real = np.float32([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
        samples = np.float32([[-1.5], [-5.5], [8.5], [9.5], [10.5], [11.5], [12.5]])
        # Third neighbours of the real ones are 3, 2, 2, 2, 2, 2, 3 away, so that they
        # reach from -3 to 9. Those of the samples are 11, 15, 3, 2, 2, 3, 4 away.
        # Fifth neighbours of the real ones are 5, 4, 3, 3, 3, 4, 5 away: -1.5 is in the
        # spheres of 0, 1; 8.5 in those of 5, 6; 9.5 and 10.5 in that of 6.
        self.assertAllClose(_values(samples, real), [2 / 7, 1.0, 6 / 5 / 7, 4 / 7])

    def test_one_mode_is_precise_and_recalls_little(self):
        random = np.random.default_rng(0)
        modes = random.normal(size=(4, 50, 2)) + np.float32(
            [[[0, 0]], [[50, 0]], [[0, 50]], [[50, 50]]]
        )
        real = modes.reshape(-1, 2)
        samples = np.concatenate([modes[0] + 1e-3 * random.normal(size=(50, 2))] * 4)
        precision, recall, density, coverage = _values(samples, real)
        self.assertGreater(precision, 0.95)
        self.assertLess(recall, 0.26)
        self.assertAllClose(density, 6 / 5, atol=0.2)  # Near one real image each.
        self.assertAllClose(coverage, 0.25, atol=0.01)

    def test_equal_distributions_are_at_what_is_expected(self):
        ((samples, real),) = sets.gaussians(1, 2000, 3)
        _, _, density, coverage = _values(samples, real)
        self.assertAllClose(density, 1.0, atol=0.06)
        self.assertAllClose(coverage, 1 - 2**-5, atol=0.01)

    def test_a_real_image_far_from_others_counts_in_precision_alone(self):
        # Its sphere holds everything.
        random = np.random.default_rng(0)
        real = np.concatenate([random.normal(size=(99, 2)), [[1000.0, 0.0]]])
        samples = random.normal(size=(100, 2)) + 200.0
        precision, _, density, _ = _values(samples, real)
        self.assertEqual(precision, 1.0)
        self.assertAllClose(density, 1 / 5)

    def test_copies_within_a_set(self):
        real = np.repeat(np.arange(4.0)[:, None], 7, axis=0)
        self.assertAllClose(_values(real, real), [1.0, 1.0, 7 / 5, 1.0])


class ReplicatesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1.0, 1.0), (0.0, 0.4), (0.0, 2.5))
    def test_are_those_of_sets_without_an_image(self, shift, scale):
        ((samples, real),) = sets.gaussians(1, 40, 2, shift, scale)
        samples = samples[:30]
        drawn, once = sets.counts(30, 40), [np.ones((n, 200)) for n in (30, 40)]
        for i, without in enumerate(
            (
                lambda number: (np.delete(samples, number, 0), real),
                lambda number: (samples, np.delete(real, number, 0)),
            )
        ):
            size = (len(samples), len(real))[i]
            values = np.array([_values(*without(number)) for number in range(size)])
            influences = -(size - 1) * (values - values.mean(axis=0))
            expected = (drawn[i].T @ influences).T / drawn[i].sum(axis=0)
            counts = [drawn[j] if j == i else once[j] for j in range(2)]
            precision, recall, density, coverage = (
                each.replicates - each.value for each in _all(samples, real, counts)
            )
            self.assertAllClose(coverage, expected[3], atol=1e-6)
            # The points' part is whole, that of the spheres shrunk.
            for measured, other, is_whole in (
                (precision, expected[0], i == 0),
                (recall, expected[1], i == 1),
                (density, expected[2], i == 0),
            ):
                ratio = 1.0
                if not is_whole:
                    ratio = (measured @ other) / max(other @ other, 1e-12)
                    self.assertBetween(ratio, -1e-6, 1.0 + 1e-6)
                self.assertAllClose(measured, ratio * other, atol=1e-6)

    @parameterized.parameters(
        (lambda *given: neighbourhoods.share_among(*given), 0.92, 0.98),
        (lambda *given: neighbourhoods.density_coverage(*given)[0], 0.92, 0.98),
        (lambda *given: neighbourhoods.density_coverage(*given)[1], 0.95, 1.0),
    )
    def test_intervals_cover_as_often_as_they_say(self, estimate, least, most):
        measured = sets.coverage(estimate, sets.gaussians(200, 150, 16, 0.4))
        self.assertBetween(measured, least, most)


if __name__ == "__main__":
    tf.test.main()
