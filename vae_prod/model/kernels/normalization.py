"""Batch normalisation by TensorFlow's fused kernels, and group normalisation.

Keras composes both of single operations, which costs nearly half of a train step on a
CPU. Their gradients also meet in sums of three terms, which TensorFlow adds in an order
that varies: the same seed gave other bits. Each is one op with one gradient here.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from vae_prod.model.kernels import fusing, target


def _leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    return tf.nn.leaky_relu(x, slope)


def _leaky_relu_gradient(upstream: tf.Tensor, y: tf.Tensor, slope: float) -> tf.Tensor:
    return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=slope)


# In float32 there is nothing to gain.
_fused_leaky_relu = fusing.fused(_leaky_relu)
_fused_leaky_relu_gradient = fusing.fused(_leaky_relu_gradient)


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """Return max(x, slope * x): ReLU with slope 0, `x` itself with slope 1."""
    if slope == 1.0:
        return x
    return (_leaky_relu if x.dtype == tf.float32 else _fused_leaky_relu)(x, slope)


def leaky_relu_gradient(upstream: tf.Tensor, y: tf.Tensor, slope: float) -> tf.Tensor:
    """Return the gradient by the result `y`, which has the sign of its argument."""
    if slope == 1.0:
        return upstream
    low = upstream.dtype != tf.float32
    function = _fused_leaky_relu_gradient if low else _leaky_relu_gradient
    return function(upstream, y, slope)


def batch_norm(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor,
    bias: tf.Tensor,
    epsilon: float,
    slope: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalise x + bias by the batch's statistics, then apply leaky ReLU.

    Ioffe & Szegedy (2015), algorithm 1. By the fused kernels, or composed of single
    operations where XLA makes them loops: on a CPU it would take the kernels apart,
    into many more.

    Args:
        x: [B, H, W, C], float32 or lower.
        scale: float32 [C].
        offset: float32 [C].
        bias: float32 [C]. Subtracting the mean takes it away again, so it is never
            added, and its gradient is zero: computed, it would be rounding errors,
            which Adam scales to full steps.
        epsilon: Added to the variance.
        slope: Of the leaky ReLU, in [0, 1]; 1: no activation.

    Returns:
        Maps like `x`, and mean and variance of x + bias, float32 [C]. No gradient
        flows through these two.
    """
    for_cpu = target.compiled() and not target.on_gpu()
    compute = _composed_batch_norm if for_cpu else _fused_batch_norm

    @tf.custom_gradient
    def normalize(*tensors):
        return compute(*tensors, epsilon, slope)

    return normalize(x, scale, offset, bias)


def _fused_batch_norm(
    x, scale, offset, bias, epsilon: float, slope: float
) -> tuple[tuple[tf.Tensor, ...], Callable]:
    """Return the results of `batch_norm` and its gradient, by TensorFlow's kernels.

    What the gradient needs of the activation is told by its result, which the next
    layer keeps anyway: of the normalised maps nothing is stored.
    """
    maps, mean, variance, *reserve = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=[],
        variance=[],
        epsilon=epsilon,
        is_training=True,
    )
    y = leaky_relu(maps, slope)

    def gradient(upstream, *_):
        d_x, d_scale, d_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=leaky_relu_gradient(upstream, y, slope),
            x=x,
            scale=scale,
            reserve_space_1=reserve[0],
            reserve_space_2=reserve[1],
            reserve_space_3=reserve[2],
            epsilon=epsilon,
            is_training=True,
        )
        return d_x, d_scale, d_offset, tf.zeros_like(bias)

    # The kernel's variance is divided by one less than the count.
    count = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
    return (y, mean + bias, variance * (1.0 - 1.0 / count)), gradient


def _composed_batch_norm(
    x, scale, offset, bias, epsilon: float, slope: float
) -> tuple[tuple[tf.Tensor, ...], Callable]:
    """Return the results of `batch_norm` and its gradient, of single operations.

    The gradient begins again from `x`. What it needs of the activation, too: XLA keeps
    `y` in the order that the next convolution's gradient wants, which is another.
    """

    def mean_of(values):
        # First of each image: over all at once, XLA takes three times as long.
        return tf.reduce_mean(tf.reduce_mean(values, axis=[1, 2]), axis=0)

    wide = tf.cast(x, tf.float32)
    mean = mean_of(wide)
    variance = mean_of(tf.square(wide - mean))
    inverse = tf.math.rsqrt(variance + epsilon)
    factor = scale * inverse
    y = leaky_relu((wide - mean) * factor + offset, slope)

    def gradient(upstream, *_):
        centred = tf.cast(x, tf.float32) - mean
        maps = centred * factor + offset
        d_maps = leaky_relu_gradient(tf.cast(upstream, tf.float32), maps, slope)
        d_offset = mean_of(d_maps)
        d_scale = mean_of(d_maps * centred) * inverse
        # XLA repeats what ends in one tensor's arithmetic inside the transposed copies
        # that convolutions' gradients make, slowly; a difference of two it keeps.
        shared = factor * d_offset + centred * (factor * inverse * d_scale)
        d_x = tf.cast(factor * d_maps - shared, x.dtype)
        count = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
        return d_x, count * d_scale, count * d_offset, tf.zeros_like(bias)

    return (tf.cast(y, x.dtype), mean + bias, variance), gradient


