import os
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.evaluation.features import extractors

_SHAPE = (8, 8, 3)


class _Means(tf.Module):
    """Means over pixels, so that features say what the network was given."""

    def __init__(self, shape, dtype=tf.float32):
        super().__init__()
        spec = tf.TensorSpec([None, *shape], dtype, "image")
        self.means = tf.function(self._means, input_signature=[spec])

    def _means(self, images):
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])


class TableTest(tf.test.TestCase):
    def test_every_kind_has_a_loader(self):
        loaders = extractors.BUILT_IN | extractors.LOADERS
        self.assertEqual(list(loaders), list(config_lib.EXTRACTORS))
        without_path = [x.name for x in config_lib.EXTRACTORS.values() if not x.place]
        self.assertEqual(list(extractors.BUILT_IN), without_path)


class LoadTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.create_tempdir().full_path, "means")

    def _save(self, *arguments):
        module = _Means(*arguments)
        tf.saved_model.save(module, self.path, signatures=module.means)
        return self.path

    def test_saved_model_in_the_images_own_size(self):
        extractor = extractors.load(self._save((None, None, 3)), _SHAPE)
        self.assertEqual((extractor.name, extractor.kind), ("means", "saved_model"))
        self.assertEqual(extractor.resizing, "none")
        images = tiny.images(70)  # More than are given to it at a time.
        measured = extractor.features(images)
        self.assertAllClose(measured, (images / 255).mean(axis=(1, 2)), atol=1e-5)
        scaled = images.astype(np.float32) / 255 + 0.001  # Rounded as if saved.
        self.assertAllClose(extractor.features(scaled), measured, atol=1e-6)

    def test_whole_numbers_in_another_size_and_grey(self):
        path = self._save((16, 12, 3), tf.uint8)
        extractor = extractors.load(path, (8, 8, 1))
        self.assertStartsWith(extractor.resizing, "to 16x12 by TensorFlow's bicubic")
        flat = np.full((2, 8, 8, 1), 77, np.uint8)
        self.assertAllClose(extractor.features(flat), np.full((2, 3), 77.0))

    def test_shrinking_keeps_means(self):
        extractor = extractors.load(self._save((4, 4, 3)), (32, 32, 3))
        images = tiny.images(3, (32, 32, 3))
        expected = (images / 255).mean(axis=(1, 2))
        # The filter weighs pixels near the edges a little differently.
        self.assertAllClose(extractor.features(images), expected, atol=0.02)

    def test_digest_is_of_the_files(self):
        path = self._save((None, None, 3))
        digest = extractors.load(path, _SHAPE).digest
        self.assertLen(digest, 64)
        self.assertEqual(extractors.load(path, _SHAPE).digest, digest)
        with open(os.path.join(path, "assets", "more.txt"), "w") as file:
            file.write("x")
        self.assertNotEqual(extractors.load(path, _SHAPE).digest, digest)

    def test_inception_weights(self):
        # Building the real one takes seconds; its stand-in says what it is given.
        path = os.path.join(self.create_tempdir().full_path, "weights_notop.h5")
        with open(path, "wb") as file:
            file.write(b"weights")
        images = keras.Input((299, 299, 3))
        means = keras.layers.GlobalAveragePooling2D()(images)
        model = keras.Model(images, means)
        with mock.patch.object(
            keras.applications, "InceptionV3", return_value=model
        ) as build:
            extractor = extractors.load(path, _SHAPE)
        self.assertEqual(build.call_args.kwargs["weights"], path)
        self.assertFalse(build.call_args.kwargs["include_top"])
        self.assertEqual((extractor.name, extractor.kind), ("keras", "keras"))
        self.assertStartsWith(extractor.resizing, "to 299x299 by TensorFlow's bicubic")
        flat = np.full((2, *_SHAPE), 255, np.uint8)
        flat[1] = 0
        # It takes images in [-1, 1].
        self.assertAllClose(extractor.features(flat), [[1.0] * 3, [-1.0] * 3])

    @parameterized.parameters(
        (((8, 8, 1),), "for images of 3 channels in .*it takes 1"),
        (((8, 8, 3), tf.int32), r"image int32 \(None, 8, 8, 3\) -> output_0 float32"),
        (((8, 3),), "from images, float32 or uint8"),
    )
    def test_refuses_another_input(self, arguments, message):
        with self.assertRaisesRegex(files.UserError, message):
            extractors.load(self._save(*arguments), _SHAPE)

    def test_refuses_an_input_that_its_network_refuses(self):
        module = _Means((None, None, 3))
        flat = tf.function(
            lambda image: tf.reshape(image, [-1, 100 * 3]),
            input_signature=module.means.input_signature,
        )
        module.flat = flat
        tf.saved_model.save(module, self.path, signatures=flat)
        expected = r"takes images of shape \(8, 8, 3\), it refuses them: "
        with self.assertRaisesRegex(files.UserError, expected) as raised:
            extractors.load(self.path, _SHAPE)
        self.assertNotIn("\n", str(raised.exception))

    def test_refuses_another_output(self):
        module = _Means((8, 8, 3))
        identity = tf.function(
            lambda image: image + 1, input_signature=module.means.input_signature
        )
        module.maps = identity
        tf.saved_model.save(module, self.path, signatures=identity)
        expected = r"one vector for each image.*received shape \(2, 8, 8, 3\)"
        with self.assertRaisesRegex(files.UserError, expected):
            extractors.load(self.path, _SHAPE)

    def test_refuses_what_is_not_there_or_damaged(self):
        with self.assertRaisesRegex(files.UserError, "found neither a file nor a"):
            extractors.load("/nowhere", _SHAPE)
        with self.assertRaisesRegex(files.UserError, "in /nowhere, .* one of ttur, cl"):
            extractors.load("ttur:/nowhere", _SHAPE)
        path = self._save((8, 8, 3))
        with open(os.path.join(path, "saved_model.pb"), "wb") as file:
            file.write(b"damage")
        with self.assertRaisesRegex(files.UserError, "it can't be read"):
            extractors.load(path, _SHAPE)

    def test_refuses_a_file_of_other_weights(self):
        path = os.path.join(self.create_tempdir().full_path, "other.h5")
        with open(path, "wb") as file:
            file.write(b"no weights")
        expected = "Expected the weights of Keras' InceptionV3 without its top"
        with self.assertRaisesRegex(files.UserError, expected):
            extractors.load(path, _SHAPE)


if __name__ == "__main__":
    tf.test.main()
