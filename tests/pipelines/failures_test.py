"""What a machine refuses is told from mistakes, whoever raises it."""

import errno
import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import failures


class FindTest(tf.test.TestCase, parameterized.TestCase):
    def _caught(self, function, *args) -> failures.Failure | None:
        with self.assertRaises(Exception) as caught:
            function(*args)
        return failures.find(caught.exception)

    def test_of_python(self):
        path = os.path.join(self.create_tempdir().full_path, "none", "file")
        failure = self._caught(open, path)
        self.assertEqual((failure.path, failure.number), (path, errno.ENOENT))

    def test_of_tensorflow(self):
        folder = self.create_tempdir().full_path
        file = os.path.join(folder, "file")
        with open(file, "w"):
            pass
        variable = tf.Variable(np.zeros(9))
        gone = os.path.join(folder, "gone", "records")
        for function, path, number in (
            (tf.io.TFRecordWriter, gone, errno.ENOENT),
            (tf.io.gfile.makedirs, file, errno.ENOTDIR),
            (tf.train.Checkpoint(v=variable).write, f"{file}/v", errno.ENOTDIR),
        ):
            failure = self._caught(function, path)
            self.assertEqual(failure.number, number)
            self.assertStartsWith(failure.path, path[: len(file)])

    def test_with_the_operation_before_it(self):
        message = (
            "{{function_node __wrapped__SaveV2_device_/job:localhost/device:CPU:0}} "
            "/disk/run/v_temp/part-0; No space left on device [Op:SaveV2]"
        )
        failure = failures.find(tf.errors.ResourceExhaustedError(None, None, message))
        self.assertEqual(failure.path, "/disk/run/v_temp/part-0")
        self.assertEqual(failure.number, errno.ENOSPC)

    @parameterized.parameters(
        KeyError("No such file or directory"),
        ValueError("/disk; No space left on device"),
        OSError("no number"),
        OSError(errno.EINVAL, os.strerror(errno.EINVAL)),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.InvalidArgumentError(None, None, "expects 2 dimensions; received 1"),
    )
    def test_mistakes_are_none(self, error):
        self.assertIsNone(failures.find(error))


class SentenceTest(tf.test.TestCase):
    def _sentence(self, number: int, *args) -> str:
        return failures.Failure("/x/y", number, os.strerror(number)).sentence(*args)

    def test_no_room(self):
        self.assertRegex(
            self._sentence(errno.ENOSPC, "--out"),
            r"^Expected to use /x/y, there is no room \(No space left on device; "
            r"[\d,.]+ MB free now\). Make room and run the same command again, or "
            r"choose another --out.$",
        )

    def test_no_right(self):
        self.assertEqual(
            self._sentence(errno.EACCES),
            "Expected to use /x/y, this user may not (Permission denied). Change its "
            "rights and run the same command again, or choose another place.",
        )


if __name__ == "__main__":
    tf.test.main()
