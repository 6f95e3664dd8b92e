"""A tiny export that tests share: they read it, none writes to it."""

import atexit
import functools
import json
import os
import shutil
import tempfile
from unittest import mock

import attrs
import numpy as np

from tests.vae_prod import tiny
from vae_prod.latent import densities
from vae_prod.model import vae
from vae_prod.serving import export, formats, functions, pictures, signatures

SHAPE = (8, 8, 3)


def preparation(**changes) -> pictures.Preparation:
    """Return a preparation for the tiny model."""
    settings = {"shape": SHAPE, "stored": (8, 8), "crop": "square", "pad": False}
    return pictures.Preparation(**{**settings, "resample": "lanczos", **changes})


def extras(**changes) -> functions.Extras:
    """Return something of all that can be served beside the tiny model."""
    points = np.random.default_rng(0).normal(2.0, 0.5, (64, 3))
    settings = {
        "preparation": preparation(),
        "samplers": {"gaussian": densities.fit_gaussian(points)},
        "vectors": {"Smiling": np.array([1.0, -1.0, 2.0]), "Young": np.ones(3)},
        "max_batch": 64,
    }
    return functions.Extras(**{**settings, **changes})


@functools.cache
def exported() -> str:
    """Return the folder of a version with all signatures, made once a process."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    model = tiny.model("mixed_bfloat16")
    files = {"config.json": b"{}", "deeper/file": b"1"}
    return export.export(model, os.path.join(folder, "faces"), extras(), files=files)


def little(*more: str):
    """Return a context in which exports take less time.

    They have encode, decode, reconstruct and the named signatures alone.
    """
    names = ("encode", "decode", "reconstruct", *more)
    inputs = {name: signatures.INPUTS[name] for name in names}
    return mock.patch.object(signatures, "INPUTS", inputs)


def export_little(model: vae.VAE, directory: str) -> str:
    """Export a model in that context."""
    with little():
        return export.export(model, directory, extras(samplers={}, vectors={}))


def write_converted(folder: str, kind, model: vae.VAE, variant: str = "float32") -> str:
    """Write a model in another format; return the folder.

    Args:
        folder: Where to.
        kind: The format's module.
        model: The model.
        variant: Written beside `float32`.
    """
    converted = kind.convert(model, {"float32", variant})
    facts = {formats.DIGEST: "of the weights", formats.VARIANCE: 0.5}
    beside = {
        formats.CONFIG: {"model": attrs.asdict(model.config)},
        formats.VERIFIED: facts | {formats.FILES: formats.digests(converted)},
    }
    texts = {name: json.dumps(values).encode() for name, values in beside.items()}
    for name, data in (converted | texts).items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    return folder
