"""InceptionV3 as Keras gives it away.

Its weights are others than those of the graph that published figures of FID were taken
by: its figures compare with their like only.
"""

import warnings
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.evaluation.features import fitting

_SIZE = 299


def load(
    path: str, image_shape: tuple[int, int, int]
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Load InceptionV3 without its top, from a file of Keras' weights.

    Args:
        path: The file.
        image_shape: (height, width, channels) of the images it will be given.

    Returns:
        A function from images uint8 [B, H, W, C] to its 2,048 pooled features, and how
        images are resized to 299x299.

    Raises:
        UserError: They can't be read.
    """
    shape = (_SIZE, _SIZE, 3)
    try:
        with warnings.catch_warnings(action="ignore"):  # The error says it all.
            model = keras.applications.InceptionV3(
                include_top=False, weights=path, input_shape=shape, pooling="avg"
            )
    except (OSError, ValueError, KeyError) as error:
        raise files.UserError(
            "Expected the weights of Keras' InceptionV3 without its top (a file that "
            f"ends in notop.h5) in {path}, they can't be read: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return fitting.fitted(
        path,
        lambda images: model(images * 2.0 - 1.0, training=False),
        tf.TensorSpec([None, *shape], tf.float32),
        image_shape,
    )
