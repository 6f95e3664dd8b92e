"""InceptionV3 as Keras gives it away: features that FID is made of."""

import warnings
from collections.abc import Callable

import keras
import tensorflow as tf

from pipelines import files

_SIZE = 299


def keras_inception(path: str) -> tuple[Callable, tuple, tf.DType]:
    """Load InceptionV3 without its top, from a file of Keras' weights.

    Returns:
        A function from images float32 [B, 299, 299, 3] in [0, 1] to its 2,048 pooled
        features, with the shape and dtype of what it takes.

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
    return lambda images: model(images * 2.0 - 1.0, training=False), shape, tf.float32
