import os

import tensorflow as tf

from tests.tools import convert_celeba_test
from tools import convert_celeba, verify_shards

_run = convert_celeba_test.run


class VerifyShardsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def _convert(self):
        arguments = ("--source=digits", "--limit=5", "--image_size=8")
        _run(convert_celeba, f"--out={self.folder}", *arguments)

    def test_whole(self):
        self._convert()
        code, out, _ = _run(verify_shards, f"--data_dir={self.folder}")
        self.assertEqual(code, 0)
        self.assertIn("is whole: test 5, train 5, validation 5 images", out)

    def test_every_problem_is_named(self):
        self._convert()
        gone = os.path.join(self.folder, "digits-test.tfrecord-00000-of-00001")
        cut = os.path.join(self.folder, "digits-train.tfrecord-00000-of-00001")
        os.remove(gone)
        with open(cut, "rb+") as file:
            file.truncate(50)
        code, out, err = _run(verify_shards, f"--data_dir={self.folder}")
        self.assertEqual((code, out), (1, ""))
        self.assertStartsWith(err, f"error: Found wrong in {self.folder}:\n")
        self.assertEqual(err.count("\n"), 4)
        self.assertIn(f"{os.path.basename(gone)}: missing", err)
        self.assertIn(f"{os.path.basename(cut)}: expected", err)

    def test_no_data(self):
        code, _, err = _run(verify_shards, f"--data_dir={self.folder}")
        self.assertEqual(code, 1)
        self.assertIn("Expected a converted data set", err)
        self.assertEqual(_run(verify_shards)[0], 2)


if __name__ == "__main__":
    tf.test.main()
