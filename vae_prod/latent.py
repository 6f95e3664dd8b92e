"""Latent points of whole data sets, streamed."""

import os
import shutil
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vae_prod import codec as codec_lib


def encode_to_disk(
    codec: codec_lib.Codec,
    batches: tf.data.Dataset,
    num_images: int,
    out: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Encode batches into `out`, written aside first and then under its name.

    Memory is that of one batch, whatever the number of images.

    Args:
        codec: The trained model.
        batches: Dicts with `image` uint8 [B, H, W, C] and `key` string [B].
        num_images: Images in all batches together.
        out: Folder for `z_mean.npy` and, of a VAE, `z_log_var.npy` (float32
            [num_images, z_dim]) and `keys.txt`; an older one is replaced.
        on_progress: Called with (images done, images in all).
    """
    aside = f"{out.rstrip('/')}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    os.makedirs(aside)
    arrays, done = {}, 0
    with open(os.path.join(aside, "keys.txt"), "w") as keys:
        for batch in batches:
            posterior = codec.encode(batch["image"])
            size = len(batch["image"])
            for name, values in posterior.items():
                if name not in arrays:
                    arrays[name] = np.lib.format.open_memmap(
                        os.path.join(aside, f"{name}.npy"),
                        "w+",
                        np.float32,
                        (num_images, codec.z_dim),
                    )
                arrays[name][done : done + size] = values
            keys.writelines(f"{key.decode()}\n" for key in batch["key"].numpy())
            done += size
            on_progress(done, num_images)
    for array in arrays.values():
        array.flush()
    shutil.rmtree(out, ignore_errors=True)
    os.rename(aside, out)
