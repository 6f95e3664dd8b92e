import os

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.vae_prod import tiny
from vae_prod.reporting import image_grids


class GridTest(tf.test.TestCase):
    def test_places_each_image(self):
        images = tiny.images(5)
        sheet = image_grids.grid(images, columns=3, gap=2)
        self.assertAllEqual(sheet.shape, [18, 28, 3])
        self.assertAllEqual(sheet[:8, :8], images[0])
        self.assertAllEqual(sheet[10:, 10:18], images[4])
        self.assertAllEqual(sheet[10:, 20:], np.full((8, 8, 3), 255))

    def test_grey_images_become_colour(self):
        images = tiny.images(1, (8, 8, 1))
        self.assertAllEqual(image_grids.grid(images, 1)[..., 2], images[0, ..., 0])

    def test_floats_are_rounded_and_clipped(self):
        values = image_grids.to_uint8(np.array([-1.0, 0.2, 0.999, 2.0]))
        self.assertAllEqual(values, [0, 51, 255, 255])


class StackedRowsTest(tf.test.TestCase):
    def test_rows_alternate(self):
        originals, others = np.arange(6), np.arange(6) + 10
        stacked = image_grids.stacked_rows(3, originals, others)
        self.assertAllEqual(stacked, [0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15])


class SharpenTest(tf.test.TestCase):
    def test_factor_one_changes_nothing(self):
        for shape in ((8, 8, 3), (8, 8, 1)):
            images = tiny.images(2, shape)
            self.assertAllEqual(image_grids.sharpen(images, 1.0), images)

    def test_more_is_sharper(self):
        images = np.full((1, 8, 8, 3), 100, np.uint8)
        images[:, :, 4:] = 150
        deviations = [image_grids.sharpen(images, f).std() for f in (0.0, 1.0, 6.0)]
        self.assertAllEqual(deviations, sorted(deviations))
        self.assertLess(deviations[0], deviations[2])


class FileTest(tf.test.TestCase):
    def test_png_is_written_whole(self):
        path = os.path.join(self.create_tempdir().full_path, "new", "grid.png")
        sheet = image_grids.grid(tiny.images(), 2)
        image_grids.save_png(path, sheet)
        self.assertAllEqual(np.asarray(Image.open(path)), sheet)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["grid.png"])


if __name__ == "__main__":
    tf.test.main()
