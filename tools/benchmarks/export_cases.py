"""The formats that tools.benchmark_export compares, and how one is measured.

`write` makes all of them of one model, in a folder; `measure` opens one, in a process
that has opened nothing else, and answers the same questions with it.
"""

import json
import os
import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import tensorflow as tf

from vae_prod import config as config_lib
from vae_prod.latent import sampling
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import (
    export,
    formats,
    functions,
    onnx_format,
    pictures,
    tflite_format,
)
from vae_prod.training import weights

_KINDS = {"tflite": tflite_format, "onnx": onnx_format}
_WEIGHTS, _ANSWERS = "vae.weights.h5", "answers.npz"
# Images and points whose answers are compared.
_NUM_COMPARED = 8


@attrs.frozen
class Opened:
    """A model ready to answer, in NumPy's arrays.

    Attributes:
        encode: float32 [B, H, W, C] to tensors by name.
        decode: float32 [B, z_dim] to images.
        generate: int64 [B], seeds, to images.
    """

    encode: Callable[[np.ndarray], dict[str, np.ndarray]]
    decode: Callable[[np.ndarray], np.ndarray]
    generate: Callable[[np.ndarray], np.ndarray]


@attrs.frozen
class Setting:
    """What one run measures.

    Attributes:
        format: `keras`, `saved_model`, `onnx` or `tflite`, the latter also with
            `_VARIANT`.
        folder: What `write` has filled.
        batch_size: Seeds of a call of `generate`.
        calls: Calls of `decode` and of `encode` that count.
        batches: Calls of `generate` that count.
        threads: Threads that compute; 0: as many as there are cores.
    """

    format: str
    folder: str
    batch_size: int
    calls: int
    batches: int
    threads: int = 0


@attrs.frozen
class Figures:
    """What one run has found.

    Attributes:
        decode_ms: Milliseconds of `decode` for one point: median and 95th percentile.
        encode_ms: The same of `encode` for one image.
        images_per_second: Of `generate`, by the median of its calls.
        load_seconds: To open the model and have the first point decoded, the imports
            not counted.
        disk_mb: Size of its files.
        differences: Name of an output to the largest absolute difference from the
            Keras model's.
    """

    decode_ms: tuple[float, float]
    encode_ms: tuple[float, float]
    images_per_second: float
    load_seconds: float
    disk_mb: float
    differences: dict[str, float]


def write(model: vae_lib.VAE, folder: str, chosen: Sequence[str]) -> None:
    """Write a model in the formats that are to be measured, and its answers.

    Args:
        model: Of float32.
        folder: Where to.
        chosen: Names of formats.

    Raises:
        UserError: tf2onnx is needed and missing.
    """
    _write_json(folder, formats.CONFIG, {"model": attrs.asdict(model.config)})
    weights.save(model, os.path.join(folder, _WEIGHTS))
    converted = {}
    if any(name.startswith("tflite") for name in chosen):
        converted |= tflite_format.convert(model)
    if "onnx" in chosen:
        converted |= onnx_format.convert(model)
    for name, data in converted.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    digests = formats.digests(converted)
    beside = {formats.DIGEST: "", formats.VARIANCE: None, formats.FILES: digests}
    _write_json(folder, formats.VERIFIED, beside)
    if "saved_model" in chosen:
        shape = model.config.image_shape
        preparation = pictures.Preparation(shape, shape[:2], "none", False, "lanczos")
        export.export(model, _export_dir(folder), functions.Extras(preparation))
    image, z = _questions(model.config, _NUM_COMPARED)
    codec = codec_lib.from_model(model)
    answers = codec.encode(image) | {"image": codec.decode(z)}
    np.savez(os.path.join(folder, _ANSWERS), **answers)


