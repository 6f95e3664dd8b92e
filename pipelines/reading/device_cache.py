"""The training images in the memory of the device that trains (`--cache=device`).

A batch is then not read but taken: the host says which images, and how each is cropped
and mirrored, some bytes an image, and the train step does it, with the same result as
those of the other readers, bit for bit.
"""

from collections.abc import Mapping

import attrs
import tensorflow as tf

from pipelines import files, shards
from pipelines.reading import crop as crop_lib
from pipelines.reading import readers

# Splits on the device, by data set and split: all runs of this process share them.
_splits: dict[tuple[str, ...], tf.Tensor] = {}


def places(numbers: tf.Tensor, crop: crop_lib.Crop) -> dict[str, tf.Tensor]:
    """Return where the images of a batch are, and how they are cropped.

    Args:
        numbers: int64 [B], places in the split.
        crop: How they are cropped and mirrored.

    Returns:
        `number` int64 [B], `corner` int32 [B, 2], `mirrored` bool [B].
    """
    return {
        "number": numbers,
        "corner": tf.ensure_shape(crop.corners, [*numbers.shape, 2]),
        "mirrored": tf.ensure_shape(crop.mirrored, numbers.shape),
    }


@attrs.frozen(eq=False)
class DeviceCache:
    """The images of a split on a device.

    Attributes:
        images: uint8 [N, H, W, C], in file order.
        window: (height, width) kept of each.
    """

    images: tf.Tensor
    window: tuple[int, int]

    def batch(self, where: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take the images of `places`; return `image` uint8 [B, *window, C]."""
        crop = crop_lib.Crop(self.window, where["corner"], where["mirrored"])
        return {"image": crop(tf.gather(self.images, where["number"]))}


def load(
    stored: readers.Stored, manifest: shards.Manifest, window: tuple[int, int]
) -> DeviceCache:
    """Decode a split into the memory of the first GPU or, without one, into memory.

    Once in this process. While it is loaded it takes that memory twice.

    Args:
        stored: The split.
        manifest: Of its data set.
        window: (height, width) kept of each image.

    Raises:
        UserError: The device has too little memory.
    """
    key = (stored.data_dir, manifest.digest(), stored.name)
    if key not in _splits:
        _splits[key] = _load(stored)
    return DeviceCache(_splits[key], window)


def _load(stored: readers.Stored) -> tf.Tensor:
    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    try:
        with tf.device(device):
            parts = [tf.identity(part["image"]) for part in readers.parts(stored)]
            return tf.concat(parts, axis=0)
    except tf.errors.ResourceExhaustedError as error:
        height, width, channels = stored.spec.image_shape
        size = stored.num_examples * height * width * channels
        raise files.UserError(
            f"Expected room for twice the {size / 1e9:,.1f} GB of the {stored.name} "
            f"images on {device}, it has less. Take --cache=memory or none."
        ) from error
