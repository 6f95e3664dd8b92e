import tensorflow as tf

from vae_prod.core import nvidia


class UnusedTest(tf.test.TestCase):
    def test_tells_of_a_gpu_that_is_there_for_nothing(self):
        sentence = nvidia.unused(has_driver=True, seen=0)
        self.assertRegex(sentence, r"pip install 'tensorflow\[and-cuda\]")

    def test_says_nothing_else(self):
        for driver, seen in ((False, 0), (False, 1), (True, 1)):
            self.assertEqual(nvidia.unused(driver, seen), "")


if __name__ == "__main__":
    tf.test.main()
