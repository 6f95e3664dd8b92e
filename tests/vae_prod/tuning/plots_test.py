import math
from unittest import mock

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from matplotlib import axes as axes_lib

from tests.vae_prod import tiny
from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import plots

_PLOTS = (plots.objective_over_trials, plots.parallel_coordinates, plots.front)
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
    "unmeasured": [made.row(0, distance=1.0, sample=None), made.row(1, math.nan)],
    "many": [made.row(i, 40 + i * 7 % 11, 30 + i * 5 % 13) for i in range(100)],
}


class PictureTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(_SETS.items())
    def test_every_set_gives_pictures(self, rows):
        for plot in _PLOTS:
            image = plot(rows, made.DISTANCE)
            self.assertEqual((image.dtype, image.shape[2]), (np.uint8, 3))
            self.assertGreater(min(image.shape[:2]), 300)
            self.assertGreater(image.std(), 1.0)


class DrawnTest(tf.test.TestCase):
    """What is handed to Matplotlib, for pictures can't be read back."""

    def _points(self, plot, rows):
        """Return the points of each scatter by its label."""
        drawn = {}
        scatter = axes_lib.Axes.scatter

        def record(axes, x, y, *args, **look):
            drawn[look.get("label", "points")] = [*zip(x, y, strict=True)]
            return scatter(axes, x, y, *args, **look)

        with mock.patch.object(axes_lib.Axes, "scatter", record):
            plot(rows, made.DISTANCE)
        return drawn

    def test_objective_over_trials(self):
        rows = [made.running(4), made.row(3, 50.0), made.failed(2), made.row(1, 20.0)]
        rows += [made.row(0, 30.0, epochs=3)]
        drawn = self._points(plots.objective_over_trials, rows)
        self.assertEqual(drawn["points"], [(0, 70.0), (1, 60.0), (3, 90.0)])
        self.assertEqual(drawn["best: trial 0001"], [(1, 60.0)])
        self.assertEqual([x for x, _ in drawn["failed"]], [2])
        self.assertEqual([x for x, _ in drawn["running"]], [4])
        self.assertContainsSubset({"3 epochs", "9 epochs"}, drawn)

    def test_front(self):
        rows = [made.row(0, 50.0, 30.0), made.row(1, 40.0, 45.0), made.failed(2)]
        drawn = self._points(plots.front, rows)
        self.assertCountEqual(drawn["points"], [(30.0, 50.0), (45.0, 40.0)])
        self.assertEqual(drawn["best: trial 0000"], [(30.0, 50.0)])


class BestSoFarTest(tf.test.TestCase):
    def test_keeps_the_best(self):
        values = [None, 3.0, 4.0, None, 2.0]
        lowest = plots.best_so_far(values, minimize=True)
        self.assertAllEqual(lowest, [math.nan, 3.0, 3.0, 3.0, 2.0])
        highest = plots.best_so_far(values, minimize=False)
        self.assertAllEqual(highest, [math.nan, 3.0, 4.0, 4.0, 4.0])


class CoordinatesTest(tf.test.TestCase):
    def test_an_axis_a_setting_and_the_objective_last(self):
        rows = [
            made.row(i, sample, settings={"fact": fact, "z_dim": z_dim})
            for i, (sample, fact, z_dim) in enumerate(
                [(50.0, 1.0, 64), (60.0, 10.0, 32), (90.0, 100.0, 256)]
            )
        ]
        names, axes = plots.coordinates(rows, made.DISTANCE)
        self.assertEqual(names[:2], ["fact", "z_dim"])
        self.assertStartsWith(names[2], "distance\n(thousandths of a deviation,")
        self.assertAllClose(axes[0].places, [0.0, 0.5, 1.0])
        self.assertAllClose(axes[1].places, [0.5, 0.0, 1.0], atol=0.05)
        self.assertAllClose(axes[2].places, [0.0, 0.25, 1.0])

    def test_epochs_where_they_differ(self):
        rows = [made.row(0, epochs=1), made.row(1, epochs=9)]
        names, axes = plots.coordinates(rows, made.DISTANCE)
        self.assertEqual(names[3], "epochs")
        self.assertEqual([*axes[3].ticks.values()], ["1", "9"])

    def test_lines_through_one_choice_are_told_apart(self):
        _, axes = plots.coordinates(_EQUAL, made.DISTANCE)
        self.assertAllGreater(np.diff(axes[1].places), 0.0)
        self.assertAllClose(axes[1].places, [0.5] * 3, atol=0.05)
        self.assertAllEqual(axes[0].places, [0.5] * 3)


class SamplesTest(tf.test.TestCase):
    def test_grids_stand_side_by_side_enlarged_alike(self):
        many, few = tiny.images(4, seed=1), tiny.images(1, seed=2)
        page = plots.samples_side_by_side([("best", many), ("a longer title", few)])
        for images in (many, few):
            enlarged = images[0].repeat(8, axis=0).repeat(8, axis=1)
            self.assertTrue(self._contains(page, enlarged))

    def test_grey(self):
        page = plots.samples_side_by_side([("grey", tiny.images(2, (64, 64, 1)))])
        self.assertTrue(self._contains(page, tiny.images(2, (64, 64, 1))[1]))

    def test_long_titles_wrap(self):
        images = tiny.images(4, (32, 32, 3))
        short = plots.samples_side_by_side([("best", images)])
        long = plots.samples_side_by_side([("several words " * 8, images)])
        self.assertEqual(long.shape[1], short.shape[1])
        self.assertGreater(long.shape[0], short.shape[0])

    def _contains(self, page, part):
        windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], part.shape[:2])
        return (windows == part[..., 0]).all(axis=(2, 3)).any()


if __name__ == "__main__":
    tf.test.main()
