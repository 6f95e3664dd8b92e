import math

import tensorflow as tf

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import pareto


def _trials(rows) -> list[str]:
    return [row.trial for row in rows]


class OptimalTest(tf.test.TestCase):
    def test_beaten_ones_are_left_out(self):
        points = [(50, 40), (60, 30), (40, 70), (55, 45), (70, 30), (40, 80)]
        rows = [made.row(i, s, r) for i, (s, r) in enumerate(points)]
        front = pareto.optimal(rows)
        self.assertEqual(_trials(front), ["0001", "0000", "0002"])

    def test_equal_ones_stay_and_the_unmeasured_go(self):
        rows = [
            made.row(0, 50.0, 40.0),
            made.row(1, 50.0, 40.0),
            made.row(2, 40.0, None),
            made.row(3, math.nan, 30.0),
            made.failed(4),
        ]
        front = pareto.optimal(rows)
        self.assertEqual(_trials(front), ["0000", "0001"])


class SummaryTest(tf.test.TestCase):
    def test_area_that_the_front_beats(self):
        points = [(3.0, 1.0), (2.0, 2.0), (1.0, 4.0), (4.0, 5.0)]
        rows = [made.row(i, *point) for i, point in enumerate(points)]
        summary = pareto.summary([*rows, made.failed(9), made.row(5, None)])
        self.assertEqual(summary["trials"], ["0000", "0001", "0002"])
        self.assertEqual(summary["reference"], [5.0, 4.0])
        # 4 x 1, then 3 x 1 and 1 x 1 below.
        self.assertAllClose(summary["hypervolume"], 8.0)
        beaten = pareto.summary([*rows, made.row(6, 3.5, 4.5)])
        self.assertAllClose(beaten["hypervolume"], 8.0)
        self.assertAllClose(pareto.hypervolume(rows[:3], (1.5, 2.5)), 0.0)

    def test_nothing_measured(self):
        self.assertIsNone(pareto.summary([made.failed(1)])["hypervolume"])


if __name__ == "__main__":
    tf.test.main()
