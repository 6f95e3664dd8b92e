import contextlib
import os
import resource

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import records
from pipelines.reading.native import loader, op
from tests.pipelines.reading.native import cases


def _links():
    """Return what this process's descriptors are open at."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{name}")


class OpTest(cases.Cases, tf.test.TestCase):
    images = op

    def setUp(self):
        if not loader.available():
            self.skipTest("the op can't be built here")
        super().setUp()

    def _call(self, **changes):
        """Call the raw op with two rows, some of its arguments being others."""
        arguments = {
            "paths": self.paths,
            "rows": self.rows[:2],
            "mirrored": [True, False],
            "corners": np.zeros([2, 2], np.int32),
            "dtype": tf.uint8,
            "encoding": "raw",
            "stored_shape": cases.SHAPE,
            "window": (3, 3),
            "keep_serialized": False,
        }
        return loader.library().vae_prod_read_images(**{**arguments, **changes})

    def test_keeps_within_the_files_that_a_process_may_open(self):
        """Of many shards, and where others hold all descriptors but one."""
        folder = self.create_tempdir().full_path
        paths = [os.path.join(folder, f"{number:03d}") for number in range(90)]
        for path in paths:
            os.link(self.paths[0], path)
        own = len(os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        at_most = own + 80
        resource.setrlimit(resource.RLIMIT_NOFILE, (at_most, hard))
        held = []
        try:
            # One kernel for all calls, as in a pipeline.
            read = tf.function(lambda rows: self._call(paths=paths, rows=rows)[1])

            def is_whole(first):
                _, offset, length = self.rows[0]
                rows = [[first, offset, length], [first + 1, offset, length]]
                return bool(tf.reduce_all(read(tf.constant(rows, tf.int64))))

            self.assertTrue(all(map(is_whole, range(0, 40, 2))))
            opened = sum(os.path.dirname(link) == folder for link in _links())
            self.assertBetween(opened, 1, at_most // 8)
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(0))
            self.assertTrue(all(map(is_whole, range(40, 90, 2))))
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    @parameterized.parameters(
        ({"rows": [[0, 12], [0, 12]]}, "rows"),
        ({"rows": [0, 12, 1]}, "rows"),
        ({"paths": [["a"]]}, "paths"),
        ({"paths": []}, "a shard that isn't there"),
        ({"rows": [[-1, 12, 1], [0, 12, 1]]}, "a shard that isn't there"),
        ({"rows": [[2**33, 12, 1], [0, 12, 1]]}, "a shard that isn't there"),
        ({"mirrored": [True]}, "mirrored"),
        ({"mirrored": True}, "mirrored"),
        ({"corners": [[0, 0]]}, "corners"),
        ({"corners": [0, 0]}, "corners"),
        ({"corners": [[0, 0], [6, 0]]}, "outside"),
        ({"corners": [[0, 4], [0, 0]]}, "outside"),
        ({"corners": [[0, 0], [-1, 0]]}, "outside"),
        ({"corners": [[0, 0], [0, 2**31 - 1]]}, "outside"),
        ({"window": (9, 3)}, "larger than the image"),
        ({"window": (3, 0)}, "larger than the image"),
        ({"window": (3,)}, "window"),
        ({"stored_shape": (8, 6)}, "stored_shape"),
        ({"stored_shape": (8, 6, 4)}, "1 or 3 channels"),
        ({"stored_shape": (-8, 6, 3)}, "larger than the image"),
        ({"stored_shape": (2**30, 2**30, 3)}, "too large"),
    )
    def test_wrong_arguments_are_refused(self, changes, message):
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
            self._call(**changes)
        # Within a graph, the shape function may be the first to see it.
        with self.assertRaises((tf.errors.InvalidArgumentError, ValueError)):
            tf.function(self._call)(**changes)

    @parameterized.parameters(0, 11, -1, -(2**63), 2**31, 2**62, 2**63 - 1)
    def test_offsets_beyond_the_file(self, offset):
        images, ok, _ = self._call(rows=[[0, offset, 9], self.rows[0]])
        self.assertAllEqual(ok, [False, True])
        self.assertAllEqual(images[0], np.zeros([3, 3, 3]))

    @parameterized.parameters(0, -1, -(2**63), 2**30, 2**30 + 1, 2**63 - 1)
    def test_lengths_beyond_the_record(self, length):
        images, ok, _ = self._call(rows=[[0, 12, length], self.rows[0]])
        self.assertAllEqual(ok, [False, True])
        self.assertAllEqual(images[0], np.zeros([3, 3, 3]))

    def test_an_empty_batch(self):
        for dtype in (tf.uint8, tf.float32):
            images, ok, kept = self.read(self.rows[:0], self.crop(0, (5, 4), dtype))
            self.assertAllEqual(images.shape, [0, 5, 4, 3])
            self.assertAllEqual(ok.shape, [0])
            self.assertAllEqual(kept.shape, [0])
            images, ok = self.decode([], self.crop(0, (5, 4), dtype))
            self.assertAllEqual(images.shape, [0, 5, 4, 3])
            self.assertAllEqual(ok.shape, [0])

    def test_shapes_are_known_in_a_function(self):
        op_of = loader.library().vae_prod_decode_images
        attributes = {
            "dtype": tf.bfloat16,
            "encoding": "png",
            "stored_shape": cases.SHAPE,
            "window": (3, 2),
        }

        def static(serialized, mirrored, corners):
            outputs = op_of(serialized, mirrored, corners, **attributes)
            return [part.shape.as_list() for part in outputs]

        def shapes(size, corners_size=None):
            with tf.Graph().as_default():
                return static(
                    tf.compat.v1.placeholder(tf.string, [size]),
                    tf.compat.v1.placeholder(tf.bool, [None]),
                    tf.compat.v1.placeholder(tf.int32, [corners_size, 2]),
                )

        self.assertEqual(shapes(None), [[None, 3, 2, 3], [None]])
        self.assertEqual(shapes(7), [[7, 3, 2, 3], [7]])
        self.assertEqual(shapes(None, 5), [[5, 3, 2, 3], [5]])
        with self.assertRaisesRegex(ValueError, "must be equal"):
            shapes(7, 5)

    def test_many_shards(self):
        """More files than are kept open."""
        number = 300
        self.paths = [self.paths[i % 2] for i in range(2)] + [
            self.create_tempfile(content="").full_path for _ in range(number)
        ]
        rows = np.concatenate([self.rows, [(i + 2, 12, 5) for i in range(number)]])
        for _ in range(2):
            _, ok, _ = self.read(rows)
            self.assertAllEqual(np.flatnonzero(ok), range(9))

    def test_a_file_that_is_a_folder_is_an_error(self):
        self.paths[1] = self.data_dir
        with self.assertRaises(tf.errors.OpError):
            self.read()

    def test_bytes_are_divided_as_tensorflow_divides(self):
        pixels = np.arange(256, dtype=np.uint8)
        self.spec = records.RecordSpec((16, 16, 1), "raw")
        for dtype in (tf.float32, tf.bfloat16):
            crop = self.crop(1, dtype=dtype)
            images, _ = self.decode([cases.example(pixels.tobytes())], crop)
            expected = crop(tf.reshape(pixels, [1, 16, 16, 1]))
            self.assertAllEqual(images, expected)

    def test_mutated_examples_are_read_as_protobuf_reads_them(self):
        # Not as the twin does: TensorFlow's own parser crashes on some of them.
        generator = np.random.default_rng(3)
        sound = cases.example(self.pixels[0].tobytes())
        payloads = [sound]
        for _ in range(5000):
            payload = bytearray(sound)
            # The image's own bytes are none of the parser's.
            at, kind, byte = generator.integers(0, (28, 4, 256))
            if kind == 0:
                payload[at] ^= 1 << byte % 8
            elif kind == 1:
                payload[at] = byte
            elif kind == 2:
                del payload[at]
            else:
                payload.insert(at, byte)
            payloads.append(bytes(payload))
        expected = np.stack([self._parsed(payload) for payload in payloads])
        images, ok = self.decode(payloads)
        self.assertAllEqual(images, np.maximum(expected, 0))
        self.assertAllEqual(ok, expected[:, 0, 0, 0] >= 0)
        self.assertTrue(ok[0])

    def _parsed(self, payload):
        """Return an Example's image, -1 everywhere where it has none."""
        none = np.full(cases.SHAPE, -1)
        try:
            feature = tf.train.Example.FromString(payload).features.feature
        except Exception:  # The error's class belongs to the protobuf in use.
            return none
        values = feature["image"].bytes_list.value
        if len(values) != 1 or len(values[0]) != none.size:
            return none
        return np.frombuffer(values[0], np.uint8).reshape(cases.SHAPE)


if __name__ == "__main__":
    tf.test.main()
