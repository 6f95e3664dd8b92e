import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.model import codec, own_networks
from vae_prod.model import vae as vae_lib


def encoder(z_dim: int = 3, heads=("z_mean", "z_log_var"), dtype="float32"):
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    outputs = {n: keras.layers.Dense(z_dim, dtype=dtype, name=n)(flat) for n in heads}
    return keras.Model(image, outputs)


def decoder(size: int = 8):
    return keras.Sequential(
        [
            keras.layers.Dense(size * size * 3),
            keras.layers.Dropout(0.1),
            keras.layers.Reshape((size, size, 3)),
        ]
    )


def model(**networks) -> vae_lib.VAE:
    keras.utils.set_random_seed(1)
    given = {"encoder": encoder(), "decoder": decoder()} | networks
    return vae_lib.VAE(tiny.config(), **given)


class TrainingTest(tf.test.TestCase):
    def test_trains_saves_and_goes_on(self):
        built = model()
        built.compile(optimizer="adam")
        losses = built.fit(tiny.batches(), epochs=3, verbose=0).history["total_loss"]
        self.assertLess(losses[-1], losses[0])
        path = os.path.join(self.get_temp_dir(), "model.keras")
        built.save(path)
        loaded = keras.models.load_model(path)
        for one, two in zip(built.weights, loaded.weights, strict=True):
            self.assertAllEqual(one, two)
        results = [m.evaluate(tiny.batches(), verbose=0) for m in (built, loaded)]
        self.assertAllClose(*results)

    def test_one_network_may_be_the_configurations(self):
        built = model(decoder=None)
        self.assertEqual(built.decoder.name, "decoder")
        self.assertNotIn("decoder", built.get_config())

    def test_a_copy_has_weights_of_its_own(self):
        built = model()
        copy = built.with_precision("float32")
        digests = [codec.from_model(m).weights_digest() for m in (built, copy)]
        self.assertEqual(*digests)
        built.encoder.weights[0].assign_add(tf.ones_like(built.encoder.weights[0]))
        self.assertNotEqual(codec.from_model(built).weights_digest(), digests[1])


class RefusedTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (lambda: encoder(4), r"float32 \[B, 3\] each.*received.*\[2, 4\]"),
        (lambda: encoder(heads=("z_mean",)), "dict of z_mean and z_log_var"),
        (lambda: encoder(dtype="float16"), "received.*float16"),
        (decoder, "as encoder, it fails"),
        (lambda: lambda image: image, "Expected a keras.Model as encoder"),
    )
    def test_encoder(self, make, sentence):
        with self.assertRaisesRegex(files.UserError, sentence):
            model(encoder=make())

    @parameterized.parameters(
        (lambda: decoder(4), r"\[B, 8, 8, 3\].*received float32 \[2, 4, 4, 3\]"),
        (encoder, "takes float32.*as decoder, it fails"),
    )
    def test_decoder(self, make, sentence):
        with self.assertRaisesRegex(files.UserError, sentence):
            model(decoder=make())

    def test_network_that_cannot_be_copied(self):
        class Subclassed(keras.Model):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, z):
                return self.inner(z)

        built = model(decoder=Subclassed(decoder()))
        self.assertEqual(np.shape(built.decode(tf.zeros([1, 3]))), (1, 8, 8, 3))
        with self.assertRaisesRegex(files.UserError, "can't be.*`get_config`"):
            own_networks.copy(built.decoder)


if __name__ == "__main__":
    tf.test.main()
