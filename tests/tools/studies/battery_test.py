from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from tests.vae_prod.evaluation import evaluations
from tools.studies import battery, judges, measures
from vae_prod.config import figures as kinds
from vae_prod.evaluation import judge as judge_lib
from vae_prod.evaluation import recognition


class DamagesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(3, 1)
    def test_each_degree_changes_more(self, channels):
        images = tiny.images(9, (48, 48, channels)) // 2 + 64
        # Soft, for noise is not what blurring and JPEG take away by degrees.
        images = tf.image.resize(tf.image.resize(images, (8, 8)), (48, 48))
        images = images.numpy().astype(np.uint8)
        sets = battery.damaged(images, seed=1)
        self.assertAllEqual(sets[battery.REAL](), images)
        for damage in battery.DAMAGES:
            changes = [0.0]
            for name, _ in damage.sets():
                made = sets[name]()
                self.assertEqual((made.shape, made.dtype), (images.shape, np.uint8))
                changes.append(np.abs(made - images.astype(float)).mean())
            with self.subTest(damage.name):
                self.assertGreater(changes[1], 0.0)
                self.assertGreaterEqual(changes[-1], changes[1])

    def test_the_same_for_a_seed(self):
        images = tiny.images(9, (16, 16, 3))
        sets = battery.damaged(images, 1)
        first, again = (sets["noise 20"]() for _ in range(2))
        self.assertAllEqual(first, again)
        same, other = (battery.damaged(images, seed)["noise 20"]() for seed in (1, 2))
        self.assertAllEqual(first, same)
        self.assertNotAllEqual(first, other)


class AgreementTest(tf.test.TestCase):
    def _values(self, sign):
        names = {name for chain in battery.CHAINS for name in chain.sets}
        depths = dict.fromkeys(names, 0)
        for _ in names:  # Longest way from a best set.
            for chain in battery.CHAINS:
                for better, worse in chain.pairs():
                    depths[worse] = max(depths[worse], depths[better] + 1)
        return {
            name: {"gradients, fid": sign * depth, "gradients, coverage": depth}
            for name, depth in depths.items()
        }

    def test_known_orders(self):
        # No two chains contradict each other.
        values = self._values(1.0)
        self.assertEqual(measures.rank_correlation(values, "gradients, fid"), 1.0)
        # Coverage is better when higher.
        coverage = measures.rank_correlation(values, "gradients, coverage")
        self.assertEqual(coverage, -1.0)
        values = self._values(0.0)
        self.assertEqual(measures.rank_correlation(values, "gradients, fid"), 0.0)


class JudgesTest(tf.test.TestCase):
    def test_equal_and_other_sets(self):
        images = tiny.images(16, (16, 16, 3))
        panel = judges.panel(images, seed=1)
        self.assertEqual([judge.name for judge in panel], ["gradients", "patches"])
        for judge in panel:
            same, other = judge.measure(images), judge.measure(images // 3)
            for measure in same:
                self.assertEqual(judges.judge_of(measure), judge.name)
                kind = judges.kind_of(measure)
                if kind in ("fid", "sample_distance"):
                    self.assertAllClose(same[measure], 0.0, atol=1e-5)
                    self.assertGreater(other[measure], 0.1)

    def test_measures_are_figures_that_the_table_knows(self):
        images = tiny.images(16, (32, 32, 3))
        with (
            mock.patch.object(judge_lib, "shows_faces", return_value=(True, "")),
            mock.patch.object(
                recognition, "load", return_value=evaluations.recogniser()
            ),
        ):
            panel = judges.panel(images, seed=1)
        self.assertLen(panel, 4)
        for judge in panel:
            for measure in judge.measure(images):
                self.assertIn(judges.kind_of(measure), kinds.FIGURES)
                self.assertEqual(judges.judge_of(measure), judge.name)


if __name__ == "__main__":
    tf.test.main()
