import numpy as np
import tensorflow as tf

from pipelines.reading.native import twin
from tests.pipelines.reading.native import cases


class TwinTest(cases.Cases, tf.test.TestCase):
    images = twin

    def _read_run(self, first, last):
        rows = tf.constant(self.rows[first:last])
        return twin.read_run(tf.constant(self.paths), rows)

    def test_a_run_is_its_records(self):
        for first, last in ((0, 4), (5, 8), (8, 9)):
            rows = tf.constant(self.rows[first:last])
            expected = twin.read_records(tf.constant(self.paths), rows)
            self.assertAllEqual(self._read_run(first, last), expected)
            self.assertNotIn(twin.UNREADABLE, expected.numpy())

    def test_a_damaged_run(self):
        whole = self._read_run(4, 9).numpy()
        self.alter(1, self.rows[5, 1] + 3)
        # From here on the length of a record leads astray.
        self.alter(1, self.rows[7, 1] - 12)
        bad = [1, 3]
        run = self._read_run(4, 9).numpy()
        self.assertAllEqual(run[bad], [twin.UNREADABLE] * 2)
        self.assertAllEqual(np.delete(run, bad), np.delete(whole, bad))


if __name__ == "__main__":
    tf.test.main()
