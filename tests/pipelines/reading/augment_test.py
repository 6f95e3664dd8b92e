import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines.reading import augment
from tests.pipelines import shard_fixtures

_SHAPE = (12, 10, 3)
_ALL = {
    "flip": True,
    "translate": 0.2,
    "zoom": 0.2,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.2,
}
_NUM = 40
_SEED = (7, 1)


def _image(shape=_SHAPE) -> np.ndarray:
    return shard_fixtures.make_images(1, shape, seed=3)[0]


def _batch(image) -> tf.Tensor:
    return tf.tile(tf.constant(image, tf.uint8)[None], [_NUM, 1, 1, 1])


def _draws(first=0, num=_NUM) -> augment.Draws:
    return augment.Draws.make(
        tf.constant(_SEED, tf.int64), tf.cast(first, tf.int64), num
    )


def _augmented(image, **settings) -> np.ndarray:
    config = config_lib.DataConfig(**settings)
    return augment.augment(_batch(image), _draws(), config).numpy()


class AugmentTest(tf.test.TestCase, parameterized.TestCase):
    def test_defaults_change_nothing(self):
        for image in _augmented(_image()):
            self.assertAllEqual(image, _image())

    def test_about_half_are_mirrored(self):
        # Forty fair coins are outside 8 ... 32 once in 10,000 times.
        self.assertBetween(int(np.sum(_draws().mirrored())), 8, 32)

    def test_corners_reach_every_place(self):
        corners = _draws(num=400).corners((12, 10, 3), (10, 9)).numpy()
        self.assertEqual(
            {*map(tuple, corners)}, {(y, x) for y in (0, 1, 2) for x in (0, 1)}
        )
        self.assertAllEqual(
            _draws().corners((12, 10, 3), (12, 10)), np.zeros((_NUM, 2))
        )

    def test_translate_moves_content_and_repeats_the_edge(self):
        ramp = np.tile(np.arange(40, dtype=np.uint8) * 5, (40, 1))[..., None]
        shifts = []
        for moved in _augmented(ramp, translate=0.25):
            row = moved[20, :, 0].astype(np.float32)
            shifts.append((ramp[20, 20, 0] - row[20]) / 5)
            inner = np.diff(row[10:30])
            self.assertAllClose(inner, np.full_like(inner, 5.0), atol=1.0)
            self.assertBetween(row.min(), 0, 195)
        self.assertBetween(np.max(np.abs(shifts)), 2.0, 10.2)

    def test_zoom_scales_about_the_centre(self):
        ramp = np.tile(np.arange(41, dtype=np.uint8) * 4, (41, 1))[..., None]
        slopes = []
        for zoomed in _augmented(ramp, zoom=0.3):
            self.assertAllClose(zoomed[20, 20, 0], 80, atol=1)
            row = zoomed[20, 10:31, 0].astype(np.float32)
            slopes.append((row[-1] - row[0]) / 20)
        self.assertBetween(min(slopes), 4 / 1.31, 4.0)
        self.assertBetween(max(slopes), 4.0, 4 / 0.69)

    def test_brightness_adds_the_same_everywhere(self):
        grey = np.full(_SHAPE, 100, np.uint8)
        values = []
        for image in _augmented(grey, brightness=0.2):
            self.assertAllEqual(image, np.full(_SHAPE, image[0, 0, 0]))
            values.append(int(image[0, 0, 0]))
        self.assertBetween(min(values), 49, 90)
        self.assertBetween(max(values), 110, 151)

    def test_contrast_keeps_the_mean(self):
        image = np.full(_SHAPE, 100, np.uint8)
        image[:6] = 140
        for changed in _augmented(image, contrast=0.5):
            self.assertAllClose(changed.mean((0, 1)), [120.0] * 3, atol=1.0)
            distance = np.ptp(changed[..., 0].astype(np.int64))
            self.assertBetween(distance, 18, 62)

    def test_saturation_keeps_the_luma_and_leaves_grey_alone(self):
        image = np.zeros(_SHAPE, np.uint8) + np.array([150, 100, 90], np.uint8)
        weights = np.array([0.299, 0.587, 0.114])
        for changed in _augmented(image, saturation=0.5):
            self.assertAllClose(changed @ weights, image @ weights, atol=1.0)
        grey = _image((12, 10, 1))
        for changed in _augmented(grey, saturation=0.5):
            self.assertAllEqual(changed, grey)

    def test_one_transform_does_not_change_another(self):
        flat = np.full(_SHAPE, 100, np.uint8)
        alone = _augmented(flat, brightness=0.2)
        together = _augmented(flat, brightness=0.2, flip=True, translate=0.1)
        self.assertAllEqual(alone, together)

    @parameterized.parameters(1, 3)
    def test_is_the_same_whatever_the_batch(self, channels):
        image = _image((12, 10, channels))
        config = config_lib.DataConfig(**_ALL)

        def in_batches_of(size):
            mapped = tf.data.Dataset.range(0, _NUM, size).map(
                lambda first: augment.augment(
                    _batch(image)[:size], _draws(first, size), config
                )
            )
            self.assertEqual(mapped.element_spec.shape[1:], image.shape)
            return np.concatenate([*mapped])

        self.assertAllEqual(in_batches_of(4), in_batches_of(20))
        # The graph's optimizer may round the coefficients in another way.
        self.assertAllClose(in_batches_of(4), _augmented(image, **_ALL), atol=2)


if __name__ == "__main__":
    tf.test.main()
