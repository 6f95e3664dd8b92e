"""Batches of images in the forms that people and data sets have them."""

from collections.abc import Mapping
from typing import TypeAlias

import tensorflow as tf

from pipelines import files

Batch: TypeAlias = tf.Tensor | tuple | Mapping[str, tf.Tensor]
_FORMS = (
    "a tensor of images, a tuple (images, targets) or (images, labels), or a dict with "
    "`image`"
)


def as_batch(batch: Batch, image_shape: tuple[int, int, int]) -> dict[str, tf.Tensor]:
    """Return a batch in the one form that steps take.

    Args:
        batch: Images, uint8 in [0, 255] or float in [0, 1] [B, H, W, C]: a tensor; a
            tuple of it and what else of rank 4 is the clean image to reconstruct, of
            another rank a label, which isn't trained on; or a dict with `image`,
            perhaps `target`, and whatever else.
        image_shape: (H, W, C) of the model.

    Returns:
        `image` and, where it is given, `target`, with what else a dict held.

    Raises:
        UserError: It is of another form, or holds other images.
    """
    if isinstance(batch, Mapping):
        parts: dict[str, tf.Tensor] = dict(batch)
    elif isinstance(batch, tuple | list):
        parts = _of_tuple(batch)
    else:
        parts = {"image": batch}
    if "image" not in parts:
        raise _refused(f"{type(batch).__name__} with {', '.join(parts) or 'nothing'}")
    for name in ("image", "target"):
        if name in parts:
            _check(name, parts[name], image_shape)
    return parts


def _of_tuple(batch: tuple | list) -> dict[str, tf.Tensor]:
    # Keras fills up a tuple with None.
    given = [part for part in batch if part is not None]
    if not 1 <= len(given) <= 2:
        raise _refused(f"a tuple of {len(given)}")
    if len(given) == 1:
        return {"image": given[0]}
    name = "target" if len(given[1].shape) == 4 else "label"
    return {"image": given[0], name: given[1]}


def _check(name: str, images: tf.Tensor, image_shape: tuple[int, int, int]) -> None:
    if not (images.dtype == tf.uint8 or images.dtype.is_floating):
        raise files.UserError(
            f"Expected images of uint8 in [0, 255] or of floats in [0, 1] as `{name}`, "
            f"received {images.dtype.name}. Cast them."
        )
    expected = tf.TensorShape([None, *image_shape])
    if not images.shape.is_compatible_with(expected):
        raise files.UserError(
            f"Expected batches of images of shape {image_shape} as `{name}`, received "
            f"{images.shape}. Batch the data set, or give ModelConfig its image_shape."
        )


def _refused(received: str) -> files.UserError:
    return files.UserError(
        f"Expected batches that are {_FORMS}, received {received}. Map the data set to "
        "one of them."
    )
