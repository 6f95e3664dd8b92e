import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod.latent import encodings
from vae_prod.model import codec as codec_lib
from vae_prod.serving import opening


def _data(num: int, **more) -> tf.data.Dataset:
    keys = [f"{i}.jpg" for i in range(num)]
    data = {"image": tiny.images(num), "key": keys, **more}
    return tf.data.Dataset.from_tensor_slices(data)


class EncodeToDiskTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.create_tempdir().full_path, "encodings", "test")

    @parameterized.parameters("vae", "ae")
    def test_points_and_keys_in_order(self, mode):
        codec = codec_lib.from_model(tiny.model(mode=mode))
        for _ in range(2):  # The second replaces the first.
            encodings.encode_to_disk(codec, _data(5).batch(2), 5, self.out)
        expected = codec.encode(tiny.images(5))
        names = [f"{name}.npy" for name in expected]
        names += ["keys.txt", "made.json", "digests.json"]
        self.assertCountEqual(os.listdir(self.out), names)
        opened = encodings.open_encoding(self.out, "")
        for name, values in expected.items():
            self.assertAllClose(getattr(opened, name), values, atol=1e-6)
        self.assertEqual(opened.z_log_var is None, mode == "ae")
        self.assertIsNone(opened.label)
        self.assertIsInstance(opened.z_mean, np.memmap)
        with open(os.path.join(self.out, "keys.txt")) as file:
            self.assertEqual(file.read().split(), [f"{i}.jpg" for i in range(5)])

    def test_annotations_and_how_it_was_made(self):
        codec = codec_lib.from_model(tiny.model())
        label, attributes = [2, 0, 1], [[0, 1], [1, 1], [0, 0]]
        data = _data(3, label=label, attributes=attributes)
        encodings.encode_to_disk(
            codec, data.batch(2), 3, self.out, made={"split": "exam"}
        )
        opened = encodings.open_encoding(self.out, "")
        self.assertAllEqual(opened.label, label)
        self.assertAllEqual(opened.attributes, attributes)
        self.assertEqual(opened.attributes.dtype, np.uint8)
        expected = {"split": "exam", "num_images": 3, "model": codec.weights_digest()}
        self.assertEqual(opened.made, expected)

    @parameterized.parameters(0, 3)
    def test_images_that_are_missing(self, num):
        codec = codec_lib.from_model(tiny.model())
        expected = 4 if num else 0
        with self.assertRaisesRegex(files.UserError, f"images to encode, .* {num}\\."):
            encodings.encode_to_disk(codec, _data(num).batch(2), expected, self.out)
        self.assertFalse(os.path.exists(self.out))

    def test_nothing_encoded_and_damage(self):
        with self.assertRaisesRegex(files.UserError, "found none. Encode them."):
            encodings.open_encoding(self.out, "Encode them.")
        codec = codec_lib.from_model(tiny.model())
        encodings.encode_to_disk(codec, _data(3).batch(2), 3, self.out)
        with open(os.path.join(self.out, "z_mean.npy"), "r+b") as file:
            file.truncate(100)
        with self.assertRaisesRegex(files.UserError, "can't be read .* Encode them."):
            encodings.open_encoding(self.out, "Encode them.")


class WeightsDigestTest(tf.test.TestCase):
    def test_is_of_the_weights_alone(self):
        model, same = tiny.model(dropout=0.5), tiny.model(dropout=0.5)
        codec = codec_lib.from_model(model)
        before = codec.weights_digest()
        self.assertEqual(codec_lib.from_model(same).weights_digest(), before)
        same.encoder(tiny.images(2) / np.float32(255), training=True)  # Draws dropout.
        path = tiny_exports.export_little(model, self.create_tempdir().full_path)
        self.assertEqual(opening.open_export(path).weights_digest(), before)
        kernel = model.decoder.trainable_variables[0]
        kernel.assign(kernel + 1e-3)
        self.assertNotEqual(codec.weights_digest(), before)


if __name__ == "__main__":
    tf.test.main()
