"""An export opened as a codec: encode and decode, as a run gives them."""

import numpy as np
import tensorflow as tf

from pipelines import files, folders
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description as description_lib


def open_export(path: str) -> codec_lib.Codec:
    """Make a codec of an exported SavedModel.

    Raises:
        UserError: There is no export of this package at `path`, its SavedModel isn't
            what was exported, or it can't be read.
    """
    folders.require_literal(path, "--export_dir")
    description = description_lib.load(path)
    description_lib.require_model(path, description)
    try:
        loaded = tf.saved_model.load(path)
        _, decode = (loaded.signatures[name] for name in ("encode", "decode"))
        points = decode.structured_input_signature[1]["z"].shape
        images = decode.structured_outputs["image"].shape
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise files.UserError(
            f"Expected a SavedModel made by tools.export in {path} (its version's "
            f"folder), it can't be read: {str(error).splitlines()[0]}"
        ) from error

    def ask(name, **inputs):
        # Of `loaded`, for a signature doesn't keep the variables alive by itself.
        return loaded.signatures[name](**inputs)

    def encode_images(images):
        images = vae_lib.scale_images(tf.convert_to_tensor(images))
        parts = [
            codec_lib.to_numpy(ask("encode", image=part)) for part in split(images)
        ]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    def decode_points(z):
        z = tf.convert_to_tensor(z, tf.float32)
        return np.concatenate([ask("decode", z=p)["image"].numpy() for p in split(z)])

    def split(rows):
        size = description.max_batch
        return [rows[i : i + size] for i in range(0, max(1, len(rows)), size)]

    return codec_lib.Codec(
        tuple(images[1:].as_list()),
        points[1],
        encode_images,
        decode_points,
        lambda: codec_lib.digest(loaded.weights),
        description.variance,
    )
