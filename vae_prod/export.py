"""The SavedModel: named signatures that serve without this package or Keras.

    encode       image                -> z_mean, z_log_var (of an autoencoder: z_mean)
    decode       z                    -> image
    reconstruct  image                -> image, decoded from z_mean
    generate     seed int64 [B]       -> image, each a function of its own seed alone

`image` is float32 [B, H, W, C] in [0, 1], `z`, `z_mean` and `z_log_var` are float32
[B, z_dim], whatever the precision of training; B is free. `reconstruct` is also
`serving_default`.
"""

import os
import shutil
from collections.abc import Mapping

import keras
import tensorflow as tf

from vae_prod import errors, sampling
from vae_prod import vae as vae_lib

_EXTRA = "assets.extra"


def next_version(directory: str) -> str:
    """Return the path of the next free integer version in a model's folder."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    taken = [int(name) for name in names if name.isdigit()]
    return os.path.join(directory, str(max(taken, default=0) + 1))


def export(model: vae_lib.VAE, path: str, extra: Mapping[str, bytes]) -> None:
    """Write a SavedModel, aside first and then under its name.

    Args:
        model: Its weights are exported in float32.
        path: The version's folder; must not exist.
        extra: Files to keep in `assets.extra/`, such as config.json.

    Raises:
        RunError: `path` exists or can't be written to.
    """
    if os.path.exists(path):
        raise errors.RunError(f"Expected no export in {path} yet, there is one.")
    parent, version = os.path.split(os.path.abspath(path))
    # A name that is no integer: a model server doesn't take it for a version.
    aside = os.path.join(parent, f".{version}.tmp")
    try:
        os.makedirs(parent, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        _archive(model.with_precision("float32")).write_out(aside, verbose=False)
        os.makedirs(os.path.join(aside, _EXTRA), exist_ok=True)
        for name, data in extra.items():
            with open(os.path.join(aside, _EXTRA, name), "wb") as file:
                file.write(data)
        os.rename(aside, path)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise errors.RunError(
            f"Expected to write the export to {path}: {error}"
        ) from error


def _archive(model: vae_lib.VAE) -> keras.export.ExportArchive:
    z_dim = model.config.z_dim

    def encode(image):
        return model.encoder(image, training=False)

    def decode(z):
        return {"image": tf.sigmoid(model.decoder(z, training=False))}

    def reconstruct(image):
        return decode(encode(image)["z_mean"])

    def generate(seed):
        return decode(sampling.prior(seed, z_dim, model.config.epsilon_limit))

    image = tf.TensorSpec([None, *model.config.image_shape], tf.float32, "image")
    z = tf.TensorSpec([None, z_dim], tf.float32, "z")
    seed = tf.TensorSpec([None], tf.int64, "seed")
    archive = keras.export.ExportArchive()
    archive.track(model.encoder)
    archive.track(model.decoder)
    # The first endpoint becomes serving_default.
    archive.add_endpoint("reconstruct", reconstruct, [image])
    archive.add_endpoint("encode", encode, [image])
    archive.add_endpoint("decode", decode, [z])
    archive.add_endpoint("generate", generate, [seed])
    return archive
