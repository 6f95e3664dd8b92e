import tensorflow as tf
from absl.testing import parameterized

from pipelines import config


class ConvertConfigTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"image_size": -1}, "'image_size' must be >= 0"),
        ({"crop": "round"}, "'crop' must be in one of the forms square, none, N"),
        ({"crop": "0"}, "'crop' 'side' must be >= 1"),
        ({"crop": "eyes:0.3,0.5", "image_size": 0}, "'image_size' 0 and 'pad' False"),
        ({"crop": "bbox:0", "pad": True}, "which must be resized"),
        ({"quality": 101}, "'quality' must be <= 100"),
        ({"encoding": "gif"}, "'encoding' must be in"),
        ({"channels": "4"}, "'channels' must be in"),
        ({"split_ratios": (0.5, 0.6, 0.1)}, "add up to 1"),
        ({"split_ratios": (1.0,)}, "three fractions"),
        ({"pad": True, "image_size": 0}, "'pad' needs the size to pad to"),
    )
    def test_refuses(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            config.ConvertConfig(**changes)


class DataConfigTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"batch_size": 0}, "'batch_size' must be >= 1"),
        ({"zoom": 1.0}, "'zoom' must be < 1"),
        ({"brightness": -0.1}, "'brightness' must be >= 0"),
        ({"corruption": "fire"}, "'corruption' must be in"),
        ({"seed": 2**32}, "'seed' must be <= 4294967295"),
        ({"corruption_level": 1.5}, "'corruption_level' must be <= 1"),
    )
    def test_refuses(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            config.DataConfig(**changes)


if __name__ == "__main__":
    tf.test.main()
