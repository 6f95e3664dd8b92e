import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.model import networks

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

    def test_round_trip(self):
        model = networks.decoder(tiny.config(blocks="residual"))
        copy = keras.Model.from_config(model.get_config())
        copy.set_weights(model.get_weights())
        z = tf.random.stateless_normal([2, 3], [1, 2])
        self.assertAllEqual(model(z), copy(z))


def _stock(config: config_lib.ModelConfig) -> tuple[keras.Model, keras.Model]:
    """Build plain encoder and decoder of Keras' own layers, as published."""
    layers = keras.layers

    def norm():
        if config.group_norm:
            return layers.GroupNormalization(config.group_norm)
        return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)

    def finish(x):
        return layers.LeakyReLU(0.3)(norm()(x))

    def enlarge(x, filters, size, stride):
        if config.decoder == "conv2d_transpose":
            return layers.Conv2DTranspose(filters, size, stride, "same")(x)
        x = layers.UpSampling2D(stride, interpolation=config.upsampling)(x)
        return layers.Conv2D(filters, size, padding="same")(x)

    levels = list(zip(config.level_kernel_sizes, config.level_strides, strict=True))
    images = keras.Input(config.image_shape)
    x = images
    for filters, (size, stride) in zip(config.filters, levels, strict=True):
        x = finish(layers.Conv2D(filters, size, stride, "same")(x))
    flat = layers.Flatten()(x)
    names = ("z_mean", "z_log_var")
    heads = {name: layers.Dense(config.z_dim, name=name)(flat) for name in names}
    z = keras.Input([config.z_dim])
    y = layers.Reshape(x.shape[1:])(layers.Dense(flat.shape[-1])(z))
    filters = [*config.level_decoder_filters, config.image_shape[-1]]
    for count, (size, stride) in zip(filters[:-1], levels[:0:-1], strict=True):
        y = finish(enlarge(y, count, size, stride))
    y = enlarge(y, filters[-1], *levels[0])
    return keras.Model(images, heads), keras.Model(z, y)


class StockTest(tf.test.TestCase, parameterized.TestCase):
    """The networks are those that anyone would build of Keras' layers."""

    @parameterized.product(
        settings=(
            {},
            {"decoder": "upsampling"},
            {"decoder": "upsampling", "upsampling": "bilinear"},
            {"decoder": "upsampling", "group_norm": 2},
        ),
        training=(False, True),
    )
    def test_same_weights_give_the_same(self, settings, training):
        config = tiny.config(strides=(2, 1), kernel_sizes=(3, 4), **settings)
        ours = networks.encoder(config), networks.decoder(config)
        theirs = _stock(config)
        random = np.random.default_rng(1)
        inputs = (
            tf.random.stateless_normal([4, 8, 8, 3], [1, 2]),
            tf.random.stateless_normal([4, 3], [3, 4]),
        )
        for one, two, x in zip(ours, theirs, inputs, strict=True):
            # Positive, as some are variances; biases too, which ours leaves out.
            weights = [random.uniform(0.1, 1.0, w.shape) for w in one.get_weights()]
            one.set_weights(weights)
            two.set_weights(weights)
            got, wanted = one(x, training=training), two(x, training=training)
            got, wanted = tf.nest.flatten(got), tf.nest.flatten(wanted)
            for value, expected in zip(got, wanted, strict=True):
                self.assertAllClose(value, expected, rtol=1e-4, atol=1e-4)
            moved = zip(one.get_weights(), two.get_weights(), strict=True)
            for value, expected in moved:
                self.assertAllClose(value, expected, rtol=1e-4, atol=1e-4)


class GraphTest(tf.test.TestCase, parameterized.TestCase):
    """TensorFlow fuses layers in a graph, and not always rightly."""

    @parameterized.product(
        activation=config_lib.model.ACTIVATIONS,
        how=(
            {},
            {"batch_norm": False, "encoder_dense": 5},
            {"blocks": "residual"},
            {"blocks": "residual", "group_norm": 2},
            {"blocks": "residual", "batch_norm": False, "decoder": "upsampling"},
        ),
    )
    def test_computes_what_its_layers_do_one_by_one(self, activation, how):
        model = tiny.model(activation=activation, **how)
        rng = np.random.default_rng(0)
        for variable in (*model.encoder.variables, *model.decoder.variables):
            if variable.dtype == "float32":  # Biases and statistics that matter.
                noise = rng.normal(0.0, 0.2, variable.shape).astype(np.float32)
                positive = variable.name == "moving_variance"
                variable.assign(variable + (np.abs(noise) if positive else noise))

        def both(images, z):
            z_mean = model.encoder(images, training=False)["z_mean"]
            return z_mean, model.decoder(z, training=False)

        inputs = rng.uniform(size=(2, 8, 8, 3)), rng.normal(size=(2, 3))
        inputs = [tf.constant(each, tf.float32) for each in inputs]
        # Sums of some hundred terms of size 1, in another order.
        for one, other in zip(tf.function(both)(*inputs), both(*inputs), strict=True):
            self.assertAllClose(one, other, rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
