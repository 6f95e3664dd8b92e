"""The C++ op as Python functions; `twin` has the same in pure TensorFlow."""

import tensorflow as tf

from pipelines import records
from pipelines.reading import crop as crop_lib
from pipelines.reading.native import loader

# The op shares each batch out over the threads; the second one fills its pauses.
PARALLEL_BATCHES = 2


def read_images(
    paths: tf.Tensor,
    rows: tf.Tensor,
    spec: records.RecordSpec,
    crop: crop_lib.Crop,
    *,
    keep_serialized: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Read the records at given places and decode their images.

    Args:
        paths: string [S], the shards.
        rows: int64 [B, 3]: number of the shard, offset and length of the payload in
            bytes, as in a split's record index.
        spec: What every record holds.
        crop: How the images are cropped, mirrored and scaled.
        keep_serialized: Whether the records are returned too.

    Returns:
        Images of `crop.dtype`, [B, h, w, C]; bool [B], whether the record is whole
        and its image of the right shape (where not, the image is black); string [B],
        the serialized Examples, or string [0].
    """
    return loader.loaded().vae_prod_read_images(
        paths,
        rows,
        crop.mirrored,
        crop.corners,
        keep_serialized=keep_serialized,
        **_attributes(spec, crop),
    )


def decode_images(
    serialized: tf.Tensor, spec: records.RecordSpec, crop: crop_lib.Crop
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the images of serialized Examples.

    Args:
        serialized: string [B].
        spec: What every record holds.
        crop: How the images are cropped, mirrored and scaled.

    Returns:
        Images and bool [B], as `read_images` returns them.
    """
    return loader.loaded().vae_prod_decode_images(
        serialized, crop.mirrored, crop.corners, **_attributes(spec, crop)
    )


def _attributes(spec: records.RecordSpec, crop: crop_lib.Crop) -> dict:
    return {
        "dtype": crop.dtype,
        "encoding": spec.encoding,
        "stored_shape": spec.image_shape,
        "window": crop.window,
    }
