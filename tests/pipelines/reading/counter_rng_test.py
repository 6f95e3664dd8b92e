import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines.reading import counter_rng


def _rows(kind, first, num, width=5, seed=(3, 4)):
    draw = {"uniform": counter_rng.uniform, "normal": counter_rng.normal}[kind]
    seed, first = tf.constant(seed, tf.int64), tf.constant(first, tf.int64)
    return draw(seed, first, tf.constant(num), width).numpy()


class DrawsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(kind=("uniform", "normal"), width=(1, 4, 5, 300))
    def test_rows_belong_to_positions(self, kind, width):
        whole = _rows(kind, 0, 50, width)
        self.assertAllEqual(_rows(kind, 7, 20, width), whole[7:27])
        far = _rows(kind, 10**9, 3, width)
        self.assertAllEqual(_rows(kind, 10**9 + 1, 1, width), far[1:2])
        # Of 15,000 floats with 23 random bits some are the same by chance.
        self.assertGreater(len(np.unique(whole)), whole.size - 60)

    def test_seeds_give_other_tables(self):
        first = _rows("uniform", 0, 5)
        self.assertNotAllEqual(first, _rows("uniform", 0, 5, seed=(3, 5)))
        self.assertNotAllEqual(first, _rows("uniform", 0, 5, seed=(2, 4)))

    def test_distributions(self):
        uniform = _rows("uniform", 0, 4000, 10)
        self.assertAllInRange(uniform, 0.0, 1.0)
        self.assertAllClose(uniform.mean(axis=0), np.full(10, 0.5), atol=0.03)
        normal = _rows("normal", 0, 4000, 10)
        self.assertAllClose(normal.mean(axis=0), np.zeros(10), atol=0.1)
        self.assertAllClose(normal.std(axis=0), np.ones(10), atol=0.06)
        # Successive rows and columns are independent.
        self.assertLess(abs(np.corrcoef(normal[:-1, 0], normal[1:, 0])[0, 1]), 0.08)
        self.assertLess(abs(np.corrcoef(normal[:, 0], normal[:, 1])[0, 1]), 0.08)

    def test_streams_differ(self):
        seeds = [
            tuple(counter_rng.stream_seed(1, stream, epoch).numpy())
            for stream in range(4)
            for epoch in range(4)
        ]
        self.assertLen(set(seeds), 16)


if __name__ == "__main__":
    tf.test.main()
