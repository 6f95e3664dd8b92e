"""Feature extractors by what flags say: KIND:PATH, PATH alone, or a name.

`config.extractors` lists the kinds. Of a path alone, a folder is a SavedModel, a file
weights of Keras' InceptionV3.
"""

import hashlib
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.evaluation.features import (
    built_in,
    extractor,
    frozen_inception,
    inception,
    saved_model,
)

# From a path and (height, width, channels) of images to a function from images, uint8
# [B, H, W, C], to float32 [B, D], and how they are resized.
LOADERS = {
    "ttur": frozen_inception.ttur,
    "clean": frozen_inception.clean,
    "keras": inception.load,
    "saved_model": saved_model.load,
}

# Those of the package and its extras, from (height, width, channels) of images.
BUILT_IN = {"gradients": built_in.load_gradients, "faces": built_in.load_faces}

WHERE_TO_GET_ONE = (
    "FID to compare with publications takes a network that isn't in the package. For "
    "figures to cite give --features=ttur:PATH or --features=clean:PATH, the path that "
    "of classify_image_graph_def.pb from "
    "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz; or "
    "--features=PATH, either "
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 from "
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/, or a "
    "SavedModel from images in [0, 1] to a vector."
)


def load(given: str, image_shape: tuple[int, int, int]) -> extractor.Extractor:
    """Load a feature extractor and try it on two images.

    Args:
        given: KIND:PATH, a kind without a path, or the path of a SavedModel's folder
            or of a file of InceptionV3's weights.
        image_shape: (height, width, channels) of the images it will be given.

    Raises:
        UserError: There is none, it can't be read, or it maps images to no features.
    """
    if given in BUILT_IN:
        return BUILT_IN[given](image_shape)
    name, path = _parsed(given)
    extract, resizing = LOADERS[name](path, image_shape)
    _try(path, extract, image_shape)
    kind = config_lib.EXTRACTORS[name]
    called = name if kind.names_figures else os.path.basename(path.rstrip("/"))
    return extractor.Extractor(called, _digest(path), name, resizing, extract)


def load_all(
    given: Sequence[str], image_shape: tuple[int, int, int]
) -> list[extractor.Extractor]:
    """Load several feature extractors, see `load`.

    Raises:
        UserError: One can't be had, or two have the same name.
    """
    loaded = [load(each, image_shape) for each in given]
    names = [each.name for each in loaded]
    if len(set(names)) < len(names):
        raise files.UserError(
            "--judge and --features take extractors of different names, for their "
            f"figures are called by them, received {', '.join(names)}."
        )
    return loaded


def _parsed(given: str) -> tuple[str, str]:
    """Return the kind and the path."""
    name, _, path = given.partition(":")
    if name not in LOADERS:
        path = given
        name = "keras" if os.path.isfile(path) else "saved_model"
    if os.path.isfile(path if name != "saved_model" else f"{path}/saved_model.pb"):
        return name, path
    kinds = ", ".join((*LOADERS, *BUILT_IN))
    raise files.UserError(
        f"Expected a feature extractor in {path}, found "
        f"{'neither a file nor a SavedModel' if path == given else 'none of the kind'}."
        f" Mend --features: a path, or a kind and a path, one of {kinds}."
    )


def _try(path: str, extract: Callable, image_shape: tuple[int, int, int]) -> None:
    try:
        shape = extract(np.zeros([2, *image_shape], np.uint8)).shape
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise files.UserError(
            f"Expected a feature extractor in {path} that takes images of shape "
            f"{image_shape}, it refuses them: {str(error).splitlines()[0]}"
        ) from error
    if len(shape) != 2 or shape[0] != 2:
        raise files.UserError(
            f"Expected one vector for each image from the feature extractor in {path}, "
            f"received shape {shape} for 2 images. Export it with its pooling."
        )


def _digest(path: str) -> str:
    """Return the sha256 of a file, or of a folder's files and their names."""
    if os.path.isfile(path):
        return files.sha256(path)
    paths = (os.path.join(at, name) for at, _, of in os.walk(path) for name in of)
    digest = hashlib.sha256()
    for name in sorted(paths):
        digest.update(os.path.relpath(name, path).encode())
        digest.update(bytes.fromhex(files.sha256(name)))
    return digest.hexdigest()
