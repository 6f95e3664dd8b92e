"""Images as a network takes them: in its size, channels, dtype and range.

Images are resized by TensorFlow's bicubic filter with antialiasing where another size
is wanted, and grey ones repeated where three channels are.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines import files


def fitted(
    path: str,
    network: Callable[[tf.Tensor], tf.Tensor],
    spec: tf.TensorSpec,
    image_shape: tuple[int, int, int],
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Put what a network takes before it.

    Args:
        path: Where it lies, for messages.
        network: From images in [0, 1], or uint8, to features.
        spec: What it takes, [B, H, W, C]; sizes may be open.
        image_shape: (height, width, channels) of the images there are.

    Returns:
        A function from images uint8 [B, H, W, C] to features float32, and how they are
        resized.

    Raises:
        UserError: It takes another number of channels.
    """
    height, width, channels = image_shape
    wanted = spec.shape[1:].as_list()
    size = (wanted[0] or height, wanted[1] or width)
    resized = size != (height, width)
    repeats = 3 if channels == 1 and wanted[2] == 3 else 1
    if wanted[2] not in (None, channels * repeats):
        raise files.UserError(
            f"Expected a feature extractor for images of {channels} channels in "
            f"{path}, it takes {wanted[2]}."
        )

    @tf.function(reduce_retracing=True, autograph=False)
    def extract(images):
        images = tf.repeat(tf.cast(images, tf.float32), repeats, axis=-1)
        if resized:
            images = tf.image.resize(images, size, "bicubic", antialias=True)
            images = tf.clip_by_value(images, 0.0, 255.0)
        images = tf.round(images) if spec.dtype == tf.uint8 else images / 255.0
        return tf.cast(network(tf.cast(images, spec.dtype)), tf.float32)

    filter_name = "TensorFlow's bicubic filter with antialiasing"
    resizing = f"to {size[0]}x{size[1]} by {filter_name}" if resized else "none"
    return lambda images: extract(tf.constant(images)).numpy(), resizing
