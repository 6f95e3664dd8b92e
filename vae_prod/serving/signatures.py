"""The signatures of an export: functions under names, with named tensors.

    encode       image                         -> z_mean, z_log_var
    decode       z                             -> image
    reconstruct  image                         -> image, decoded from z_mean
    generate     seed, temperature, sampler    -> image
    interpolate  start, end, weight            -> image
    edit         image, attribute, strength    -> image

Each that takes images also takes files, as NAME_jpeg; each that gives images also gives
files, as NAME_png; where both, also NAME_jpeg_png. The number of rows is free, every
row is worked on alike, and an image is a function of its own row alone. `MEANINGS` says
what each name means.
"""

import itertools
from collections.abc import Callable

import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.serving import functions as functions_lib

# What each takes.
INPUTS = {
    "encode": ("image",),
    "decode": ("z",),
    "reconstruct": ("image",),
    "generate": ("seed", "temperature", "sampler"),
    "interpolate": ("start", "end", "weight"),
    "edit": ("image", "attribute", "strength"),
}
DEFAULT = "reconstruct"

MEANINGS = {
    "encode": "images to their posteriors",
    "decode": "latent points to images",
    "reconstruct": "images to what the model makes of them, decoded from z_mean",
    "generate": "seeds to new images; the same seed gives the same image",
    "interpolate": "two images to one on the way between them, straight through z_mean",
    "edit": "images to the same with more or less of an attribute",
    "image": "in [0, 1]: uint8 / 255",
    "image_bytes": "given: a JPEG or PNG file of any size; returned: a PNG file",
    "start": "image where the way begins, in [0, 1]",
    "end": "image where the way ends, in [0, 1]",
    "start_bytes": "JPEG or PNG file where the way begins",
    "end_bytes": "JPEG or PNG file where the way ends",
    "weight": "how far on the way; 0: start, 1: end",
    "z": "latent point",
    "z_mean": "mean of the posterior",
    "z_log_var": "logarithm of the posterior's variance, of each dimension",
    "seed": "any integer",
    "temperature": "1: the distribution itself; 0: its centre",
    "sampler": "distribution of z, by name",
    "attribute": "attribute to add, by name",
    "strength": "how often its vector is added; negative: taken away",
}
# Of an input that holds images, the name of the one that holds files.
_FILES = {"image": "image_bytes", "start": "start_bytes", "end": "end_bytes"}


def build(
    functions: functions_lib.Functions,
) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Trace every signature.

    Args:
        functions: What they are made of.

    Returns:
        Name to function, each from named tensors to named tensors.
    """
    traced = {}
    for name, inputs in INPUTS.items():
        if name == "edit" and not functions.extras.vectors:
            continue
        takes_images = bool(_FILES.keys() & set(inputs))
        gives_images = name != "encode"
        for from_files, to_files in itertools.product(
            {False, takes_images}, {False, gives_images}
        ):
            full = name + "_jpeg" * from_files + "_png" * to_files
            function = _variant(functions, name, from_files, to_files)
            names = [_FILES.get(i, i) if from_files else i for i in inputs]
            traced[full] = _trace(functions.config, function, names)
    return traced


def _variant(
    functions: functions_lib.Functions, name: str, from_files: bool, to_files: bool
) -> Callable[..., dict[str, tf.Tensor]]:
    """Put files in the place of images at either end of a function."""
    function = getattr(functions, name)

    def variant(**inputs):
        if from_files:
            for image, file in _FILES.items():
                if file in inputs:
                    inputs[image] = functions.from_files(file, inputs.pop(file))
        results = function(**inputs)
        if to_files:
            results = {"image_bytes": functions.to_files(results["image"])}
        return results

    return variant


def _trace(config: config_lib.ModelConfig, function: Callable, inputs: list[str]):
    images, numbers = [None, *config.image_shape], tf.TensorSpec([None], tf.float32)
    kinds = {
        **dict.fromkeys(("image", "start", "end"), tf.TensorSpec(images, tf.float32)),
        **dict.fromkeys(("weight", "temperature", "strength"), numbers),
        "z": tf.TensorSpec([None, config.z_dim], tf.float32),
        "seed": tf.TensorSpec([None], tf.int64),
    }
    text = tf.TensorSpec([None], tf.string)
    specs = {i: tf.TensorSpec.from_spec(kinds.get(i, text), name=i) for i in inputs}
    traced = tf.function(function)
    return traced.get_concrete_function(**specs)
