import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from scipy import stats

from tests.vae_prod import tiny
from vae_prod.reporting import charts, plane_charts

_POINTS = np.random.default_rng(0).normal(size=(60, 2))
_LABELS = np.arange(60) % 9
_NAMES = [f"class {number}" for number in range(9)]


def _has(picture: np.ndarray, color: str) -> bool:
    """Say whether some pixels are of a colour that lies 60 % over white."""
    from matplotlib import colors

    wanted = 255 * (0.6 * np.array(colors.to_rgb(color)) + 0.4)
    return (np.abs(picture.astype(float) - wanted).max(axis=-1) < 3).sum() > 20


class ScatterTest(tf.test.TestCase):
    def test_classes_have_colours_of_their_own(self):
        plain = plane_charts.scatter(_POINTS)
        classes = plane_charts.scatter(_POINTS, _LABELS, _NAMES)
        self.assertEqual((plain.dtype, plain.shape[1:]), (np.uint8, (900, 3)))
        self.assertTrue(_has(plain, charts.COLORS[0]))
        self.assertFalse(_has(plain, charts.COLORS[3]))
        for color in charts.COLORS:
            self.assertTrue(_has(classes, color), color)

    def test_classes_without_points(self):
        labels = np.zeros(60, int)
        picture = plane_charts.scatter(_POINTS, labels, _NAMES)
        self.assertFalse(_has(picture, charts.COLORS[1]))

    def test_p_values_are_the_normal_s_shares(self):
        shares = stats.norm.cdf(_POINTS)
        names = tuple(f"share of N(0, 1) below z {i}" for i in (1, 2))
        expected = plane_charts.scatter(shares, _LABELS, _NAMES, names)
        self.assertAllEqual(plane_charts.p_values(_POINTS, _LABELS, _NAMES), expected)


class DecodedTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 3)
    def test_images_stand_at_their_places(self, channels):
        images = np.zeros((6, 8, 8, channels), np.float32)
        images[2] = 1.0  # The last of the top row: white.
        picture = plane_charts.decoded_plane(images, [0.0, 1.0, 2.0], [-1.0, 1.0])
        black = np.argwhere((picture == 0).all(axis=-1))
        (top, left), (bottom, right) = black.min(axis=0), black.max(axis=0)
        height, width = bottom - top, right - left

        def at(row, column):
            return picture[int(top + row * height), int(left + column * width), 0]

        self.assertEqual([at(0.25, c) for c in (0.2, 0.5, 0.83)], [0, 0, 255])
        self.assertEqual([at(0.75, c) for c in (0.2, 0.5, 0.83)], [0, 0, 0])

    @parameterized.parameters(1, 3)
    def test_samples_are_shown_with_their_images(self, channels):
        grey = np.full((5, 8, 8, channels), 0.2, np.float32)
        pictures = [
            plane_charts.samples(_POINTS, _POINTS[:5], images, _LABELS, _NAMES)
            for images in (grey, tiny.images(5, (8, 8, channels)))
        ]
        marked = (pictures[0] == 51).all(axis=-1)
        # Five images, each more than a seventh of the width across.
        self.assertGreater(marked.sum(), 5 * 128**2)
        self.assertLess((pictures[1] == 51).all(axis=-1).sum(), 128**2)


if __name__ == "__main__":
    tf.test.main()
