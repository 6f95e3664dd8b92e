"""What must hold of the op and of its twin alike."""

import os
from types import ModuleType

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import records, shards
from pipelines.reading import crop as crop_lib
from tests.pipelines import shard_fixtures
from tests.pipelines.reading.native import samples

SHAPE = (8, 6, 3)
SIZES = (4, 5)


def example(*images: bytes, name: str = "image") -> bytes:
    """Serialize an Example with a feature of any number of values."""
    values = tf.train.Feature(bytes_list=tf.train.BytesList(value=images))
    features = tf.train.Features(feature={name: values})
    return tf.train.Example(features=features).SerializeToString()


class Cases(parameterized.TestCase):
    """Mixed into a `tf.test.TestCase` that names the module, `images`."""

    images: ModuleType

    def setUp(self):
        super().setUp()
        self.data_dir = self.create_tempdir().full_path
        self.write()

    def write(self, encoding="raw", shape=SHAPE):
        """Write a split of nine images in two shards."""
        manifest, pixels = shard_fixtures.write(
            self.data_dir, {"train": SIZES}, shape, encoding, annotated=False
        )
        split = manifest.split("train")
        self.spec, self.pixels = manifest.record, pixels["train"]
        self.rows = shards.load_index(self.data_dir, split)
        self.paths = [os.path.join(self.data_dir, s.file) for s in split.shards]

    def write_records(self, payloads):
        """Write a single shard of any records."""
        self.paths, rows, position = [os.path.join(self.data_dir, "shard")], [], 0
        with tf.io.TFRecordWriter(self.paths[0]) as writer:
            for payload in payloads:
                writer.write(payload)
                rows.append((0, position + shards.RECORD_HEADER, len(payload)))
                position += shards.RECORD_HEADER + len(payload) + shards.RECORD_FOOTER
        self.rows = np.array(rows, np.int64)

    def crop(self, size, window=None, dtype=tf.uint8, seed=0):
        """Return a crop with random corners and mirroring."""
        window = window or self.spec.image_shape[:2]
        generator = np.random.default_rng(seed)
        limits = np.array(self.spec.image_shape[:2]) - window + 1
        corners = generator.integers(0, limits, (size, 2), np.int32)
        mirrored = generator.integers(0, 2, size).astype(bool)
        return crop_lib.Crop(window, tf.constant(corners), tf.constant(mirrored), dtype)

    def read(self, rows=None, crop=None, keep_serialized=False):
        """Read records, all of them as they are by default."""
        rows = self.rows if rows is None else rows
        crop = crop or crop_lib.Crop.whole(self.spec.image_shape, len(rows))
        return self.images.read_images(
            tf.constant(self.paths),
            tf.constant(rows, tf.int64, [len(rows), 3]),
            self.spec,
            crop,
            keep_serialized=keep_serialized,
        )

    def decode(self, payloads, crop=None):
        """Decode serialized Examples."""
        crop = crop or crop_lib.Crop.whole(self.spec.image_shape, len(payloads))
        serialized = tf.constant(payloads, tf.string, [len(payloads)])
        return self.images.decode_images(serialized, self.spec, crop)

    def alter(self, shard, at, data=None):
        """Write over some bytes of a shard, or flip a bit."""
        with open(self.paths[shard], "rb+") as file:
            file.seek(at)
            data = data or bytes([file.read(1)[0] ^ 8])
            file.seek(at)
            file.write(data)

    def assert_bad(self, answer, bad, expected=None):
        """Check that some places are black and not ok, all others as they should."""
        images, ok = (part.numpy() for part in answer[:2])
        self.assertAllEqual(np.flatnonzero(~ok), bad)
        expected = (self.pixels if expected is None else expected).copy()
        expected[bad] = 0
        self.assertAllEqual(images, expected)

    @parameterized.product(
        encoding=("jpeg", "png", "raw"),
        channels=(1, 3),
        dtype=("uint8", "float32", "bfloat16"),
        window=(None, (5, 4), (1, 1)),
    )
    def test_images_are_those_of_tensorflow(self, encoding, channels, dtype, window):
        self.write(encoding, (8, 6, channels))
        order = [7, 0, 3, 3, 8]
        crop = self.crop(len(order), window, tf.as_dtype(dtype))
        images, ok, kept = self.read(self.rows[order], crop, keep_serialized=True)
        self.assertAllEqual(ok, [True] * len(order))
        serialized = [
            record
            for path in self.paths
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
        ]
        self.assertAllEqual(kept, [serialized[i] for i in order])
        whole = [records.parse(self.spec, serialized[i])["image"] for i in order]
        if encoding != "jpeg":
            self.assertAllEqual(whole, self.pixels[order])
        expected = crop(tf.stack(whole))
        self.assertEqual(images.dtype, tf.as_dtype(dtype))
        self.assertAllEqual(images, expected)
        again, _ = self.decode(kept, crop)
        self.assertAllEqual(again, expected)
        *_, kept = self.read(self.rows[order], crop)
        self.assertAllEqual(kept, np.empty([0], object))

    @parameterized.product(encoding=("jpeg", "png"), channels=(1, 3))
    def test_every_kind_of_image(self, encoding, channels):
        kinds = samples.jpegs(channels) if encoding == "jpeg" else samples.pngs()
        shape = (samples.HEIGHT, samples.WIDTH, channels)
        self.spec = records.RecordSpec(shape, encoding)
        images, ok = self.decode([example(image) for image in kinds])
        self.assertTrue(tf.reduce_all(ok))
        for image, data in zip(images, kinds, strict=True):
            self.assertAllEqual(image, records.decode_image(self.spec, data))

    def test_a_flipped_bit(self):
        shard, offset, length = self.rows[1]
        header = offset - shards.RECORD_HEADER
        for at in (header, header + 9, offset, offset + length - 1, offset + length):
            with self.subTest(at - offset):
                self.alter(shard, at)
                answer = self.read(keep_serialized=True)
                self.assert_bad(answer, [1])
                self.assertEqual(answer[2][1], b"")
                self.assertNotEqual(answer[2][2], b"")
                self.alter(shard, at)
        self.assert_bad(self.read(), [])

    def test_a_cut_shard(self):
        _, offset, _ = self.rows[7]
        for size in (offset + 20, offset, offset - 4, offset - shards.RECORD_HEADER):
            with self.subTest(size - offset):
                os.truncate(self.paths[1], size)
                self.assert_bad(self.read(), [7, 8])
        os.truncate(self.paths[1], 0)
        self.assert_bad(self.read(), [4, 5, 6, 7, 8])

    def test_rows_that_point_elsewhere(self):
        self.rows[2, 1] += 1
        self.rows[4, 1] = 10**15
        self.rows[6, 1] -= 4
        self.assert_bad(self.read(), [2, 4, 6])

    def test_records_that_hold_no_such_image(self):
        pixels = [image.tobytes() for image in self.pixels]
        payloads = [
            example(pixels[0]),
            example(pixels[1], pixels[2]),
            example(),
            example(pixels[3], name="picture"),
            b"",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            example(pixels[6][:-1]),
            example(b""),
            example(pixels[8]),
        ]
        self.write_records(payloads)
        bad = [1, 2, 3, 4, 5, 6, 7]
        self.assert_bad(self.read(), bad)
        self.assert_bad(self.decode(payloads), bad)

    @parameterized.parameters("jpeg", "png")
    def test_images_that_cant_be_decoded(self, encoding):
        self.spec = records.RecordSpec(SHAPE, encoding)
        good = [shard_fixtures.encode_image(image, encoding) for image in self.pixels]
        turned = shard_fixtures.encode_image(self.pixels[2].swapaxes(0, 1), encoding)
        bad = {1: good[1][:40], 2: turned, 4: b"", 5: b"no image", 6: good[6][20:]}
        datas = [bad.get(i, data) for i, data in enumerate(good)]
        payloads = [example(data) for data in datas]
        self.write_records(payloads)
        expected = [records.decode_image(self.spec, data) for data in good]
        for answer in (self.read(), self.decode(payloads)):
            self.assert_bad(answer, list(bad), np.stack(expected))

    def test_damaged_floats_are_black_too(self):
        self.alter(0, self.rows[0, 1])
        crop = self.crop(len(self.rows), (3, 3), tf.float32)
        images, ok, _ = self.read(crop=crop)
        self.assertAllEqual(ok, [False] + 8 * [True])
        expected = crop(tf.constant(self.pixels)).numpy()
        expected[0] = 0
        self.assertAllEqual(images, expected)

    def test_a_missing_file_is_an_error(self):
        os.remove(self.paths[1])
        with self.assertRaises(tf.errors.NotFoundError):
            self.read()
        self.assert_bad(self.read(self.rows[:4]), [], self.pixels[:4])

    def test_shapes_are_known_in_a_dataset(self):
        rows = tf.data.Dataset.from_tensor_slices(self.rows)
        for drop, size in ((True, 4), (False, None)):

            def read(batch):
                crop = crop_lib.Crop.whole(SHAPE, tf.shape(batch)[0])
                return self.images.read_images(
                    tf.constant(self.paths),
                    batch,
                    self.spec,
                    crop,
                    keep_serialized=True,
                )

            batches = rows.batch(4, drop_remainder=drop).map(read)
            images, *_ = batches.element_spec
            self.assertEqual(images.shape.as_list()[1:], list(SHAPE))
            for spec in batches.element_spec:
                self.assertIn(spec.shape.as_list()[0], (size, None))
            answer = np.concatenate([batch[0] for batch in batches])
            self.assertAllEqual(answer, self.pixels[: len(answer)])
