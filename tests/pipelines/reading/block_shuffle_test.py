import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines.reading import block_shuffle, readers
from tests.pipelines import shard_fixtures

_SIZES = (150, 0, 64, 70, 3)
_TOTAL = sum(_SIZES)


class BlockShuffleTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        data_dir = self.create_tempdir().full_path
        manifest, _ = shard_fixtures.write(data_dir, {"train": _SIZES}, (2, 2, 1))
        config = config_lib.DataConfig(native="false")
        stored = readers.open_split(data_dir, manifest, "train", config, ())
        self.blocks = block_shuffle.Blocks.cut(stored, manifest.split("train"))

    def _numbers(self, buffer, seed=(1, 2), start=0):
        seed, start = tf.constant(seed, tf.int64), tf.constant(start, tf.int64)
        stream = block_shuffle.shuffled(self.blocks, buffer, seed, start)
        numbers = []
        for number, record in stream.as_numpy_iterator():
            example = tf.train.Example.FromString(record)
            (key,) = example.features.feature["filename"].bytes_list.value
            self.assertEqual(key.decode(), f"train-{number:05d}")
            numbers.append(number)
        return numbers

    def test_blocks_stay_within_shards(self):
        self.assertAllEqual(self.blocks.size, [64, 64, 22, 64, 64, 6, 3])
        self.assertAllEqual(self.blocks.first, [0, 64, 128, 150, 214, 278, 284])

    @parameterized.parameters(1, 64, 128, 1000)
    def test_each_example_once_from_anywhere(self, buffer):
        whole = self._numbers(buffer)
        self.assertCountEqual(whole, range(_TOTAL))
        for start in (1, 64, 127, 200, _TOTAL - 1, _TOTAL):
            self.assertEqual(self._numbers(buffer, start=start), whole[start:])

    def test_order_is_a_function_of_the_seed(self):
        first = self._numbers(128)
        self.assertEqual(first, self._numbers(128))
        self.assertNotEqual(first, self._numbers(128, seed=(1, 3)))

    def test_a_window_mixes_its_blocks(self):
        numbers = np.array(self._numbers(10**6))
        self.assertLess(abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]), 0.3)
        # A single block at a time stays together.
        alone = np.array(self._numbers(64))
        self.assertGreater(np.corrcoef(alone[:-1], alone[1:])[0, 1], 0.7)


if __name__ == "__main__":
    tf.test.main()
