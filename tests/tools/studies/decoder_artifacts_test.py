import tensorflow as tf

from tools.studies import decoder_artifacts


class VerdictTest(tf.test.TestCase):
    def test_images_too_small_for_any_period(self):
        boards = dict.fromkeys(decoder_artifacts.DECODERS, ())
        self.assertIn("nothing to compare", decoder_artifacts._verdict(boards))


if __name__ == "__main__":
    tf.test.main()
