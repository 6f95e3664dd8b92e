"""Encoder and decoder, built from a `ModelConfig` out of Keras layers.

A level is convolution, batch normalisation, activation, dropout, in this order. The
shape comments follow the reference model: 96x96x3, filters 32, 64, 128, 256.
"""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.model import layers
from vae_prod.model.kernels import convolution, normalization

LEAKY_RELU_SLOPE = 0.3
# Activations that the normalisation applies itself.
_SLOPES = {"leaky_relu": LEAKY_RELU_SLOPE, "relu": 0.0}


class _Builder:
    """Makes named layers with the settings that all of them share."""

    def __init__(self, config: config_lib.ModelConfig, dtype, name: str):
        self.config = config
        self.dtype = dtype
        self.name = name
        # For a convolution that a normalisation follows. A bias in front of batch
        # normalisation is redundant; it stays because the published parameter counts
        # of the reference model include it, but costs no time.
        self.normalized = {"bias_apart": config.uses_batch_norm}

    def finish(self, x, part: str = ""):
        """Apply normalisation, activation and dropout.

        Args:
            x: What a convolution gives that is followed by a normalisation.
            part: Of the level's name.
        """
        normalized = self.config.batch_norm or self.config.group_norm
        if normalized and self.config.activation in _SLOPES:
            x = self.normalize(x, part, _SLOPES[self.config.activation])
        else:
            x = self.activate(self.normalize(x, part), part)
        if self.config.dropout:
            name = f"{self.name}{part}_dropout"
            x = keras.layers.Dropout(self.config.dropout, dtype=self.dtype, name=name)(
                x
            )
        return x

    def normalize(self, x, part: str = "", slope: float = 1.0):
        """Apply the normalisation, if any, and leaky ReLU unless its slope is 1."""
        settings = {"epsilon": 1e-3, "slope": slope, "dtype": self.dtype}
        settings["name"] = f"{self.name}{part}_norm"
        if self.config.group_norm:
            groups = self.config.group_norm
            return normalization.GroupNormalization(groups=groups, **settings)(x)
        if self.config.batch_norm:
            layer = normalization.BatchNormalization(momentum=0.99, **settings)
            return layer(*x)
        return x

    def activate(self, x, part: str = ""):
        """Apply the activation."""
        settings = {"dtype": self.dtype, "name": f"{self.name}{part}_activation"}
        if self.config.activation == "leaky_relu":
            return layers.LeakyReLU(LEAKY_RELU_SLOPE, **settings)(x)
        if self.config.activation == "tanh":
            return layers.Tanh(**settings)(x)
        return keras.layers.Activation(self.config.activation, **settings)(x)

    def conv(
        self, x, filters: int, kernel_size: int, stride: int = 1, part: str = "", **how
    ):
        """Apply a convolution."""
        name = f"{self.name}{part}_conv"
        layer = convolution.Conv2D(
            filters, kernel_size, stride, dtype=self.dtype, name=name, **how
        )
        return layer(x)

    def enlarge(self, x, filters: int, kernel_size: int, stride: int, **how):
        """Apply the decoder's enlarging convolution."""
        enlarge = DECODERS[self.config.decoder]
        return enlarge(self, x, filters, kernel_size, stride, **how)

    def transpose(self, x, filters: int, kernel_size: int, stride: int, **how):
        """Apply a transposed convolution."""
        name = f"{self.name}_conv"
        layer = convolution.Conv2DTranspose(
            filters, kernel_size, stride, dtype=self.dtype, name=name, **how
        )
        return layer(x)

    def upsample_conv(self, x, filters: int, kernel_size: int, stride: int, **how):
        """Apply upsampling and a convolution."""
        if self.config.upsampling == "nearest":
            return self.conv(x, filters, kernel_size, upsampling=stride, **how)
        return self.conv(self.upsample(x, stride), filters, kernel_size, **how)

    def upsample(self, x, stride: int, part: str = ""):
        """Interpolate to `stride` times the size."""
        layer = keras.layers.UpSampling2D(
            stride,
            interpolation=self.config.upsampling,
            dtype=self.dtype,
            name=f"{self.name}{part}_upsampling",
        )
        return layer(x)

    def residual(self, x, filters: int, kernel_size: int, resize: Callable, shortcut):
        """Add a resizing branch of two convolutions to its 1x1 shortcut."""
        main = self.finish(resize(x))
        main = self.conv(main, filters, kernel_size, part="_second", **self.normalized)
        main = self.normalize(main, "_second")
        return self.activate(
            keras.layers.Add(dtype=self.dtype, name=f"{self.name}_add")(
                [main, shortcut]
            ),
            "_second",
        )


