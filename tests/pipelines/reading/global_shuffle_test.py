import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines.reading import counter_rng, global_shuffle


def _permutation(size, seed=1, epoch=0):
    stream = counter_rng.stream_seed(seed, counter_rng.ORDER, epoch)
    return global_shuffle.permuted(tf.range(size, dtype=tf.int64), size, stream).numpy()


class GlobalShuffleTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(1, 2, 3, 17, 128, 1000, 2331)
    def test_every_number_stands_once(self, size):
        for epoch in range(3):
            self.assertAllEqual(np.sort(_permutation(size, epoch=epoch)), range(size))

    def test_a_position_is_looked_up_by_itself(self):
        whole = _permutation(1000)
        seed = counter_rng.stream_seed(1, counter_rng.ORDER, 0)
        some = global_shuffle.permuted(tf.constant([999, 3], tf.int64), 1000, seed)
        self.assertAllEqual(some, whole[[999, 3]])

    def test_is_a_function_of_seed_and_epoch(self):
        first = _permutation(100, 5, 7)
        self.assertAllEqual(first, _permutation(100, 5, 7))
        self.assertNotAllEqual(first, _permutation(100, 5, 8))
        self.assertNotAllEqual(first, _permutation(100, 6, 7))

    # With the cipher's default of 4 rounds these are 0.65 and 0.11 for some epochs.
    @parameterized.parameters(170_000, 20_000)
    def test_epochs_are_independent(self, size):
        epochs = np.stack([_permutation(size, epoch=epoch) for epoch in range(12)])
        between = np.corrcoef(epochs) - np.eye(12)
        self.assertLess(np.abs(between).max(), 5 / np.sqrt(size))

    def test_neighbours_are_independent(self):
        for epoch in range(12):
            numbers = _permutation(20_000, epoch=epoch)
            serial = np.corrcoef(numbers[:-1], numbers[1:])[0, 1]
            self.assertLess(abs(serial), 5 / np.sqrt(20_000))
            # Two of 20,000 are expected to follow each other.
            self.assertLess((np.abs(np.diff(numbers)) == 1).sum(), 14)


if __name__ == "__main__":
    tf.test.main()
