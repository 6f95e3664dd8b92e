import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod import networks

_PLANE = config_lib.ModelConfig(
    image_shape=(32, 32, 1),
    filters=(32, 64, 128),
    activation="relu",
    batch_norm=False,
    z_dim=2,
    decoder_output="extra_conv",
)


class ParameterCountTest(tf.test.TestCase):
    """Published counts: a free test of the architecture."""

    def test_reference_model(self):
        reference = config_lib.ModelConfig()
        self.assertEqual(networks.encoder(reference).count_params(), 5_109_440)
        self.assertEqual(networks.decoder(reference).count_params(), 2_757_571)

    def test_two_dimensional_model(self):
        plain = attrs.evolve(_PLANE, mode="ae")
        self.assertEqual(networks.encoder(_PLANE).count_params(), 100_868)
        self.assertEqual(networks.encoder(plain).count_params(), 96_770)
        self.assertEqual(networks.decoder(_PLANE).count_params(), 246_273)


class ShapeTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        decoder=("conv2d_transpose", "upsampling"),
        blocks=("plain", "residual"),
        decoder_output=("last", "extra_conv"),
        dtype=tiny.POLICIES,
    )
    def test_images_come_back_in_shape(self, dtype, **changes):
        settings = tiny.config(strides=(2, 1), kernel_sizes=(5, 3), **changes)
        z = networks.encoder(settings, dtype)(tf.zeros([2, 8, 8, 3]))
        self.assertEqual({"z_mean", "z_log_var"}, set(z))
        self.assertEqual(z["z_mean"].dtype, tf.float32)
        self.assertAllEqual(z["z_log_var"].shape, [2, 3])
        logits = networks.decoder(settings, dtype)(z["z_mean"])
        self.assertAllEqual(logits.shape, [2, 8, 8, 3])

    def test_not_square(self):
        settings = tiny.config(image_shape=(16, 8, 1))
        logits = networks.decoder(settings)(tf.zeros([2, 3]))
        self.assertAllEqual(logits.shape, [2, 16, 8, 1])

    def test_autoencoder_has_no_variance(self):
        outputs = networks.encoder(tiny.config(mode="ae"))(tf.zeros([2, 8, 8, 3]))
        self.assertEqual({"z_mean"}, set(outputs))

    @parameterized.parameters(*config_lib.ACTIVATIONS)
    def test_activation_is_used(self, activation):
        settings = tiny.config(activation=activation, batch_norm=False)
        other = tiny.config(activation="relu", batch_norm=False)
        keras.utils.set_random_seed(1)
        first = networks.encoder(settings)
        second = networks.encoder(other)
        second.set_weights(first.get_weights())
        x = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
        same = np.allclose(first(x)["z_mean"], second(x)["z_mean"])
        self.assertEqual(same, activation == "relu")

    def test_extra_dense_layer_and_dropout(self):
        model = networks.encoder(tiny.config(encoder_dense=7, dropout=0.5))
        self.assertEqual(model.get_layer("dense").units, 7)
        x = tf.ones([2, 8, 8, 3])
        first, second = model(x, training=True), model(x, training=True)
        self.assertNotAllClose(first["z_mean"], second["z_mean"])
        self.assertAllEqual(model(x)["z_mean"], model(x)["z_mean"])

    def test_leaky_relu_has_the_published_slope(self):
        layer = networks.encoder(tiny.config()).get_layer("down1_activation")
        self.assertAllClose(layer(tf.constant([-1.0, 2.0])), [-0.3, 2.0])

    def test_order_is_convolution_norm_activation(self):
        names = [layer.name for layer in networks.encoder(tiny.config()).layers]
        start = names.index("down1_conv")
        order = ["down1_conv", "down1_norm", "down1_activation"]
        self.assertEqual(names[start : start + 3], order)

    def test_round_trip(self):
        model = networks.decoder(tiny.config(blocks="residual"))
        copy = keras.Model.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        z = tf.random.stateless_normal([2, 3], [1, 2])
        self.assertAllEqual(model(z), copy(z))


if __name__ == "__main__":
    tf.test.main()