def measure(setting: Setting) -> Figures:
    """Measure one format; see `Figures`."""
    config = _config(setting.folder)
    image, z = _questions(config, _NUM_COMPARED)
    begun = time.perf_counter()
    opened = _open(setting)
    opened.decode(z[:1])
    load_seconds = time.perf_counter() - begun
    seeds = np.arange(setting.batch_size)
    decode = _milliseconds(lambda: opened.decode(z[:1]), setting.calls)
    encode = _milliseconds(lambda: opened.encode(image[:1]), setting.calls)
    generate = _milliseconds(lambda: opened.generate(seeds), setting.batches)
    outputs = opened.encode(image) | {"image": opened.decode(z)}
    answers = np.load(os.path.join(setting.folder, _ANSWERS))
    return Figures(
        tuple(np.percentile(decode, [50, 95]).tolist()),
        tuple(np.percentile(encode, [50, 95]).tolist()),
        setting.batch_size / np.median(generate).item() * 1e3,
        load_seconds,
        sum(map(os.path.getsize, _files(setting))) / 1e6,
        {name: np.abs(outputs[name] - answers[name]).max().item() for name in answers},
    )


def _milliseconds(call: Callable[[], object], times: int) -> list[float]:
    """Return how long each call takes, after one that doesn't count."""
    call()
    durations = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        durations.append((time.perf_counter() - begun) * 1e3)
    return durations


def _open(setting: Setting) -> Opened:
    if setting.format == "keras":
        return _open_keras(setting.folder)
    if setting.format == "saved_model":
        return _open_saved_model(setting.folder)
    name, _, variant = setting.format.partition("_")
    codec = _KINDS[name].open_codec(
        setting.folder, variant or "float32", setting.threads
    )
    return _with_prior(codec, _config(setting.folder))


def _open_keras(folder: str) -> Opened:
    config = _config(folder)
    model = vae_lib.VAE(config)
    model.load_weights(os.path.join(folder, _WEIGHTS))
    return _with_prior(codec_lib.from_model(model), config)


def _with_prior(codec: codec_lib.Codec, config: config_lib.ModelConfig) -> Opened:
    """Draw z beside what only decodes."""

    def generate(seeds):
        z = sampling.prior(seeds, config.z_dim)
        return codec.decode(z.numpy())

    return Opened(codec.encode, codec.decode, generate)


def _open_saved_model(folder: str) -> Opened:
    loaded = tf.saved_model.load(os.path.join(_export_dir(folder), "1"))

    def call(name, **inputs):
        outputs = loaded.signatures[name](**inputs)
        return {key: tensor.numpy() for key, tensor in outputs.items()}

    def generate(seeds):
        temperature, sampler = tf.ones(len(seeds)), tf.fill([len(seeds)], "prior")
        seeds = tf.constant(seeds)
        inputs = {"seed": seeds, "temperature": temperature, "sampler": sampler}
        return call("generate", **inputs)["image"]

    return Opened(
        lambda image: call("encode", image=tf.constant(image)),
        lambda z: call("decode", z=tf.constant(z))["image"],
        generate,
    )


def _files(setting: Setting) -> list[str]:
    """Return the files that a format consists of."""
    if setting.format == "keras":
        return [os.path.join(setting.folder, _WEIGHTS)]
    if setting.format == "saved_model":
        walk = os.walk(_export_dir(setting.folder))
        return [
            os.path.join(folder, name) for folder, _, names in walk for name in names
        ]
    name, _, variant = setting.format.partition("_")
    return [
        os.path.join(
            setting.folder, _KINDS[name].file_name(network, variant or "float32")
        )
        for network in formats.NETWORKS
    ]


def _questions(
    config: config_lib.ModelConfig, num: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return always the same images and points, float32 [num, ...]."""
    rng = np.random.default_rng(1)
    image = rng.uniform(size=(num, *config.image_shape)).astype(np.float32)
    return image, rng.normal(size=(num, config.z_dim)).astype(np.float32)


def _config(folder: str) -> config_lib.ModelConfig:
    with open(os.path.join(folder, formats.CONFIG)) as file:
        return config_lib.ModelConfig(**json.load(file)["model"])


def _export_dir(folder: str) -> str:
    return os.path.join(folder, "export")


def _write_json(folder: str, name: str, values) -> None:
    with open(os.path.join(folder, name), "w") as file:
        json.dump(values, file)
