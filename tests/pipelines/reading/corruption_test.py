import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines.reading import corruption as corruption_lib
from tests.pipelines import shard_fixtures

_NUM = 40
_SEED = (7, 1)


def _image() -> np.ndarray:
    return shard_fixtures.make_images(1, (12, 10, 3), seed=3)[0]


def _batch(image) -> tf.Tensor:
    return tf.tile(tf.constant(image, tf.uint8)[None], [_NUM, 1, 1, 1])


def _corrupted(images, first=0, **settings) -> np.ndarray:
    config = config_lib.DataConfig(**settings)
    seed, first = tf.constant(_SEED, tf.int64), tf.constant(first, tf.int64)
    return corruption_lib.corrupt(images, seed, first, config).numpy()


class CorruptionTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_name_of_the_flag_has_its_function(self):
        self.assertEqual(list(corruption_lib.CORRUPTIONS), [*config_lib.CORRUPTIONS])

    def test_noise_has_the_stated_deviation(self):
        grey = np.full((64, 64, 3), 128, np.uint8)
        noise = _corrupted(_batch(grey), corruption="noise", corruption_level=0.1)
        noise = noise.astype(np.float64) - 128
        self.assertAllClose(noise.std(), 25.5, rtol=0.02)
        self.assertAllClose(noise.mean(), 0.0, atol=0.2)

    def test_pixel_dropout_drops_whole_pixels(self):
        white = np.full((64, 64, 3), 255, np.uint8)
        settings = {"corruption": "pixel_dropout", "corruption_level": 0.8}
        dropped = _corrupted(_batch(white), **settings)
        self.assertAllInSet(np.unique(dropped), [0, 255])
        self.assertAllEqual(dropped[..., 0], dropped[..., 2])
        self.assertAllClose((dropped == 0).mean(), 0.8, atol=0.01)

    def test_occlusion_blackens_one_square(self):
        white = np.full((20, 30, 3), 255, np.uint8)
        corners = set()
        settings = {"corruption": "occlusion", "corruption_level": 0.4}
        for image in _corrupted(_batch(white), **settings):
            rows, columns = np.nonzero(image[..., 0] == 0)
            self.assertLen(rows, 64)
            self.assertEqual((np.ptp(rows), np.ptp(columns)), (7, 7))
            corners.add((rows.min(), columns.min()))
        self.assertGreater(len(corners), 20)

    def test_grayscale_is_the_luma_in_every_channel(self):
        image = _image()
        expected = np.rint(image @ np.array([0.299, 0.587, 0.114]))
        for grey in _corrupted(_batch(image), corruption="grayscale"):
            self.assertAllClose(grey[..., 1], expected, atol=1)
            self.assertAllEqual(grey[..., 0], grey[..., 2])

    @parameterized.parameters(*config_lib.CORRUPTIONS)
    def test_in_a_map_and_whatever_the_batch(self, corruption):
        config = config_lib.DataConfig(corruption=corruption)
        images = _batch(_image())
        seed = tf.constant(_SEED, tf.int64)
        mapped = tf.data.Dataset.range(0, _NUM, 4).map(
            lambda first: corruption_lib.corrupt(images[:4], seed, first, config)
        )
        expected = _corrupted(images, corruption=corruption)
        self.assertAllEqual(np.concatenate([*mapped]), expected)
        changed = not np.array_equal(expected[0], images[0])
        self.assertEqual(changed, corruption != "none")
        differs = not np.array_equal(expected[0], expected[1])
        random = corruption in ("noise", "pixel_dropout", "occlusion")
        self.assertEqual(differs, random)


if __name__ == "__main__":
    tf.test.main()
