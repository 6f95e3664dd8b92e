"""Feature extractors by the place where they lie.

Two kinds are taken:

    a folder    a SavedModel whose signature `serving_default` maps images, [B, H, W, C]
                float32 in [0, 1] or uint8, to features, float [B, D]. Where it leaves
                H and W open, images are given in their own size.
    a file      weights of Keras' InceptionV3 without its top, as Keras gives them away;
                features are its 2,048 pooled ones, of images of 299x299.

Images are resized by TensorFlow's bicubic filter with antialiasing where another size
is wanted, and grey ones repeated where three channels are.
"""

import hashlib
import os
from collections.abc import Callable

import tensorflow as tf

from pipelines import files
from vae_prod.evaluation.features import extractor, inception, saved_model

WHERE_TO_GET_ONE = (
    "FID, KID, precision and recall need a feature extractor: give --features=PATH, "
    "either inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 from "
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/, or a "
    "SavedModel from images in [0, 1] to a vector."
)


def load(path: str, image_shape: tuple[int, int, int]) -> extractor.Extractor:
    """Load a feature extractor and try it on two images.

    Args:
        path: A SavedModel's folder or a file of InceptionV3's weights.
        image_shape: (height, width, channels) of the images it will be given.

    Raises:
        UserError: There is none, it can't be read, or it maps images to no features.
    """
    if os.path.isfile(path):
        network, wanted, dtype = inception.keras_inception(path)
    elif os.path.isfile(os.path.join(path, "saved_model.pb")):
        network, wanted, dtype = saved_model.load(path)
    else:
        raise files.UserError(
            f"Expected a feature extractor in {path}, found neither a file nor a "
            "SavedModel. Mend --features."
        )
    height, width, channels = image_shape
    size = (wanted[0] or height, wanted[1] or width)
    resized = None if size == (height, width) else size
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
            images = tf.image.resize(images, resized, "bicubic", antialias=True)
            images = tf.clip_by_value(images, 0.0, 255.0)
        images = tf.round(images) if dtype == tf.uint8 else images / 255.0
        return tf.cast(network(tf.cast(images, dtype)), tf.float32)

    _try(path, extract, image_shape)
    name = os.path.basename(path.rstrip("/"))
    name = name.removesuffix(".h5").removesuffix(".weights")
    return extractor.Extractor(
        name,
        _digest(path),
        resized,
        lambda images: extract(tf.constant(images)).numpy(),
    )


def _try(path: str, extract: Callable, image_shape: tuple[int, int, int]) -> None:
    try:
        shape = extract(tf.zeros([2, *image_shape], tf.uint8)).shape
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise files.UserError(
            f"Expected a feature extractor in {path} that takes images of shape "
            f"{image_shape}, it refuses them: {str(error).splitlines()[0]}"
        ) from error
    if shape.rank != 2 or shape[0] != 2:
        raise files.UserError(
            f"Expected one vector for each image from the feature extractor in {path}, "
            f"received shape {shape} for 2 images. Export it with its pooling."
        )


def _digest(path: str) -> str:
    """Return the sha256 of a file, or of a folder's files and their names."""
    if os.path.isfile(path):
        names = [path]
    else:
        paths = (os.path.join(at, name) for at, _, of in os.walk(path) for name in of)
        names = sorted(paths)
    digest = hashlib.sha256()
    for name in names:
        if name != path:
            digest.update(os.path.relpath(name, path).encode())
        digest.update(bytes.fromhex(files.sha256(name)))
    return digest.hexdigest()