@keras.saving.register_keras_serializable("vae_prod")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of maps [B, H, W, C] and the leaky ReLU after it.

    Weights, moving averages and results are those of Keras' layer.

    Args:
        slope: Of the leaky ReLU, in [0, 1]; 0: ReLU; 1: no activation.
    """

    def __init__(self, slope: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope

    def call(self, inputs, bias=None, training=None, mask=None):
        """Normalise by the batch's statistics in training, else by the moving ones.

        Args:
            inputs: [B, H, W, C]; statistics are float32 whatever their precision.
            bias: [C] that `inputs` still lack; none unless given.
            training: Whether to use and to follow the batch's statistics.
            mask: Ignored; images have none.

        Returns:
            Like `inputs`.
        """
        scale, offset = self.gamma.value, self.beta.value
        # Keras brings arguments to the precision of the maps.
        bias = tf.zeros_like(offset) if bias is None else tf.cast(bias, tf.float32)
        if not (training and self.trainable):
            maps, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=scale,
                offset=offset,
                mean=self.moving_mean.value - bias,
                variance=self.moving_variance.value,
                epsilon=self.epsilon,
                is_training=False,
            )
            return leaky_relu(maps, self.slope)
        maps, mean, variance = batch_norm(
            inputs, scale, offset, bias, self.epsilon, self.slope
        )
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        return maps

    def _follow(self, moving: keras.Variable, value: tf.Tensor) -> None:
        momentum = self.momentum
        moving.assign(moving * momentum + value * (1.0 - momentum))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return super().get_config() | {"slope": self.slope}


def group_norm(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, groups: int, epsilon: float
) -> tf.Tensor:
    """Normalise each image by the statistics of groups of its channels.

    Wu & He (2018), eq. 1, 2 and 6. Computed in float32 from lower precisions, so that
    no square overflows.

    Args:
        x: [B, H, W, C], float32 or lower.
        scale: float32 [C].
        offset: float32 [C].
        groups: Divides C; group g holds the channels from g * C / groups on.
        epsilon: Added to the variance.

    Returns:
        Like `x`.
    """
    batch, height, width, channels = tf.unstack(tf.shape(x))
    inner = [batch, height * width, groups, x.shape[-1] // groups]
    count = tf.cast(height * width * channels // groups, tf.float32)

    def grouped_mean(values):
        # Each sum has two steps: over places, which keeps channels contiguous.
        sums = tf.reduce_sum(tf.reduce_sum(values, axis=1, keepdims=True), 3, True)
        return sums / count

    @tf.custom_gradient
    def normalize(x, scale, offset):
        wide = tf.cast(tf.reshape(x, inner), tf.float32)
        mean = grouped_mean(wide)
        inverse = tf.math.rsqrt(grouped_mean(tf.square(wide - mean)) + epsilon)
        scales = tf.reshape(scale, [groups, -1])
        # maps = wide * factor + (offset - mean * factor), one factor a channel.
        factor = inverse * scales
        maps = wide * factor + (tf.reshape(offset, [groups, -1]) - mean * factor)

        def gradient(upstream):
            wide = tf.cast(tf.reshape(x, inner), tf.float32)
            normal = (wide - mean) * inverse
            d_maps = tf.cast(tf.reshape(upstream, inner), tf.float32)
            d_normal = d_maps * scales
            shared = grouped_mean(d_normal) + normal * grouped_mean(d_normal * normal)
            d_x = tf.reshape(inverse * (d_normal - shared), tf.shape(x))
            d_scale = tf.reshape(tf.reduce_sum(d_maps * normal, [0, 1]), [-1])
            d_offset = tf.reshape(tf.reduce_sum(d_maps, [0, 1]), [-1])
            return tf.cast(d_x, x.dtype), d_scale, d_offset

        return tf.cast(tf.reshape(maps, tf.shape(x)), x.dtype), gradient

    return normalize(x, scale, offset)


@keras.saving.register_keras_serializable("vae_prod")
class GroupNormalization(keras.layers.GroupNormalization):
    """Group normalisation of maps [B, H, W, C] and the leaky ReLU after it.

    Weights and results are those of Keras' layer. It needs no batch: training and
    inference are the same, and no moving average can lag or lose its precision.

    Args:
        slope: Of the leaky ReLU, in [0, 1]; 0: ReLU; 1: no activation.
    """

    def __init__(self, slope: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope

    def call(self, inputs):
        """Normalise [B, H, W, C], result like it."""
        maps = group_norm(
            inputs, self.gamma.value, self.beta.value, self.groups, self.epsilon
        )
        return leaky_relu(maps, self.slope)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return super().get_config() | {"slope": self.slope}
