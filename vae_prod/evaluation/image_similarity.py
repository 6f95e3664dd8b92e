"""How alike two images are: PSNR and SSIM."""

import functools

import numpy as np
import tensorflow as tf

# Of a mean squared error on [0, 1]; it limits PSNR to 100 dB.
_SMALLEST_ERROR = 1e-10
_SSIM_WINDOW = 11


def psnr(mean_squared_error: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio in decibels, of errors on [0, 1]."""
    error = np.asarray(mean_squared_error, np.float64)
    return -10.0 * np.log10(np.maximum(error, _SMALLEST_ERROR))


def ssim(images: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Return the structural similarity of images with their targets; 1 is equal.

    Wang et al. (2004), eq. 13, with their 11x11 Gaussian window of deviation 1.5,
    K1 = 0.01, K2 = 0.03; the mean over the places of the window that lie inside the
    image, and over channels (the paper's images are grey).

    Args:
        images: float32 [B, H, W, C] in [0, 1].
        targets: Like them.

    Returns:
        float32 [B], at most 1; None of images smaller than the window.
    """
    if min(images.shape[1:3]) < _SSIM_WINDOW:
        return None
    return _ssim(tf.constant(images), tf.constant(targets)).numpy()


@functools.partial(tf.function, reduce_retracing=True, autograph=False)
def _ssim(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    return tf.image.ssim(images, targets, 1.0, _SSIM_WINDOW, 1.5, 0.01, 0.03)
