"""A decoder whose enlarging convolutions are ordinary ones, for TensorFlow Lite.

A transposed convolution by factor s gives at each place s x s neighbours, each by
weights of its own: an ordinary convolution to s x s times the channels, whose values
are then put beside each other (Shi et al., 2016, "Is the deconvolution layer the same
as a convolutional layer?"). The same holds of nearest-neighbour upsampling and the
convolution after it. Results are the same but for rounding. TensorFlow Lite computes
8-bit transposed convolutions a hundred times slower than these, and would compute the
kernels of upsampling anew in each call.
"""

import keras
import numpy as np
import tensorflow as tf

from vae_prod.model.kernels import convolution


def decoder(decoder: keras.Model) -> keras.Model:
    """Return a decoder's other form; it shares the layers that stay as they are."""
    return keras.models.clone_model(decoder, clone_function=_other_form)


def _other_form(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, convolution.Conv2DTranspose) and layer.strides[0] > 1:
        kernel = np.swapaxes(layer.kernel, 2, 3)
        return _SubpixelConvolution(layer, *transposed(kernel, layer.strides[0]))
    if isinstance(layer, convolution.Conv2D) and layer.upsampling > 1:
        kernel = np.asarray(layer.kernel)
        return _SubpixelConvolution(layer, *upsampled(kernel, layer.upsampling))
    return layer


def transposed(kernel: np.ndarray, factor: int) -> tuple[np.ndarray, int]:
    """Make the kernel for a transposed convolution ("same") by `factor`.

    Args:
        kernel: [K, K, in, out].
        factor: By which the maps grow.

    Returns:
        Kernel [E, E, in, factor, factor, out], and how far before a place it begins.
    """
    size = len(kernel)
    before = max(size - factor, 0) // 2  # Of the padding of the convolution's gradient.
    first, last = -((size - 1 - before) // factor), (factor - 1 + before) // factor
    offset, neighbour, tap = np.ogrid[first : last + 1, :factor, :size]
    return _combine(kernel, tap == neighbour + before - factor * offset), -first


def upsampled(kernel: np.ndarray, factor: int) -> tuple[np.ndarray, int]:
    """Make the kernel for upsampling by nearest neighbour and a convolution ("same").

    Args:
        kernel: [K, K, in, out].
        factor: Of the upsampling.

    Returns:
        Kernel [E, E, in, factor, factor, out], and how far before a place it begins.
    """
    size = len(kernel)
    before = (size - 1) // 2
    first, last = -before // factor, (factor - 1 + size - 1 - before) // factor
    offset, neighbour, tap = np.ogrid[first : last + 1, :factor, :size]
    return _combine(kernel, (neighbour + tap - before) // factor == offset), -first


def _combine(kernel: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Sum up, for each offset and neighbour, the weights that `used` says."""
    used = used.astype(np.float32)
    return np.einsum("erk,fsl,klio->efirso", used, used, kernel, optimize=True)


class _SubpixelConvolution(keras.layers.Layer):
    """Computes what an enlarging convolution does, with the weights it has now."""

    def __init__(self, layer: keras.layers.Layer, kernel: np.ndarray, before: int):
        super().__init__(name=layer.name, dtype="float32")
        self._layer = layer
        self._factor = kernel.shape[3]
        self._kernel = kernel.reshape(*kernel.shape[:3], -1)
        self._margin = [before, len(kernel) - 1 - before]
        self.built = True

    def call(self, inputs):
        """Convolve [B, H, W, in]; return maps, or maps and bias [filters]."""
        return self._layer.apply(self._enlarged, inputs, self._kernel, self._factor)

    def _enlarged(self, maps, kernel, factor, bias=None):
        padded = tf.pad(maps, [[0, 0], self._margin, self._margin, [0, 0]])
        maps = tf.nn.conv2d(padded, kernel, 1, "VALID")
        maps = tf.nn.depth_to_space(maps, factor)
        return maps if bias is None else tf.nn.bias_add(maps, bias)

    def compute_output_spec(self, inputs):
        """Say what `call` returns."""
        return self._layer.compute_output_spec(inputs)
