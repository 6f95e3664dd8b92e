import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import codec as codec_lib
from vae_prod import latent


class EncodeToDiskTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("vae", "ae")
    def test_points_and_keys_in_order(self, mode):
        images = tiny.images(5)
        keys = [f"{i}.jpg" for i in range(5)]
        data = tf.data.Dataset.from_tensor_slices({"image": images, "key": keys})
        codec = codec_lib.from_model(tiny.model(mode=mode))
        out = os.path.join(self.create_tempdir().full_path, "encodings", "test")
        for _ in range(2):  # The second replaces the first.
            latent.encode_to_disk(codec, data.batch(2), 5, out)
        expected = codec.encode(images)
        names = [f"{name}.npy" for name in expected]
        self.assertCountEqual(os.listdir(out), [*names, "keys.txt"])
        for name, values in expected.items():
            stored = np.load(os.path.join(out, f"{name}.npy"))
            self.assertAllClose(stored, values, atol=1e-6)
        with open(os.path.join(out, "keys.txt")) as file:
            self.assertEqual(file.read().split(), keys)


if __name__ == "__main__":
    tf.test.main()
