import itertools

import numpy as np
import tensorflow as tf

from vae_prod.tuning import chart_layout


class AxisTest(tf.test.TestCase):
    def test_choices_are_spaced_evenly(self):
        axis = chart_layout.choice_axis([256, 32, 64, 32, None])
        self.assertAllEqual(axis.places, [1.0, 0.0, 0.5, 0.0, np.nan])
        self.assertEqual(axis.ticks, {0.0: "32", 0.5: "64", 1.0: "256"})
        words = chart_layout.choice_axis(["wide", "narrow"])
        self.assertEqual(words.ticks, {0.0: "narrow", 1.0: "wide"})

    def test_ranges_by_value_or_its_logarithm(self):
        axis = chart_layout.range_axis([1.0, 3.0, 5.0, None], log=False)
        self.assertAllClose(axis.places, [0.0, 0.5, 1.0, np.nan])
        axis = chart_layout.range_axis([0.1, 1.0, 10.0], log=True)
        self.assertAllClose(axis.places, [0.0, 0.5, 1.0])
        self.assertEqual([*axis.ticks.values()], ["0.1", "0.316", "1", "3.16", "10"])

    def test_equal_values_stand_in_the_middle(self):
        for axis in (
            chart_layout.choice_axis(["wide", "wide"]),
            chart_layout.range_axis([2.0, 2.0], log=True),
        ):
            self.assertEqual(axis.places, [0.5, 0.5])
            self.assertLen(axis.ticks, 1)


class LabelPlacesTest(tf.test.TestCase):
    def test_labels_cover_nothing(self):
        points = [(0.1, 0.5), (0.11, 0.48), (0.12, 0.46), (0.14, 0.05), (0.9, 0.04)]
        others = [(0.15, 0.5), (0.07, 0.46)]
        places = chart_layout.label_places(points, others)
        self.assertLen(places, len(points))
        width, height = chart_layout.LABEL
        for (x, y), (a, b) in itertools.combinations(places, 2):
            self.assertTrue(abs(x - a) >= width or abs(y - b) >= height)
        for (x, y), (a, b) in itertools.product(places, points + others):
            self.assertTrue(abs(x - a) > width / 2 or abs(y - b) > height / 2)
        self.assertAllInRange(np.array(places), 0.0, 1.0)

    def test_a_crowd_has_labels_too(self):
        self.assertLen(chart_layout.label_places([(0.5, 0.5)] * 100), 100)


if __name__ == "__main__":
    tf.test.main()
