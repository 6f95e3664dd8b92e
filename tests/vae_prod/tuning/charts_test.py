import math
from unittest import mock

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from matplotlib import axes as axes_lib

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import front_chart, objective_chart, settings_chart

_CHARTS = (
    objective_chart.objective_over_trials,
    settings_chart.parallel_coordinates,
    front_chart.front,
)
_EQUAL = [attrs.evolve(made.row(0), trial=f"{i:04d}") for i in range(3)]
_SETS = {
    "none": [],
    "one": [made.row(0)],
    "failed": [made.failed(0), made.failed(1)],
    "running": [made.running(0)],
    "equal": _EQUAL,
    "without_fact": [made.row(i, 50.0 + i, settings={"z_dim": i}) for i in range(3)],
    "no_settings": [made.row(i, 50.0 + i, settings={}) for i in range(3)],
    "wide": [made.row(0), made.row(1, 5e4, 3e3), made.row(2, 50.0)],
    "unmeasured": [made.row(0, frechet=1.0, sample=None), made.row(1, math.nan)],
    "many": [made.row(i, 40 + i * 7 % 11, 30 + i * 5 % 13) for i in range(100)],
}


class ChartsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(_SETS.items())
    def test_every_set_gives_pictures(self, rows):
        for chart in _CHARTS:
            image = chart(rows, made.DISTANCE)
            self.assertEqual((image.dtype, image.shape[2]), (np.uint8, 3))
            self.assertGreater(min(image.shape[:2]), 300)
            self.assertGreater(image.std(), 1.0)


class DrawnTest(tf.test.TestCase):
    """What is handed to Matplotlib, for pictures can't be read back."""

    def _points(self, chart, rows):
        """Return the points of each scatter by its label."""
        drawn = {}
        scatter = axes_lib.Axes.scatter

        def record(axes, x, y, *args, **look):
            drawn[look.get("label", "points")] = [*zip(x, y, strict=True)]
            return scatter(axes, x, y, *args, **look)

        with mock.patch.object(axes_lib.Axes, "scatter", record):
            chart(rows, made.DISTANCE)
        return drawn

    def test_objective_over_trials(self):
        rows = [made.running(4), made.row(3, 50.0), made.failed(2), made.row(1, 20.0)]
        rows += [made.row(0, 30.0, epochs=3)]
        drawn = self._points(objective_chart.objective_over_trials, rows)
        self.assertEqual(drawn["points"], [(0, 70.0), (1, 60.0), (3, 90.0)])
        self.assertEqual(drawn["best: trial 0001"], [(1, 60.0)])
        self.assertEqual([x for x, _ in drawn["failed"]], [2])
        self.assertEqual([x for x, _ in drawn["running"]], [4])
        self.assertContainsSubset({"3 epochs", "9 epochs"}, drawn)

    def test_front(self):
        rows = [made.row(0, 50.0, 30.0), made.row(1, 40.0, 45.0), made.failed(2)]
        drawn = self._points(front_chart.front, rows)
        self.assertCountEqual(drawn["points"], [(30.0, 50.0), (45.0, 40.0)])
        self.assertEqual(drawn["best: trial 0000"], [(30.0, 50.0)])


if __name__ == "__main__":
    tf.test.main()
