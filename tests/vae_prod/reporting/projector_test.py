import os
from unittest import mock

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector as plugin

from tests.vae_prod import tiny
from vae_prod.reporting import projector


class PointsTest(tf.test.TestCase):
    def _written(self, points):
        folder = self.create_tempdir().full_path
        points.write(folder)
        with open(os.path.join(folder, "projector_config.pbtxt")) as file:
            config = text_format.Parse(file.read(), plugin.ProjectorConfig())
        return folder, config.embeddings[0]

    def _lines(self, folder, name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return [line.rstrip("\n").split("\t") for line in file]

    def test_points_come_back(self):
        z = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
        folder, place = self._written(projector.Points("z_mean", z))
        self.assertEqual(place.tensor_name, "z_mean")
        read = np.array(self._lines(folder, place.tensor_path), np.float32)
        self.assertAllClose(read, z, rtol=1e-5)
        self.assertFalse(place.metadata_path)

    def test_one_column_has_no_heading_and_several_have(self):
        z = np.zeros((2, 3))
        one = projector.Points("z", z, metadata={"label": ["a\tb", "c\nd"]})
        folder, place = self._written(one)
        lines = self._lines(folder, place.metadata_path)
        self.assertEqual(lines, [["a b"], ["c d"]])
        two = projector.Points("z", z, metadata={"label": "ab", "n": [1, 2]})
        folder, place = self._written(two)
        lines = self._lines(folder, place.metadata_path)
        self.assertEqual(lines, [["label", "n"], ["a", "1"], ["b", "2"]])

    def test_sprite_is_cut_as_it_was_laid(self):
        images = tiny.images(5)
        points = projector.Points("z", np.zeros((5, 2)), images)
        folder, place = self._written(points)
        self.assertEqual(list(place.sprite.single_image_dim), [8, 8])
        sheet = np.asarray(Image.open(os.path.join(folder, place.sprite.image_path)))
        self.assertAllEqual(sheet.shape, [24, 24, 3])
        self.assertAllEqual(sheet[8:16, 8:16], images[4])


class SpriteTest(tf.test.TestCase):
    def test_large_images_become_small(self):
        sheet, size = projector.sprite(tiny.images(2, (96, 192, 1)))
        self.assertEqual(size, (64, 32))
        self.assertAllEqual(sheet.shape, [64, 128, 3])

    def test_many_images_fit(self):
        with mock.patch.object(projector, "_SHEET_SIDE", 64):
            sheet, size = projector.sprite(tiny.images(5, (32, 32, 3)))
        self.assertAllEqual(sheet.shape, [63, 63, 3])
        self.assertEqual(size, (21, 21))


if __name__ == "__main__":
    tf.test.main()
