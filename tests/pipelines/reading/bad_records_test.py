import os
import threading

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, records, shards
from pipelines.reading import bad_records as bad_records_lib
from tests.pipelines import shard_fixtures


class DamageTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data_dir = self.create_tempdir().full_path
        manifest, _ = shard_fixtures.write(
            self.data_dir, {"train": (3, 0, 4)}, annotated=False
        )
        split = manifest.split("train")
        self.spec = manifest.record
        self.files = [shard.file for shard in split.shards]
        self.paths = [os.path.join(self.data_dir, file) for file in self.files]
        self.rows = shards.load_index(self.data_dir, split)

    def _bad_records(self, limit=10):
        return bad_records_lib.BadRecords(self.paths, self.rows, self.spec, limit)

    def _replace(self, bad_records, numbers, ok):
        """Find replacements inside of a pipeline, where errors are TensorFlow's."""
        batches = tf.data.Dataset.from_tensors((np.int64(numbers), np.bool_(ok)))
        return batches.map(bad_records.replacements).get_single_element()

    def _flip(self, number, at):
        """Flip a bit, `at` bytes after the beginning of a payload."""
        shard, offset, _ = self.rows[number]
        with open(self.paths[shard], "rb+") as file:
            file.seek(offset + at)
            (byte,) = file.read(1)
            file.seek(offset + at)
            file.write(bytes([byte ^ 16]))

    def _examine(self, number, spec=None):
        shard, offset, length = self.rows[number].tolist()
        path = self.paths[shard]
        return bad_records_lib.examine(path, offset, length, spec or self.spec)

    def _examine_record(self, payload):
        path = os.path.join(self.data_dir, "shard")
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(payload)
        header = shards.RECORD_HEADER
        return bad_records_lib.examine(path, header, len(payload), self.spec)


class ReplacementsTest(DamageTest):
    @parameterized.parameters(
        ([1, 1, 1, 1], [0, 1, 2, 3]),
        ([1, 0, 0, 1], [0, 0, 0, 3]),
        ([0, 0, 1, 0], [2, 2, 2, 2]),
        ([1, 1, 1, 0], [0, 1, 2, 2]),
        ([0, 1, 0, 1], [1, 1, 1, 3]),
    )
    def test_the_nearest_sound_example_before_stands_in(self, ok, places):
        replacements = self._replace(self._bad_records(), [6, 2, 0, 4], ok)
        self.assertEqual(replacements.dtype, tf.int64)
        self.assertAllEqual(replacements, places)

    def test_each_record_counts_once(self):
        bad_records = self._bad_records(limit=2)
        with self.assertLogs(level="WARNING") as logs:
            for _ in range(3):
                self._replace(bad_records, [5, 1, 5], [False, True, False])
            self._replace(bad_records, [5, 1, 5], [True, False, True])
        self.assertEqual(list(bad_records.faults), [5, 1])
        self.assertLen(logs.output, 2)
        self.assertIn("damaged record 1 of at most 2: record 2 of", logs.output[0])
        self.assertIn("damaged record 2 of at most 2: record 1 of", logs.output[1])

    def test_threads_count_together(self):
        bad_records = self._bad_records(limit=7)

        def run():
            for number in range(6):
                self._replace(bad_records, [number, 6], [False, True])

        threads = [threading.Thread(target=run) for _ in range(4)]
        with self.assertLogs(level="WARNING") as logs:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(sorted(bad_records.faults), list(range(6)))
        self.assertLen(logs.output, 6)

    @parameterized.parameters((0, "sound"), (1, "at most 1 damaged"))
    def test_beyond_the_limit_it_says_which_and_what_to_do(self, limit, allowed):
        self._flip(4, self.rows[4, 2] - 1)
        bad_records = self._bad_records(limit)
        if limit:
            self._replace(bad_records, [0, 1], [False, True])
        with self.assertRaises(tf.errors.OpError) as caught:
            self._replace(bad_records, [4, 0], [False, True])
        self.assertEqual(
            bad_records_lib.sentence(caught.exception),
            f"Expected {allowed} records, found record 1 of {self.files[2]} (key "
            "train-00004): its checksum doesn't fit its content. Find all with "
            "tools.verify_shards and convert again, or skip them with "
            "--max_bad_records.",
        )

    def test_a_batch_of_nothing_but_bad_records(self):
        with self.assertRaises(tf.errors.OpError) as caught:
            self._replace(self._bad_records(), [2, 0], [False, False])
        self.assertRegex(
            bad_records_lib.sentence(caught.exception),
            "^Expected at least one sound record in each batch, all 2 of one are "
            rf"damaged, such as record 2 of {self.files[0]} \(key train-00002\): it .*"
            r"\. Convert again\.$",
        )


