"""What all formats other than the SavedModel have in common.

A folder holds the two networks, a file each, and what belongs to them:

    encoder.*      image  -> z_mean, z_log_var (of an autoencoder: z_mean)
    decoder.*      z      -> image
    config.json    the run's settings
    verified.json  which weights they are, the networks' digests, how far each variant
                   is from the SavedModel

`image` is float32 [B, H, W, C] in [0, 1], the others are float32 [B, z_dim]; B is free.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from pipelines import documents
from pipelines import files as files_lib
from vae_prod import config as config_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import networks
from vae_prod.model import vae as vae_lib

NETWORKS = ("encoder", "decoder")
CONFIG, VERIFIED = "config.json", "verified.json"
# Of `VERIFIED`: the weights that were converted, and the variance of their likelihood,
# as `Codec` has them; the sha256 of each network's file.
DIGEST, VARIANCE, FILES = "weights_digest", "variance", "files"
_REMEDY = "Convert the run again, or mend the path."

# From the inputs of a network to its outputs, float32 [B, ...], by name.
Network = Callable[[np.ndarray], dict[str, np.ndarray]]


def freeze(
    model: vae_lib.VAE,
    decoder_form: Callable[[keras.Model], keras.Model] = lambda decoder: decoder,
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Make functions of a model's networks that no converter trips over.

    Weights become constants, for TFLite would keep variables and lose their values.
    The names of custom gradients go: only this process knows what they mean.

    Args:
        model: Converted in float32.
        decoder_form: Gives the decoder the form in which it is converted.

    Returns:
        `encoder` and `decoder`, each of one tensor to tensors by name.
    """
    model = model.with_precision("float32")
    config, decoder = model.config, decoder_form(model.decoder)
    image = tf.TensorSpec([None, *config.image_shape], tf.float32, "image")
    z = tf.TensorSpec([None, config.z_dim], tf.float32, "z")

    def encode(image):
        return dict(model.encoder(image, training=False))

    def decode(z):
        return {"image": networks.to_images(decoder(z, training=False))}

    return {"encoder": _constant(encode, image), "decoder": _constant(decode, z)}


def _constant(
    function: Callable, spec: tf.TensorSpec
) -> tf.types.experimental.GenericFunction:
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    names = sorted(traced.structured_outputs)  # As TensorFlow flattens a dict.
    frozen = convert_to_constants.convert_variables_to_constants_v2(traced)
    graph = frozen.graph.as_graph_def()
    for node in graph.node:
        node.attr.pop("_gradient_op_type", None)
    (placeholder,), wanted = frozen.inputs, [tensor.name for tensor in frozen.outputs]

    @tf.function(input_signature=[spec], autograph=False)
    def network(tensor):
        outputs = tf.graph_util.import_graph_def(
            graph, {placeholder.name: tensor}, wanted, name=""
        )
        return dict(zip(names, outputs, strict=True))

    return network


def open_codec(
    folder: str,
    files: Sequence[str],
    open_network: Callable[[str, int], Network],
    threads: int,
) -> codec_lib.Codec:
    """Make a codec of a folder's two networks.

    Args:
        folder: Where they lie, with `CONFIG` and `VERIFIED`.
        files: Names of the encoder's file and of the decoder's.
        open_network: Opens a file to be computed by so many threads.
        threads: Threads that compute; 0: as many as there are cores.

    Raises:
        UserError: One is missing or isn't what was converted, or what stands beside
            them can't be read.
    """
    threads = threads or len(os.sched_getaffinity(0))
    config = _read(folder, CONFIG, _Converted)["model"]
    verified = _read(folder, VERIFIED, _Verified)
    paths = [os.path.join(folder, name) for name in files]
    for path, name in zip(paths, files, strict=True):
        _require_whole(path, verified[FILES].get(name))
    encoder, decoder = (open_network(path, threads) for path in paths)

    def encode(images):
        scaled = vae_lib.scale_images(tf.convert_to_tensor(images))
        return encoder(scaled.numpy())

    def decode(z):
        return decoder(np.asarray(z, np.float32))["image"]

    return codec_lib.Codec(
        config.image_shape,
        config.z_dim,
        encode,
        decode,
        lambda: verified[DIGEST],
        verified[VARIANCE],
    )


def digests(converted: Mapping[str, bytes]) -> dict[str, str]:
    """Return what `VERIFIED` says of networks' files, under `FILES`.

    Args:
        converted: Names of files to their content.
    """
    return {name: hashlib.sha256(data).hexdigest() for name, data in converted.items()}


def _require_whole(path: str, digest: str | None) -> None:
    """Refuse a file that isn't what was converted, before an interpreter reads it.

    Interpreters end the process on some of what is no model.
    """
    if not os.path.isfile(path):
        found = "it is missing"
    elif digest is None:
        found = f"{VERIFIED} has no digest of it"
    elif files_lib.sha256(path) != digest:
        found = "it isn't what was written"
    else:
        return
    raise files_lib.UserError(
        f"Expected a network that tools.export converted in {path}, {found}. {_REMEDY}"
    )


class _Converted(typing.TypedDict):
    """What is read of `CONFIG`."""

    model: config_lib.ModelConfig


class _Verified(typing.TypedDict):
    """What is read of `VERIFIED`: `DIGEST`, `VARIANCE` and `FILES`."""

    weights_digest: str
    variance: float | None
    files: dict[str, str]


def _read(folder: str, name: str, kind):
    what = "what tools.export tells of a converted model"
    return documents.load(os.path.join(folder, name), kind, what, _REMEDY)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what converters and interpreters tell about themselves.

    They write to the file descriptor, past every setting of Python. What they wrote
    before an error comes out with it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                caught.seek(0)
                sys.stderr.write(caught.read().decode(errors="replace"))
