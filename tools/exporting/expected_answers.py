"""What a run's own model answers to requests, to compare an export with."""

import numpy as np

from pipelines.reading import dataset
from tools import models, runs
from vae_prod.latent import samplers, sampling
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description as description_lib
from vae_prod.serving import record as record_lib
from vae_prod.training import run_directory

_HELD_OUT = ("test", "validation", dataset.TRAIN_SPLIT)
_SEED = 1


def record(
    path: str,
    run: run_directory.Run,
    model: vae_lib.VAE,
    described: description_lib.Description,
    data_dir: str,
    count: int,
) -> None:
    """Record the answers of a model in training's own process.

    They come from the codec and the samplers that the other programs use, not from the
    signatures: encode, reconstruct and interpolate of held-out images, decode and
    generate of as many points of the prior.

    Args:
        path: The `.npz` file to write, for `replay.read`.
        run: The run's settings.
        model: Its model.
        described: What the export says of itself.
        data_dir: Converted data set; empty: the run's own.
        count: Images at most.
    """
    codec = codec_lib.from_model(model)
    images = _images(run, data_dir, min(count, described.max_batch))
    count = len(images)
    encoded = codec.encode(images)
    seeds = np.arange(count, dtype=np.int64)
    z = sampling.prior(seeds, codec.z_dim).numpy()
    weight = np.linspace(0, 1, count, dtype=np.float32)
    between = (1 - weight[:, None]) * encoded["z_mean"]
    between += weight[:, None] * encoded["z_mean"][::-1]
    drawn = {
        "seed": seeds,
        "temperature": np.ones(count, np.float32),
        "sampler": np.array([samplers.PRIOR] * count, "S"),
    }
    decode = codec.decode
    answers = {
        "encode": ({"image": images}, encoded),
        "decode": ({"z": z}, {"image": decode(z)}),
        "generate": (drawn, {"image": decode(z)}),
        "reconstruct": ({"image": images}, {"image": decode(encoded["z_mean"])}),
        "interpolate": (
            {"start": images, "end": images[::-1], "weight": weight},
            {"image": decode(between)},
        ),
    }
    record_lib.save(path, answers)


def _images(run: run_directory.Run, data_dir: str, count: int) -> np.ndarray:
    """Return held-out images, float32 [count, H, W, C] in [0, 1]."""
    _, manifest = runs.open_data(run, data_dir)
    split = next(s for s in _HELD_OUT if s in manifest.splits)
    chosen = models.choose_images(run, data_dir, split, count, _SEED)
    return chosen["image"].astype(np.float32) / np.float32(255)
