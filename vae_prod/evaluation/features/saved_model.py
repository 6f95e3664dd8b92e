"""A SavedModel of the user's from images to a vector each."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.evaluation.features import fitting

_SIGNATURE = "serving_default"


def load(
    path: str, image_shape: tuple[int, int, int]
) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Load a SavedModel whose `serving_default` maps images to vectors.

    It takes images [B, H, W, C], float32 in [0, 1] or uint8. Where it leaves H and W
    open, they are given in their own size.

    Args:
        path: Its folder.
        image_shape: (height, width, channels) of the images it will be given.

    Returns:
        A function from images uint8 [B, H, W, C] to what the signature gives, and how
        images are resized.

    Raises:
        UserError: There is none, or it maps something else.
    """
    try:
        loaded = tf.saved_model.load(path)
    # Of what is damaged the loader raises errors of any kind: IndexError, KeyError ...
    except Exception as error:
        raise files.UserError(
            f"Expected a SavedModel in {path}, it can't be read: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error
    signature = loaded.signatures.get(_SIGNATURE)
    inputs = signature.structured_input_signature[1] if signature else {}
    outputs = signature.structured_outputs if signature else {}
    specs = list(inputs.values())
    if len(inputs) != 1 or len(outputs) != 1 or not _takes_images(specs[0]):
        raise files.UserError(
            f"Expected the SavedModel in {path} to have a signature {_SIGNATURE} "
            "from images, float32 or uint8 [B, H, W, C], to one vector each, received "
            f"{_described(inputs)} -> {_described(outputs)}."
        )
    (input_name,), (output_name,) = inputs, outputs

    def network(images):
        # Of `loaded`, for the signature doesn't keep the variables alive by itself.
        ask = loaded.signatures[_SIGNATURE]
        return ask(**{input_name: images})[output_name]

    return fitting.fitted(path, network, specs[0], image_shape)


def _takes_images(spec: tf.TensorSpec) -> bool:
    return spec.shape.rank == 4 and spec.dtype in (tf.float32, tf.uint8)


def _described(specs: dict) -> str:
    shown = (f"{name} {spec.dtype.name} {spec.shape}" for name, spec in specs.items())
    return ", ".join(shown) or "nothing"
