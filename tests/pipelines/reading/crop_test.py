import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines.reading import crop as crop_lib
from tests.pipelines import shard_fixtures


class CropTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        window=((8, 6), (8, 4), (5, 6), (1, 1)),
        channels=(1, 3),
        dtype=("uint8", "float32", "bfloat16"),
    )
    def test_windows_and_mirroring(self, window, channels, dtype):
        images = shard_fixtures.make_images(5, (8, 6, channels), seed=1)
        height, width = window
        generator = np.random.default_rng(2)
        corners = generator.integers(0, [9 - height, 7 - width], (5, 2), np.int32)
        mirrored = np.array([True, False, True, False, True])
        crop = crop_lib.Crop(
            window, tf.constant(corners), tf.constant(mirrored), tf.as_dtype(dtype)
        )
        expected = []
        for image, (y, x), turn in zip(images, corners, mirrored, strict=True):
            kept = image[y : y + height, x : x + width]
            expected.append(kept[:, ::-1] if turn else kept)
        expected = np.stack(expected)
        if dtype != "uint8":
            scaled = expected / np.float32(255)
            expected = scaled.astype(tf.as_dtype(dtype).as_numpy_dtype)
        placed = crop(tf.constant(images))
        self.assertEqual(placed.dtype, tf.as_dtype(dtype))
        self.assertAllEqual(placed, expected)

    def test_whole_images_stay_as_they_are(self):
        images = shard_fixtures.make_images(3, (4, 6, 3), seed=1)
        crop = crop_lib.Crop.whole((4, 6, 3), tf.constant(3))
        self.assertAllEqual(crop(tf.constant(images)), images)

    def test_scale(self):
        values = np.arange(256, dtype=np.uint8)
        self.assertAllEqual(crop_lib.scale(tf.constant(values), tf.uint8), values)
        floats = crop_lib.scale(tf.constant(values), tf.float32)
        self.assertAllEqual(floats, values / np.float32(255))
        self.assertAllEqual([floats[0], floats[255]], [0, 1])


if __name__ == "__main__":
    tf.test.main()
