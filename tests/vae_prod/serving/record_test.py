import tensorflow as tf

from pipelines import files
from tests.vae_prod.serving import tiny_exports
from vae_prod.serving import pictures, record


class LimitsTest(tf.test.TestCase):
    def test_must_take_a_batch_of_what_is_recorded(self):
        # The widest is 2 * 8 + 3 * 3 by 2 * 8 + 10 pixels.
        enough = pictures.Limits(image=650, request=64 * 650)
        record.check_limits(tiny_exports.extras(limits=enough))
        for low in (pictures.Limits(649), pictures.Limits(650, 64 * 650 - 1)):
            with self.assertRaisesRegex(
                files.UserError, "max_pixels of at least 650 .* at least 41600, "
            ):
                record.check_limits(tiny_exports.extras(limits=low))


if __name__ == "__main__":
    tf.test.main()
