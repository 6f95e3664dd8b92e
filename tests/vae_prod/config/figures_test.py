import tensorflow as tf
from absl.testing import parameterized

from vae_prod import config as config_lib
from vae_prod.config import figures


class FiguresTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*figures.FIGURES)
    def test_a_kind_is_whole(self, name):
        kind = figures.FIGURES[name]
        self.assertIn(kind.unit, figures.UNITS)
        self.assertIn(kind.better, (figures.HIGHER, figures.LOWER, figures.NEITHER))
        self.assertTrue(kind.text and kind.label)

    def test_labels_tell_figures_apart(self):
        labels = [kind.label for kind in figures.FIGURES.values()]
        self.assertLen(set(labels), len(labels))

    @parameterized.parameters(*config_lib.OBJECTIVES)
    def test_a_search_knows_which_way_its_objective_is_better(self, objective):
        search = config_lib.SearchConfig(objective=objective, importance_samples=1)
        higher = objective in ("psnr", "elbo", "importance_bound")
        self.assertEqual(search.minimize, not higher)


if __name__ == "__main__":
    tf.test.main()
