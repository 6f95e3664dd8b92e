"""Convolutions: of maps enlarged on the way, and with the bias left to the norm."""

import keras
import tensorflow as tf

from vae_prod.model.kernels import blocks, target

# With as many channels, maps suit a GPU's tensor cores as they are.
_ENOUGH_CHANNELS = 8


def _by_blocks(channels: int, stride: int) -> bool:
    """Say whether blocks of pixels are to stand for channels, see `blocks`."""
    few = channels < _ENOUGH_CHANNELS and stride > 1
    return few and target.compiled() and target.on_gpu()


def convolution(
    maps: tf.Tensor, kernel: tf.Tensor, stride: int, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Convolve ("same") and add a bias.

    Args:
        maps: [B, H, W, in].
        kernel: [K, K, in, out], in the precision of the maps.
        stride: Of the kernel.
        bias: [out], of any precision; None: none.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), out].
    """
    divides = all(size % stride == 0 for size in maps.shape[1:3])
    if divides and _by_blocks(maps.shape[3], stride):
        maps = blocks.convolution(maps, kernel, stride)
    else:
        maps = tf.nn.conv2d(maps, kernel, stride, "SAME")
    return maps if bias is None else tf.nn.bias_add(maps, tf.cast(bias, maps.dtype))


def transposed_convolution(
    maps: tf.Tensor, kernel: tf.Tensor, stride: int, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Apply the transpose of a convolution ("same") and add a bias.

    Args:
        maps: [B, H, W, in].
        kernel: [K, K, out, in], in the precision of the maps.
        stride: Of the convolution.
        bias: [out], of any precision; None: none.

    Returns:
        [B, stride H, stride W, out].
    """
    if bias is not None:
        bias = tf.cast(bias, maps.dtype)
    if _by_blocks(kernel.shape[2], stride):
        return blocks.transposed_convolution(maps, kernel, stride, bias)
    batch, height, width, _ = tf.unstack(tf.shape(maps))
    full = [batch, stride * height, stride * width, kernel.shape[2]]
    maps = tf.nn.conv2d_transpose(maps, kernel, full, stride, "SAME")
    return maps if bias is None else tf.nn.bias_add(maps, bias)


def _window_sums(values: tf.Tensor, factor: int) -> tf.Tensor:
    """Sum the windows of `factor` x `factor` neighbours in the first two dimensions."""
    for axis in (0, 1):
        length = values.shape[axis] - factor + 1
        # Stacked, as TensorFlow adds three single terms in an order that varies.
        shifts = [
            values[i : i + length] if axis == 0 else values[:, i : i + length]
            for i in range(factor)
        ]
        values = tf.reduce_sum(tf.stack(shifts), axis=0)
    return values


def upsampling_kernel(kernel: tf.Tensor, factor: int) -> tf.Tensor:
    """Turn a kernel for enlarged maps into that of a transposed convolution.

    Nearest-neighbour upsampling by `factor`, then a convolution ("same", stride 1),
    is one transposed convolution of the small maps with stride `factor`: as each value
    of a small map stands for `factor` x `factor` equal ones, its weights are sums of
    as many neighbours in the kernel.

    Args:
        kernel: [K, K, in, out].
        factor: Of the upsampling.

    Returns:
        [K + factor - 1, K + factor - 1, out, in].
    """
    margin = [factor - 1, factor - 1]

    @tf.custom_gradient
    def spread(kernel):
        padded = tf.pad(kernel, [margin, margin, [0, 0], [0, 0]])
        return _window_sums(padded, factor), lambda d: _window_sums(d, factor)

    return spread(tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]))


def upsampled_convolution(
    maps: tf.Tensor, kernel: tf.Tensor, factor: int, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Enlarge maps by nearest neighbour and convolve them, without the enlarged maps.

    With a 3x3 kernel and factor 2 it takes 4 multiplications for each weight and
    value of the small maps in place of 9, and the enlarged maps are never stored.

    Args:
        maps: [B, H, W, in].
        kernel: float32 [K, K, in, out], as for the enlarged maps. Its sums are made
            before it is brought to the precision of the maps.
        factor: Of the upsampling.
        bias: [out], of any precision; None: none.

    Returns:
        [B, factor H, factor W, out], in the precision of the maps.
    """
    if kernel.shape[0] % 2 == 0:  # "Same" pads an even kernel less in front.
        kernel = tf.pad(kernel, [[1, 0], [1, 0], [0, 0], [0, 0]])
    kernel = tf.cast(upsampling_kernel(kernel, factor), maps.dtype)
    return transposed_convolution(maps, kernel, factor, bias)


class _Convolution(keras.layers.Layer):
    """What both convolutions have in common, to stand before Keras' layer.

    Weights stay in float32 until `call` brings them to the maps' precision.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        bias_apart: bool = False,
        **kwargs,
    ):
        kwargs["padding"] = "same"
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.bias_apart = bias_apart

    def add_weight(self, *args, **kwargs):
        """Add a weight that Keras doesn't cast."""
        return super().add_weight(*args, **kwargs, autocast=False)

    def apply(self, function, maps, kernel, stride: int):
        """Return a function's maps with the bias or, where wanted apart, beside it."""
        if self.bias_apart:
            return function(maps, kernel, stride), self.bias.value
        return function(maps, kernel, stride, self.bias.value)

    def compute_output_spec(self, inputs):
        """Say what `call` returns."""
        maps = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), self.compute_dtype
        )
        if self.bias_apart:
            return maps, keras.KerasTensor((self.filters,), self.variable_dtype)
        return maps

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return super().get_config() | {"bias_apart": self.bias_apart}


@keras.saving.register_keras_serializable("vae_prod")
class Conv2D(_Convolution, keras.layers.Conv2D):
    """Convolution ("same") with the weights of Keras' layer.

    Args:
        filters: Channels of the result.
        kernel_size: Height and width of the kernel.
        strides: Step of the kernel, where the maps are not enlarged.
        upsampling: Factor by which the maps are enlarged first, by nearest neighbour.
        bias_apart: Whether the bias is not added but returned beside the maps, for
            the normalisation that follows.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        upsampling: int = 1,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.upsampling = upsampling

    def call(self, inputs):
        """Convolve [B, H, W, in]; return maps, or maps and bias [filters]."""
        kernel = self.kernel.value
        if self.upsampling > 1:
            return self.apply(upsampled_convolution, inputs, kernel, self.upsampling)
        kernel = tf.cast(kernel, inputs.dtype)
        return self.apply(convolution, inputs, kernel, self.strides[0])

    def compute_output_shape(self, input_shape):
        """Return the shape of the maps."""
        batch, height, width, channels = input_shape
        enlarged = (batch, *(self.upsampling * n for n in (height, width)), channels)
        return super().compute_output_shape(enlarged)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return super().get_config() | {"upsampling": self.upsampling}


@keras.saving.register_keras_serializable("vae_prod")
class Conv2DTranspose(_Convolution, keras.layers.Conv2DTranspose):
    """Transposed convolution ("same") with the weights of Keras' layer.

    Args:
        filters: Channels of the result.
        kernel_size: Height and width of the kernel.
        strides: Factor by which the maps grow.
        bias_apart: Whether the bias is not added but returned beside the maps, for
            the normalisation that follows.
    """

    def call(self, inputs):
        """Convolve [B, H, W, in]; return maps, or maps and bias [filters]."""
        kernel = tf.cast(self.kernel.value, inputs.dtype)
        return self.apply(transposed_convolution, inputs, kernel, self.strides[0])
