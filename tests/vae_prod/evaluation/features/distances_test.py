import attrs
import numpy as np
import tensorflow as tf

from tests.vae_prod.evaluation.features import sets
from vae_prod.evaluation.features import distances, frechet, kernel, neighbourhoods


class CompareTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.real, self.samples = random.normal(size=(2, 60, 4)).astype(np.float32)
        self.counts = sets.counts(60, 60)

    def test_holds_all_of_them(self):
        decoded = 0.9 * self.real
        measured = distances.compare(self.real, self.samples, decoded, self.counts)
        self.assertEqual(measured.num_images, 60)
        real_counts, sample_counts = self.counts
        sampled = (self.samples, self.real, (sample_counts, real_counts))
        paired = (decoded, self.real, (real_counts, real_counts))
        density, coverage = neighbourhoods.density_coverage(*sampled)
        for name, expected in {
            "fid": frechet.frechet_distance(*sampled),
            "kid": kernel.kernel_distance(*sampled),
            "reconstruction_fid": frechet.frechet_distance(*paired),
            "reconstruction_kid": kernel.kernel_distance(*paired, is_paired=True),
            "precision": neighbourhoods.share_among(*sampled),
            "recall": neighbourhoods.share_among(
                self.real, self.samples, (real_counts, sample_counts)
            ),
            "density": density,
            "coverage": coverage,
        }.items():
            estimate = getattr(measured, name)
            self.assertEqual(estimate.value, expected.value, name)
            self.assertAllEqual(estimate.replicates, expected.replicates)

    def test_perfect_reconstructions_are_surely_at_0(self):
        measured = distances.compare(self.real, self.samples, self.real, self.counts)
        for name in ("reconstruction_fid", "reconstruction_kid"):
            estimate = getattr(measured, name)
            self.assertAllClose(estimate.value, 0.0, atol=1e-9)
            self.assertAllClose(estimate.replicates, np.zeros(200), atol=1e-9)

    def test_figures_are_those_of_the_table(self):
        from vae_prod.config import figures

        names = {field.name for field in attrs.fields(distances.FeatureDistances)}
        self.assertEqual(names - {"num_images"}, set(figures.FEATURES))

    def test_refuses_sets_that_do_not_compare(self):
        seven, six = np.zeros((7, 2)), np.zeros((6, 2))
        for real, samples in ((seven, six), (six, six), (seven, np.zeros((7, 3)))):
            with self.assertRaisesRegex(ValueError, "as many features, at least 7"):
                distances.compare(real, samples, real, self.counts)


if __name__ == "__main__":
    tf.test.main()