class ExamineTest(DamageTest):
    def test_a_sound_record(self):
        for number in range(7):
            key, fault = self._examine(number)
            self.assertEqual(key, f"train-{number:05d}")
            self.assertEqual(fault, "it can't be read now, but could afterwards")

    def test_a_damaged_payload(self):
        self._flip(1, self.rows[1, 2] - 5)
        fault = ("train-00001", "its checksum doesn't fit its content")
        self.assertEqual(self._examine(1), fault)

    def test_a_payload_that_is_no_example(self):
        self._flip(1, 1)
        self.assertEqual(self._examine(1), ("", "its checksum doesn't fit its content"))

    @parameterized.parameters(-3, -1)
    def test_a_damaged_checksum_of_the_length(self, at):
        self._flip(1, at)
        fault = ("train-00001", "its checksum doesn't fit its content")
        self.assertEqual(self._examine(1), fault)

    def test_a_damaged_footer(self):
        self._flip(1, self.rows[1, 2] + 2)
        fault = ("train-00001", "its checksum doesn't fit its content")
        self.assertEqual(self._examine(1), fault)

    def test_a_damaged_length(self):
        self._flip(1, -shards.RECORD_HEADER)
        fault = "the record index points elsewhere, or its header is damaged"
        self.assertEqual(self._examine(1), ("", fault))

    @parameterized.parameters(1, -1, 13, -20)
    def test_an_index_that_points_elsewhere(self, by):
        self.rows[0, 1] += by
        key, fault = self._examine(0)
        self.assertEqual(key, "")
        self.assertIn("the record index points elsewhere", fault)

    def test_a_cut_file(self):
        shard, offset, length = self.rows[5].tolist()
        for size in (offset + length + 3, offset + 1, offset - 5, 0):
            os.truncate(self.paths[shard], size)
            fault = f"the file ends at byte {size:,}, before the record does"
            self.assertEqual(self._examine(5), ("", fault))

    @parameterized.parameters(("jpeg", (8, 6, 3)), ("raw", (8, 6, 1)))
    def test_another_image(self, encoding, shape):
        spec = attrs.evolve(self.spec, encoding=encoding, image_shape=shape)
        fault = f"its image is no {encoding} of shape {shape}"
        self.assertEqual(self._examine(3, spec), ("train-00003", fault))

    @parameterized.parameters((0, "no images"), (2, "2 images"))
    def test_another_number_of_images(self, number, words):
        feature = {
            records.KEY_FEATURE: tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[b"k\xff"])
            ),
            records.IMAGE_FEATURE: tf.train.Feature(
                bytes_list=tf.train.BytesList(value=number * [bytes(8 * 6 * 3)])
            ),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        examined = self._examine_record(example.SerializeToString())
        self.assertEqual(examined, ("k\ufffd", f"it holds {words}"))

    @parameterized.parameters(b"", b"no Example")
    def test_a_record_of_something_else(self, payload):
        self.assertEqual(self._examine_record(payload), ("", "it holds no images"))


class SentenceTest(tf.test.TestCase):
    def _sentence(self, error):
        @tf.function
        def run():
            return tf.numpy_function(fail, [], tf.int64)

        def fail():
            raise error

        with self.assertRaises(tf.errors.OpError) as caught:
            run()
        return bad_records_lib.sentence(caught.exception)

    def test_what_a_data_error_says(self):
        error = files.UserError("Expected this. Do that.")
        self.assertEqual(self._sentence(error), "Expected this. Do that.")

    def test_other_errors(self):
        self.assertIsNone(self._sentence(ValueError("no data error")))
        error = tf.errors.NotFoundError(None, None, "no file")
        self.assertIsNone(bad_records_lib.sentence(error))


if __name__ == "__main__":
    tf.test.main()
