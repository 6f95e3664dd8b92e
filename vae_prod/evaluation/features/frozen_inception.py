"""Inception's frozen graph of 2015, the network that FID is cited by.

The graph is `classify_image_graph_def.pb` of 2015-12-05. Its tensor `ExpandDims:0`
takes images with values from 0 to 255, `pool_3:0` has 2,048 features of each. Between
them it resizes what isn't 299x299 by `ResizeBilinear` in TensorFlow 1's manner: without
half-pixel centres, without antialiasing. Two conventions differ in what it is given:

    ttur     Images of their own size; the graph resizes them. So does the program of
             Heusel et al. (2017), bioinf-jku/TTUR.
    clean    Images of 299x299, of which the graph's resizing makes the same. Each
             channel is resized as float32 by Pillow's bicubic filter, which widens
             with the scale where images shrink, and clipped to [0, 255], not rounded.
             So does the program of Parmar et al. (2022), GaParmar/clean-fid, with the
             same weights in another format.

Grey images are repeated to three channels.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines import files

_IMAGES, _FEATURES = "ExpandDims:0", "pool_3:0"
_SIZE = 299


def ttur(
    path: str, image_shape: tuple[int, int, int]
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Load the graph for images as they are.

    Args:
        path: The graph's file.
        image_shape: (height, width, channels) of the images it will be given.

    Returns:
        A function from images uint8 [B, H, W, C] to features float32 [B, 2048], and how
        they are resized.

    Raises:
        UserError: The graph can't be read.
    """
    network = _network(path)
    resizing = f"to {_SIZE}x{_SIZE} by the graph, bilinear without half-pixel centres"
    return lambda images: network(_coloured(images)), resizing


def clean(
    path: str, image_shape: tuple[int, int, int]
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Load the graph for images resized by Pillow; see `ttur`."""
    network = _network(path)
    resizing = f"to {_SIZE}x{_SIZE} by Pillow's bicubic filter, as float32, clipped"
    return lambda images: network(resize(_coloured(images))), resizing


def resize(images: np.ndarray) -> np.ndarray:
    """Resize images as clean-fid does.

    Args:
        images: [B, H, W, C], values from 0 to 255.

    Returns:
        float32 [B, 299, 299, C] in [0, 255].
    """
    channels = np.moveaxis(images, -1, 1).astype(np.float32)
    size, bicubic = (_SIZE, _SIZE), Image.Resampling.BICUBIC
    resized = [
        np.asarray(Image.fromarray(channel).resize(size, bicubic))
        for image in channels
        for channel in image
    ]
    shape = (*channels.shape[:2], _SIZE, _SIZE)
    return np.moveaxis(np.clip(np.stack(resized).reshape(shape), 0, 255), 1, -1)


def _coloured(images: np.ndarray) -> np.ndarray:
    return np.broadcast_to(images, (*images.shape[:3], 3)).astype(np.float32)


def _network(path: str) -> Callable[[np.ndarray], np.ndarray]:
    graph_def, graph = tf.compat.v1.GraphDef(), tf.Graph()
    try:
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
        with graph.as_default():
            images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
            (pooled,) = tf.import_graph_def(
                graph_def, {_IMAGES: images}, [_FEATURES], name=""
            )
            features = tf.reshape(pooled, [tf.shape(images)[0], -1])
    # Of what is damaged TensorFlow raises errors of any kind.
    except Exception as error:
        raise files.UserError(
            f"Expected Inception's frozen graph of 2015-12-05 in {path}, with the "
            f"tensors {_IMAGES} and {_FEATURES}, it can't be read: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error
    # Its operations are of TensorFlow 1, which functions refuse.
    session = tf.compat.v1.Session(graph=graph)
    return lambda values: session.run(features, {images: values})
