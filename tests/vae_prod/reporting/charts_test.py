import numpy as np
import tensorflow as tf

from vae_prod.reporting import charts


def _has_color(sheet: np.ndarray, color: str) -> bool:
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(sheet.astype(int) - wanted).max(axis=-1) <= 2).any())


class ChartsTest(tf.test.TestCase):
    def test_lines_differ_in_colour(self):
        series = {"a": ([1, 2, 3], [3, 2, 1]), "b": ([1, 2, 3], [1, 2, 3])}
        sheet = charts.lines(series, "x", "y")
        self.assertAllEqual(sheet.shape, [600, 900, 3])
        self.assertDTypeEqual(sheet, np.uint8)
        for color in charts.COLORS[:2]:
            self.assertTrue(_has_color(sheet, color), color)
        self.assertFalse(_has_color(sheet, charts.COLORS[2]))

    def test_a_line_without_points_is_left_out(self):
        sheet = charts.lines({"a": ([1, 2], [1, 2]), "b": ([], [])}, "x", "y")
        self.assertTrue(_has_color(sheet, charts.COLORS[0]))
        self.assertFalse(_has_color(sheet, charts.COLORS[1]))

    def test_front_names_its_points(self):
        points = {"small": (1.0, 5.0), "large": (4.0, 2.0)}
        named = charts.front(points, "x", "y")
        bare = charts.front({" ": (1.0, 5.0), "  ": (4.0, 2.0)}, "x", "y")
        self.assertAllEqual(named.shape, bare.shape)
        self.assertGreater(np.count_nonzero(named != bare), 100)

    def test_intervals_have_a_row_each(self):
        values = {"Bangs": (-1.0, -1.5, -0.5), "Young": (0.2, -0.1, 0.5)}
        sheet = charts.intervals(values, "dB")
        self.assertTrue(_has_color(sheet, charts.COLORS[0]))
        more = charts.intervals(values | {"Smiling": (0.1, 0.0, 0.2)}, "dB")
        self.assertGreater(len(more), len(sheet))

    def test_kl_per_dimension_is_a_picture(self):
        image = charts.kl_per_dimension(np.array([0.1, 2.0, 0.0]))
        self.assertAllEqual(image.shape, [300, 600, 3])
        self.assertGreater(image.std(), 1.0)


if __name__ == "__main__":
    tf.test.main()
