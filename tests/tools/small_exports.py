"""Exports of three signatures, without all else that takes time to save."""

import os

import tensorflow as tf

from vae_prod import vae as vae_lib
from vae_prod.serving import description, pictures
from vae_prod.serving import functions as functions_lib


def write(path: str, model: vae_lib.VAE, weights_digest: str = "") -> None:
    """Write a version with the signatures `encode`, `decode` and `generate` alone.

    Args:
        path: The version's folder.
        model: Of float32.
        weights_digest: What its description says the weights are.
    """
    shape = model.config.image_shape
    preparation = pictures.Preparation(shape, shape[:2], "none", False, "lanczos")
    functions = functions_lib.Functions(model, functions_lib.Extras(preparation))
    inputs = {
        "encode": {"image": tf.TensorSpec([None, *shape])},
        "decode": {"z": tf.TensorSpec([None, model.config.z_dim])},
        "generate": {
            "seed": tf.TensorSpec([None], tf.int64),
            "temperature": tf.TensorSpec([None]),
            "sampler": tf.TensorSpec([None], tf.string),
        },
    }
    traced = {
        name: _trace(getattr(functions, name), specs) for name, specs in inputs.items()
    }
    module = tf.Module()
    module.weights, module.vectors = functions.weights, functions.vectors
    tf.saved_model.save(module, path, signatures=traced)
    told = description.Description(
        signatures=description.described(traced),
        default="encode",
        samplers=["prior"],
        attributes=[],
        preparation={},
        sharpness=1.0,
        max_batch=256,
        variance=None,
        weights_digest=weights_digest,
        data_digest="",
        made_by={},
    )
    os.makedirs(os.path.join(path, description.EXTRA))
    with open(os.path.join(path, description.EXTRA, description.NAME), "w") as file:
        file.write(told.to_text())


def _trace(function, specs):
    # By keywords, which become the names of its tensors.
    return tf.function(lambda **given: function(**given)).get_concrete_function(**specs)