# Of a name of `config.DECODERS`: how a `_Builder` enlarges maps.
DECODERS = {
    "conv2d_transpose": _Builder.transpose,
    "upsampling": _Builder.upsample_conv,
}


def _down(x, builder: _Builder, filters: int, kernel_size: int, stride: int):
    def resize(maps):
        return builder.conv(maps, filters, kernel_size, stride, **builder.normalized)

    if builder.config.blocks == "plain":
        return builder.finish(resize(x))
    shortcut = builder.conv(x, filters, 1, stride, part="_shortcut")
    return builder.residual(x, filters, kernel_size, resize, shortcut)


def _up(x, builder: _Builder, filters: int, kernel_size: int, stride: int):
    def resize(maps):
        return builder.enlarge(maps, filters, kernel_size, stride, **builder.normalized)

    if builder.config.blocks == "plain":
        return builder.finish(resize(x))
    shortcut = builder.conv(x, filters, 1, part="_shortcut")
    shortcut = builder.upsample(shortcut, stride, "_shortcut")
    return builder.residual(x, filters, kernel_size, resize, shortcut)


def encoder(config: config_lib.ModelConfig, dtype="float32") -> keras.Model:
    """Build the encoder: images to the parameters of their posterior.

    Args:
        config: The architecture.
        dtype: Precision policy of the maps; the outputs are float32 in any case.

    Returns:
        A model from images float32 [B, H, W, C] in [0, 1] to `z_mean` and, unless it
        is a plain autoencoder, `z_log_var`, each float32 [B, z_dim].
    """
    images = keras.Input(config.image_shape, dtype="float32", name="image")
    x = images
    levels = zip(
        config.filters, config.level_kernel_sizes, config.level_strides, strict=True
    )
    for level, (filters, kernel_size, stride) in enumerate(levels, 1):
        builder = _Builder(config, dtype, f"down{level}")
        x = _down(x, builder, filters, kernel_size, stride)
    x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)  # 6x6x256 -> 9216
    if config.encoder_dense:
        units = config.encoder_dense
        x = keras.layers.Dense(units, dtype=dtype, name="dense")(x)
        x = _Builder(config, dtype, "dense").activate(x)
    heads = ("z_mean", "z_log_var") if config.is_vae else ("z_mean",)
    outputs = {
        head: keras.layers.Dense(config.z_dim, dtype="float32", name=head)(x)
        for head in heads
    }
    return keras.Model(images, outputs, name="encoder")


def decoder(config: config_lib.ModelConfig, dtype="float32") -> keras.Model:
    """Build the decoder: latent points to the logits of images.

    Args:
        config: The architecture.
        dtype: Precision policy of the maps and of the logits.

    Returns:
        A model from z float32 [B, z_dim] to logits [B, H, W, C], before the sigmoid.
    """
    height, width, channels = config.image_shape
    total = math.prod(config.level_strides)
    smallest = (height // total, width // total, config.filters[-1])
    z = keras.Input((config.z_dim,), dtype="float32", name="z")
    x = keras.layers.Dense(math.prod(smallest), dtype=dtype, name="dense")(z)
    x = keras.layers.Reshape(smallest, dtype=dtype, name="reshape")(x)  # 6x6x256
    kernel_sizes = config.level_kernel_sizes[::-1]
    strides = config.level_strides[::-1]
    filters = config.level_decoder_filters
    for level, count in enumerate(filters):
        builder = _Builder(config, dtype, f"up{level + 1}")
        x = _up(x, builder, count, kernel_sizes[level], strides[level])
    builder = _Builder(config, dtype, "logits")
    if config.decoder_output == "last":
        logits = builder.enlarge(x, channels, kernel_sizes[-1], strides[-1])
    else:
        logits = builder.conv(x, channels, kernel_sizes[-1])
    return keras.Model(z, logits, name="decoder")


def to_images(logits: tf.Tensor) -> tf.Tensor:
    """Return the images of a decoder's logits, by the sigmoid.

    Args:
        logits: [B, H, W, C], of any precision.

    Returns:
        float32 [B, H, W, C] in [0, 1].
    """
    return tf.sigmoid(tf.cast(logits, tf.float32))
