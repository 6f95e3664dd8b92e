"""A trained model as two functions, encode and decode.

Of a model in memory here; `serving.opening` makes the same of an export.
"""

import hashlib
from collections.abc import Callable, Iterable

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.model import vae as vae_lib


@attrs.frozen
class Codec:
    """What it takes to encode and decode.

    Attributes:
        image_shape: (height, width, channels).
        z_dim: Dimensions of the latent space.
        encode: uint8 or float32 in [0, 1] [B, H, W, C] to `z_mean` and, of a VAE,
            `z_log_var`, each float32 [B, z_dim].
        decode: float32 [B, z_dim] to images float32 [B, H, W, C] in [0, 1].
        weights_digest: Gives a sha256 of the weights as they are now, the same of a
            run and of its export. Latent points of one model mean nothing to another.
        variance: sigma^2 of a likelihood that has one; None of others.
    """

    image_shape: tuple[int, int, int]
    z_dim: int
    encode: Callable[[np.ndarray], dict[str, np.ndarray]]
    decode: Callable[[np.ndarray], np.ndarray]
    weights_digest: Callable[[], str]
    variance: float | None = None

    def decode_many(self, z: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Decode any number of points, a batch at a time."""
        parts = [z[i : i + batch_size] for i in range(0, len(z), batch_size)]
        return np.concatenate([self.decode(part) for part in parts])


def from_model(model: vae_lib.VAE) -> Codec:
    """Make a codec of a model in memory."""

    @tf.function(reduce_retracing=True)
    def encode(images):
        return model.encoder(vae_lib.scale_images(images), training=False)

    @tf.function(reduce_retracing=True)
    def decode(z):
        return model.decode(z)

    return Codec(
        model.config.image_shape,
        model.config.z_dim,
        lambda images: to_numpy(encode(tf.convert_to_tensor(images))),
        lambda z: decode(tf.convert_to_tensor(z, tf.float32)).numpy(),
        lambda: digest([*model.encoder.variables, *model.decoder.variables]),
        float(model.variance) if model.config.likelihood.has_variance else None,
    )


def to_numpy(tensors: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Return tensors by name as NumPy arrays."""
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def digest(variables: Iterable) -> str:
    """Return a sha256 of weights, the same whatever their order."""
    # In whatever order they come, and without the integers that seed dropout.
    values = (np.asarray(variable) for variable in variables)
    weights = (v.astype(np.float32) for v in values if v.dtype.kind not in "iu")
    parts = sorted(hashlib.sha256(weight.tobytes()).digest() for weight in weights)
    return hashlib.sha256(b"".join(parts)).hexdigest()
