"""The reference VAE out of stock Keras layers: what this package's is measured beside.

Written as Keras' own VAE example is: one layer an operation, TensorFlow's losses and
Keras' Adam. It computes what `vae_prod.training.building.build` computes from the same
settings, and a test holds them to it.
"""

import math

import keras
import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.training import devices

SLOPE = 0.3
# Settings that it follows; of all others it knows the defaults alone.
FOLLOWS = (
    "image_shape",
    "z_dim",
    "filters",
    "kernel_sizes",
    "strides",
    "decoder",
    "batch_norm",
    "fact",
    "epsilon_limit",
)


def build(
    config: config_lib.ModelConfig, train_config: config_lib.TrainConfig
) -> keras.Model:
    """Build and compile the stock model.

    Args:
        config: The model.
        train_config: `learning_rate`, `mixed_precision`, `jit_compile` and `seed` are
            followed.

    Raises:
        ValueError: A setting that it doesn't follow is no default.
    """
    followed = {name: getattr(config, name) for name in FOLLOWS}
    if config_lib.ModelConfig(**followed) != config:
        raise ValueError(f"The stock model follows only {', '.join(FOLLOWS)}.")
    model = StockVAE(config, config_lib.PRECISIONS[train_config.mixed_precision].policy)
    optimizer = keras.optimizers.Adam(train_config.learning_rate)
    model.compile(optimizer, jit_compile=devices.resolve_jit(train_config))
    return model


class _Networks:
    """Makes encoder and decoder; layers are named as this package names them."""

    def __init__(self, config: config_lib.ModelConfig, policy: str):
        self.config = config
        self.policy = policy

    def encoder(self) -> keras.Model:
        """Images [B, H, W, C] to `z_mean` and `z_log_var`, float32 [B, z_dim]."""
        config = self.config
        images = x = keras.Input(config.image_shape)
        levels = zip(
            config.filters, config.level_kernel_sizes, config.level_strides, strict=True
        )
        for level, (filters, kernel_size, stride) in enumerate(levels, 1):
            name = f"down{level}"
            x = keras.layers.Conv2D(
                filters, kernel_size, stride, **self._same(f"{name}_conv")
            )(x)
            x = self._finished(x, name)
        x = keras.layers.Flatten(dtype=self.policy)(x)
        heads = [
            keras.layers.Dense(config.z_dim, dtype="float32", name=head)(x)
            for head in ("z_mean", "z_log_var")
        ]
        return keras.Model(images, heads, name="encoder")

    def decoder(self) -> keras.Model:
        """Points z, float32 [B, z_dim], to logits [B, H, W, C]."""
        config = self.config
        strides = config.level_strides[::-1]
        total = math.prod(strides)
        height, width, channels = config.image_shape
        smallest = (height // total, width // total, config.filters[-1])
        z = keras.Input((config.z_dim,))
        x = keras.layers.Dense(math.prod(smallest), dtype=self.policy, name="dense")(z)
        x = keras.layers.Reshape(smallest, dtype=self.policy)(x)
        all_filters = (*config.level_decoder_filters, channels)
        kernel_sizes = config.level_kernel_sizes[::-1]
        levels = zip(all_filters, kernel_sizes, strides, strict=True)
        for level, (filters, kernel_size, stride) in enumerate(levels, 1):
            last = level == len(strides)
            name = "logits" if last else f"up{level}"
            x = self._enlarged(x, name, filters, kernel_size, stride)
            x = x if last else self._finished(x, name)
        return keras.Model(z, x, name="decoder")

    def _same(self, name: str) -> dict:
        return {"padding": "same", "dtype": self.policy, "name": name}

    def _enlarged(self, x, name: str, filters: int, kernel_size: int, stride: int):
        if self.config.decoder == "conv2d_transpose":
            layer = keras.layers.Conv2DTranspose(
                filters, kernel_size, stride, **self._same(f"{name}_conv")
            )
            return layer(x)
        up = f"{name}_upsampling"
        x = keras.layers.UpSampling2D(stride, dtype=self.policy, name=up)(x)
        return keras.layers.Conv2D(filters, kernel_size, **self._same(f"{name}_conv"))(
            x
        )

    def _finished(self, x, name: str):
        if self.config.batch_norm:
            norm = keras.layers.BatchNormalization(
                dtype=self.policy, name=f"{name}_norm"
            )
            x = norm(x)
        activation = f"{name}_activation"
        return keras.layers.LeakyReLU(SLOPE, dtype=self.policy, name=activation)(x)


class StockVAE(keras.Model):
    """Variational autoencoder with a train step as in Keras' example.

    Args:
        config: The model.
        policy: Precision policy of the maps, such as `mixed_bfloat16`.
    """

    def __init__(self, config: config_lib.ModelConfig, policy: str):
        super().__init__(dtype=policy)
        self.config = config
        networks = _Networks(config, policy)
        self.encoder = networks.encoder()
        self.decoder = networks.decoder()
        self.means = [
            keras.metrics.Mean(name, dtype="float32")
            for name in ("total_loss", "reco_loss", "kl_loss")
        ]
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch, for Keras to reset."""
        return self.means

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Reconstruct images float32 [B, H, W, C] in [0, 1] from z_mean."""
        z_mean, _ = self.encoder(images, training=training)
        return tf.sigmoid(tf.cast(self.decoder(z_mean, training=training), tf.float32))

    def losses_of(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Compute total, reconstruction and KL loss of images uint8 [B, H, W, C]."""
        images = tf.cast(images, tf.float32) / 255.0
        z_mean, z_log_var = self.encoder(images, training=True)
        epsilon = tf.random.normal(tf.shape(z_mean))
        if limit := self.config.epsilon_limit:
            epsilon = tf.clip_by_value(epsilon, -limit, limit)
        z = z_mean + tf.exp(0.5 * z_log_var) * epsilon
        logits = tf.cast(self.decoder(z, training=True), tf.float32)
        nats = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
        # Averaged over the channels, summed over the pixels of an image.
        pixels = tf.reduce_sum(tf.reduce_mean(nats, axis=-1), axis=(1, 2))
        kl = -0.5 * (1.0 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
        reco_loss = tf.reduce_mean(pixels)
        kl_loss = self.config.fact * tf.reduce_mean(tf.reduce_sum(kl, axis=-1))
        return [reco_loss + kl_loss, reco_loss, kl_loss]

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take one optimizer step; return the means of the epoch so far."""
        with tf.GradientTape() as tape:
            losses = self.losses_of(batch["image"])
            loss = self.optimizer.scale_loss(losses[0])
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        for mean, value in zip(self.means, losses, strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self.means}
