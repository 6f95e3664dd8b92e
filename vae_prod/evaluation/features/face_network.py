"""A face detector as a judge of pictures: MTCNN, of the extra `faces`.

Zhang et al. (2016), "Joint face detection and alignment using multitask cascaded
convolutional networks". The package `mtcnn` holds its weights, 2 MB. They are pickles:
only files with the digests below, in the package's own folder, are opened.
"""

import hashlib
import importlib.util
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines import files

NAME = "faces"
# Sizes of the detector's three stages' weights, version 1.0.0 of the package.
_WEIGHTS = {
    "pnet.lz4": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet.lz4": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet.lz4": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
DIGEST = hashlib.sha256("".join(_WEIGHTS.values()).encode()).hexdigest()
# Height and width of what the last stage looks at.
SIZE = (48, 48)
_CELLS = 4
# The last stage's values, and the colours.
GROUPS = (256, _CELLS**2 * 3)
# The side to which smaller pictures are enlarged: the detector finds faces of 20 pixels
# or more, and was made for photographs.
_LEAST_SIDE = 96


def is_installed() -> bool:
    """Say whether the extra is there."""
    return importlib.util.find_spec("mtcnn") is not None


def features() -> Callable[[tf.Tensor], tf.Tensor]:
    """Load what the last stage knows of a picture before it decides, and colours.

    The detector hardly sees brightness and colour, so mean colours of 4x4 cells stand
    beside the 256 values of its dense layer.

    Returns:
        A function from images float32 [B, 48, 48, 3] in [0, 255] to features, float32
        [B, 304], see `GROUPS`.

    Raises:
        UserError: The extra isn't installed, or its weights are others.
    """
    net = _stage("onet").model

    def network(images: tf.Tensor) -> tf.Tensor:
        maps = _scaled(images)
        maps = net.maxpool1(net.prelu1(net.conv1(maps)))
        maps = net.maxpool2(net.prelu2(net.conv2(maps)))
        maps = net.maxpool3(net.prelu3(net.conv3(maps)))
        maps = net.prelu4(net.conv4(maps))
        known = net.prelu5(net.fc5(net.flatten(net.permute(maps))))
        colours = tf.image.resize(images / 255.0, (_CELLS, _CELLS), "area")
        return tf.concat([known, tf.reshape(colours, [-1, GROUPS[1]])], axis=-1)

    return network


def confidences() -> Callable[[np.ndarray], np.ndarray]:
    """Load the detector.

    Returns:
        A function from images uint8 [B, H, W, 1 or 3] to how sure it is of the face it
        is surest of in each, float32 [B] in [0, 1]; 0 where it finds none.

    Raises:
        UserError: The extra isn't installed, or its weights are others.
    """
    stages = [_stage(name) for name in ("pnet", "rnet", "onet")]
    from mtcnn import MTCNN

    detector = MTCNN(stages=stages, device="CPU:0")

    def surest(images: np.ndarray) -> np.ndarray:
        found = detector.detect_faces(list(_enlarged(images)), output_type="numpy")
        best = np.zeros(len(images), np.float32)
        np.maximum.at(best, found[:, 0].astype(int), found[:, 5])
        return best

    return surest


def _scaled(images: tf.Tensor) -> tf.Tensor:
    """Bring pixels to the range that the stages were trained on."""
    return (images - 127.5) / 128.0


def _enlarged(images: np.ndarray) -> np.ndarray:
    images = np.repeat(images, 3 // images.shape[-1], axis=-1)
    factor = _LEAST_SIDE / min(images.shape[1:3])
    if factor <= 1.0:
        return images
    size = [round(side * factor) for side in images.shape[1:3]]
    resized = tf.image.resize(images, size, "bicubic")
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8).numpy()


def _stage(name: str):
    """Load one of the detector's stages, after checking its weights' digest."""
    if not is_installed():
        raise files.UserError(
            "Expected the face detector of the package mtcnn, it isn't installed. "
            "Install it: pip install 'vae_prod[faces]'."
        )
    import mtcnn.stages

    folder = os.path.join(os.path.dirname(mtcnn.__file__), "assets", "weights")
    path = os.path.join(folder, f"{name}.lz4")
    if not os.path.isfile(path) or files.sha256(path) != _WEIGHTS[f"{name}.lz4"]:
        raise files.UserError(
            f"Expected the weights of mtcnn 1.0.0 in {path}, they are missing or "
            "others. Install it anew: pip install --force-reinstall mtcnn==1.0.0."
        )
    stage = {"pnet": "StagePNet", "rnet": "StageRNet", "onet": "StageONet"}[name]
    return getattr(mtcnn.stages, stage)(weights=path)
