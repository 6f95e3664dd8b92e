import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from vae_prod.serving import resampling

_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def _resized(image, name, box, size):
    """Resize as the graph does; `box` is (left, upper, right, lower)."""
    height, width = image.shape[:2]
    rows = resampling.matrix(name, height, box[1], box[3], size[1])
    columns = resampling.matrix(name, width, box[0], box[2], size[0])
    return resampling.apply(tf.constant(image, tf.float32), rows, columns).numpy()


class ResamplingTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        name=_FILTERS,
        box_and_size=(
            ((0, 0, 41, 50), (13, 15)),  # smaller
            ((5, 9, 36, 40), (13, 13)),  # of a part: the filter reaches beyond it
            ((0, 0, 41, 50), (60, 70)),  # larger
        ),
    )
    def test_is_pillows(self, name, box_and_size):
        # The numbers are odd so that no filter ends just where a pixel begins: there
        # the last bit of Pillow's float64 decides.
        box, size = box_and_size
        image = np.random.default_rng(0).integers(0, 256, (50, 41, 3), np.uint8)
        resample = Image.Resampling[name.upper()]
        expected = np.asarray(Image.fromarray(image).resize(size, resample, box=box))
        difference = np.abs(_resized(image, name, box, size) - expected)
        # Pillow's weights are whole numbers of 2^-22: sums close to a half may round
        # to the other side, and the second pass doubles that at most.
        self.assertLessEqual(difference.max(), 2)
        self.assertLess((difference > 0).mean(), 0.1)

    def test_the_same_size_changes_nothing(self):
        image = np.random.default_rng(0).integers(0, 256, (9, 7, 1), np.uint8)
        for name in _FILTERS:
            self.assertAllEqual(_resized(image, name, (0, 0, 7, 9), (7, 9)), image)

    def test_shift_centres_on_zeros(self):
        rows = resampling.shift(4, 1, 4, 6)
        moved = tf.linalg.matvec(rows, [10.0, 20.0, 30.0, 40.0])
        self.assertAllEqual(moved, [0, 20, 30, 40, 0, 0])


if __name__ == "__main__":
    tf.test.main()
