"""Feature extractors: networks that others trained, loaded from where they lie.

Two kinds are taken:

    a folder    a SavedModel whose signature `serving_default` maps images, [B, H, W, C]
                float32 in [0, 1] or uint8, to features, float [B, D]. Where it leaves
                H and W open, images are given in their own size.
    a file      weights of Keras' InceptionV3 without its top, as Keras gives them away;
                features are its 2,048 pooled ones, of images of 299x299.

Images are rounded to grey levels first, as they would be saved, resized by TensorFlow's
bicubic filter with antialiasing where another size is wanted, and grey ones repeated
where three channels are.
"""

import hashlib
import os
import warnings
from collections.abc import Callable

import attrs
import keras
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.reporting import image_grids

WHERE_TO_GET_ONE = (
    "FID, KID, precision and recall need a feature extractor: give --features=PATH, "
    "either inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 from "
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/, or a "
    "SavedModel from images in [0, 1] to a vector."
)
_INCEPTION_SIZE = 299
# Images given to an extractor at a time; they bound the memory.
_BATCH = 32


@attrs.frozen
class Extractor:
    """A network from images to features.

    Attributes:
        name: What its figures are called by: its file's name, without the ending.
        digest: sha256 of its files.
        size: (height, width) that images are resized to; None: as they are.
        extract: uint8 [B, H, W, C] to float32 [B, D].
    """

    name: str
    digest: str
    size: tuple[int, int] | None
    extract: Callable[[np.ndarray], np.ndarray]

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features of images, uint8 or float in [0, 1]: float32 [B, D]."""
        images = image_grids.to_uint8(images)
        parts = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        return np.concatenate([self.extract(part) for part in parts])


def load(path: str, image_shape: tuple[int, int, int]) -> Extractor:
    """Load a feature extractor and try it on two images.

    Args:
        path: A SavedModel's folder or a file of InceptionV3's weights.
        image_shape: (height, width, channels) of the images it will be given.

    Raises:
        UserError: There is none, it can't be read, or it maps images to no features.
    """
    if os.path.isfile(path):
        network, wanted, dtype = _inception(path)
    elif os.path.isfile(os.path.join(path, "saved_model.pb")):
        network, wanted, dtype = _saved_model(path)
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
    return Extractor(
        name,
        _digest(path),
        resized,
        lambda images: extract(tf.constant(images)).numpy(),
    )


def _inception(path: str) -> tuple[Callable, tuple, tf.DType]:
    shape = (_INCEPTION_SIZE, _INCEPTION_SIZE, 3)
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


def _saved_model(path: str) -> tuple[Callable, tuple, tf.DType]:
    try:
        loaded = tf.saved_model.load(path)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise files.UserError(
            f"Expected a SavedModel in {path}, it can't be read: "
            f"{str(error).splitlines()[0]}"
        ) from error
    signature = loaded.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    outputs = signature.structured_outputs if signature else {}
    specs = list(inputs.values())
    if len(inputs) != 1 or len(outputs) != 1 or not _takes_images(specs[0]):
        raise files.UserError(
            f"Expected the SavedModel in {path} to have a signature serving_default "
            "from images, float32 or uint8 [B, H, W, C], to one vector each, received "
            f"{_described(inputs)} -> {_described(outputs)}."
        )
    (input_name,), (output_name,) = inputs, outputs

    def network(images):
        return signature(**{input_name: images})[output_name]

    # The signature doesn't keep the variables alive by itself.
    network.loaded = loaded
    return network, specs[0].shape[1:], specs[0].dtype


def _takes_images(spec: tf.TensorSpec) -> bool:
    return spec.shape.rank == 4 and spec.dtype in (tf.float32, tf.uint8)


def _described(specs: dict) -> str:
    shown = (f"{name} {spec.dtype.name} {spec.shape}" for name, spec in specs.items())
    return ", ".join(shown) or "nothing"


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
