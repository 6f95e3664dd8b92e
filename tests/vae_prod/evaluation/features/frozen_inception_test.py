import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.evaluation.features import extractors, frozen_inception

_SIZE = (299, 299)


def _graph(features: str = "pool_3") -> tf.compat.v1.GraphDef:
    """Return a graph with the nodes by which Inception's is fed, of 2015's version."""
    with tf.Graph().as_default() as graph:
        v1 = tf.compat.v1
        picture = v1.placeholder(tf.uint8, [None, None, 3], "DecodeJpeg")
        images = tf.expand_dims(tf.cast(picture, tf.float32), 0, name="ExpandDims")
        resized = v1.image.resize_bilinear(images, _SIZE, name="ResizeBilinear")
        scaled = tf.multiply(tf.subtract(resized, 128.0), 1 / 128, name="Mul")
        pooled = tf.nn.avg_pool2d(scaled, 99, 99, "VALID")
        joined = tf.reshape(pooled, [-1, 1, 1, 27], name=features)
        tf.reshape(joined, [1, 27], name="pool_3_reshape")  # Of one image alone.
    definition = graph.as_graph_def()
    # An operation that was withdrawn since, as the real one has.
    node = definition.node.add(name="conv/batchnorm")
    node.op = "BatchNormWithGlobalNormalization"
    for name, value in (("ones", [1.0] * 3), ("zeros", [0.0] * 3)):
        constant = definition.node.add(name=name, op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
    node.input.extend(["Mul", "zeros", "ones", "zeros", "ones"])
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["variance_epsilon"].f = 1e-12
    node.attr["scale_after_normalization"].b = False
    for other in definition.node:
        for number, given in enumerate(other.input):
            if given == "Mul" and other is not node:
                other.input[number] = "conv/batchnorm"
    definition.versions.producer = 8
    return definition


def _pooled(images: np.ndarray) -> np.ndarray:
    """Return what the graph makes of images of 299x299."""
    scaled = (images.astype(np.float64) - 128) / 128
    parts = scaled[:, :297, :297].reshape(-1, 3, 99, 3, 99, 3)
    return parts.mean(axis=(2, 4)).reshape(-1, 27)


class FrozenInceptionTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.create_tempdir().full_path
        self.path = os.path.join(folder, "classify_image_graph_def.pb")
        self._write(_graph().SerializeToString())

    def _write(self, content: bytes):
        with open(self.path, "wb") as file:
            file.write(content)

    def test_ttur_resizes_in_the_graph(self):
        shape = (40, 48, 3)
        extractor = extractors.load(f"ttur:{self.path}", shape)
        self.assertEqual((extractor.name, extractor.kind), ("ttur", "ttur"))
        self.assertIn("by the graph", extractor.resizing)
        self.assertEqual(extractor.digest, files.sha256(self.path))
        images = tiny.images(3, shape)
        resized = tf.raw_ops.ResizeBilinear(
            images=images.astype(np.float32), size=_SIZE, half_pixel_centers=False
        )
        measured = extractor.features(images)
        self.assertEqual(measured.dtype, np.float32)
        self.assertAllClose(measured, _pooled(resized.numpy()), atol=1e-5)
        # Other conventions differ by more.
        centred = tf.image.resize(images, _SIZE).numpy()
        self.assertGreater(np.abs(measured - _pooled(centred)).max(), 1e-3)

    @parameterized.parameters((40, 48), (400, 350), (299, 299))
    def test_clean_resizes_by_pillow(self, height, width):
        images = tiny.images(2, (height, width, 3))
        resized = frozen_inception.resize(images)
        self.assertEqual((resized.dtype, resized.shape), (np.float32, (2, *_SIZE, 3)))
        for number, channel in np.ndindex(2, 3):
            picture = Image.fromarray(images[number, ..., channel]).convert("F")
            expected = np.asarray(picture.resize(_SIZE, Image.Resampling.BICUBIC))
            expected = np.minimum(np.maximum(expected, 0.0), 255.0)
            self.assertAllEqual(resized[number, ..., channel], expected)
        extractor = extractors.load(f"clean:{self.path}", (height, width, 3))
        self.assertIn("Pillow", extractor.resizing)
        self.assertAllClose(extractor.features(images), _pooled(resized), atol=1e-5)

    def test_both_agree_on_images_of_its_size_and_on_grey(self):
        shape = (*_SIZE, 1)
        images = tiny.images(2, shape)
        measured = [
            extractors.load(f"{kind}:{self.path}", shape).features(images)
            for kind in ("ttur", "clean")
        ]
        self.assertAllEqual(*measured)
        self.assertAllClose(
            measured[0], _pooled(np.repeat(images, 3, axis=-1)), atol=1e-5
        )

    def test_refuses_another_file(self):
        expected = "Inception's frozen graph of 2015-12-05 in .*it can't be read: "
        other = _graph("pool_4").SerializeToString()
        for content in (b"no graph", other):
            self._write(content)
            with self.assertRaisesRegex(files.UserError, expected) as raised:
                extractors.load(f"ttur:{self.path}", (40, 48, 3))
            self.assertNotIn("\n", str(raised.exception))


if __name__ == "__main__":
    tf.test.main()
