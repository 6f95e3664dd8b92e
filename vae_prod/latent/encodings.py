"""Latent points of whole data sets, streamed to disk and read from there."""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import BinaryIO

import attrs
import numpy as np
import tensorflow as tf

from pipelines import documents, files, npy
from vae_prod.core import artefacts
from vae_prod.model import codec as codec_lib

KEYS = "keys.txt"
# What is kept of the annotations, and the type it is kept in.
_ANNOTATIONS = {"label": np.int64, "attributes": np.uint8}


def encode_to_disk(
    codec: codec_lib.Codec,
    batches: tf.data.Dataset,
    num_images: int,
    out: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    made: Mapping | None = None,
) -> None:
    """Encode batches into `out`, written aside first and then under its name.

    Memory is that of one batch, whatever the number of images.

    Args:
        codec: The trained model.
        batches: Dicts with `image` uint8 [B, H, W, C], `key` string [B] and, where
            there are any, `label` [B] and `attributes` (0 or 1) [B, A].
        num_images: Images in all batches together.
        out: Folder for `z_mean.npy` and, of a VAE, `z_log_var.npy` (float32
            [num_images, z_dim]), `label.npy` (int64 [num_images]), `attributes.npy`
            (uint8 [num_images, A]), `keys.txt`, `made.json` and their digests; an
            older one is replaced.
        on_progress: Called with (images done, images in all).
        made: How the points are made, for `made.json`; the number of images and the
            digest of the model's weights are added.

    Raises:
        UserError: There are fewer images, or none, or `out` can't be written.
    """
    arrays, done = {}, 0
    with files.new_folder(out) as aside:
        with contextlib.ExitStack() as stack:
            keys = stack.enter_context(
                open(os.path.join(aside, KEYS), "w", encoding="utf-8")
            )
            for batch in batches:
                for name, rows in _rows(codec, batch).items():
                    if name not in arrays:
                        path = os.path.join(aside, f"{name}.npy")
                        arrays[name] = stack.enter_context(open(path, "wb"))
                        _write_header(arrays[name], rows, num_images)
                    arrays[name].write(rows.tobytes())
                keys.writelines(f"{key.decode()}\n" for key in batch["key"].numpy())
                done += len(batch["image"])
                on_progress(done, num_images)
        if not done or done != num_images:
            raise files.UserError(
                f"Expected {num_images or 'some'} images to encode, received {done}."
            )
        counted = {"num_images": num_images, "model": codec.weights_digest()}
        artefacts.write_made(aside, {**(made or {}), **counted})


def _rows(codec: codec_lib.Codec, batch: dict) -> dict[str, np.ndarray]:
    kinds = {name: kind for name, kind in _ANNOTATIONS.items() if name in batch}
    annotations = {name: batch[name].numpy().astype(k) for name, k in kinds.items()}
    posterior = codec.encode(batch["image"])
    return {k: v.astype(np.float32) for k, v in posterior.items()} | annotations


def _write_header(file: BinaryIO, rows: np.ndarray, count: int) -> None:
    """Begin a `.npy` file of `count` such rows; they are written after it, in order.

    A full disk is an error then; of a file that is mapped, it is the process's end.
    """
    header = np.lib.format.header_data_from_array_1_0(rows)
    shape = (count, *rows.shape[1:])
    in_order = {"shape": shape, "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, header | in_order)


@attrs.frozen(eq=False)
class Encoding:
    """The encoded images of a split, as arrays that stay on disk.

    Attributes:
        z_mean: float32 [N, z_dim].
        z_log_var: float32 [N, z_dim]; None of an autoencoder.
        label: int64 [N]; None where the data set has no labels.
        attributes: uint8 [N, A], 0 or 1; None where it has none.
        made: How the points were made: `model`, the digest of the weights, and what
            the program added, such as `label_names` and `attribute_names`.
    """

    z_mean: np.ndarray
    z_log_var: np.ndarray | None
    label: np.ndarray | None
    attributes: np.ndarray | None
    made: dict


def open_encoding(path: str, remedy: str) -> Encoding:
    """Open what `encode_to_disk` wrote, mapped into memory.

    Args:
        path: The folder.
        remedy: What to do where it is missing or damaged.

    Raises:
        UserError: There is no such folder, or it can't be read.
    """
    if not os.path.isdir(path):
        raise files.UserError(
            f"Expected encoded images in {path}, found none. {remedy}"
        )

    def mapped(name: str) -> np.ndarray | None:
        file = os.path.join(path, f"{name}.npy")
        return npy.mapped(file) if os.path.exists(file) else None

    try:
        made = artefacts.read_made(path)
        z_mean = npy.mapped(os.path.join(path, "z_mean.npy"))
        optional = {name: mapped(name) for name in ("z_log_var", *_ANNOTATIONS)}
        _check_alike(z_mean, **optional)
        documents.build(str, made.get("model"), "the model's digest")
        return Encoding(z_mean=z_mean, made=made, **optional)
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected encoded images in {path}, they can't be read ({error}). {remedy}"
        ) from error


def _check_alike(z_mean, z_log_var, label, attributes) -> None:
    """Refuse arrays that aren't of the same images.

    Raises:
        ValueError: Naming one.
    """
    count = len(z_mean) if z_mean.ndim == 2 else -1
    expected = {"z_mean": z_mean.shape, "z_log_var": z_mean.shape, "label": (count,)}
    columns = attributes.shape[1:] if attributes is not None else ()
    expected["attributes"] = (count, *columns)
    arrays = (z_mean, z_log_var, label, attributes)
    for (name, shape), array in zip(expected.items(), arrays, strict=True):
        if array is not None and (count < 1 or array.shape != shape):
            raise ValueError(f"{name} is {list(array.shape)}, not one row an image")
