"""A trained model with its settings, from a run directory or an export."""

import os

import attrs
import numpy as np

from pipelines import files as files_lib
from pipelines.reading import data_set, dataset
from tools import flags, runs
from vae_prod.evaluation import judge as judge_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description, opening
from vae_prod.training import batch_norm, run_directory


def load_model(
    run_dir: str, which: str = "best", recompute_batch_norm: int = 0
) -> tuple[run_directory.Run, vae_lib.VAE]:
    """Load a run's trained model, in float32.

    Args:
        run_dir: The run directory.
        which: `best` or `last` weights.
        recompute_batch_norm: Training batches over which batch-norm statistics are
            recomputed; 0: the moving statistics as they were saved.

    Raises:
        UserError: There is no such run, or it has no such weights yet.
        UserError: Statistics are to be recomputed, and the run's data is gone.
    """
    run = runs.load(run_dir)
    model = run_directory.load_model(run_dir, run, which)
    if recompute_batch_norm:
        data_dir, manifest = runs.open_data(run)
        batches = dataset.train_batches(data_dir, manifest, run.data)
        batch_norm.recompute(model, batches.take(recompute_batch_norm))
    return run, model


def settings_files(run_dir: str) -> dict[str, bytes]:
    """Read the files that say how a run was made, by name."""
    files = {}
    for name in ("config.json", "flags.txt"):
        with open(os.path.join(run_dir, name), "rb") as file:
            files[name] = file.read()
    return files


@attrs.frozen
class Trained:
    """A trained model with the settings it was made with, from a run or an export.

    Attributes:
        out: Where what is made from it goes: the run directory, or the working
            directory for an export, which is finished.
        run: Its settings.
        codec: Its encoder and decoder.
    """

    out: str
    run: run_directory.Run
    codec: codec_lib.Codec


def open_trained(values: flags.flags.FlagValues) -> Trained:
    """Open a run's weights or an export, as the flags of `flags.add_trained` say.

    Raises:
        UserError: Not exactly one of them is given, or it can't be read.
    """
    run_dir, export_dir = values.run_dir, values.export_dir
    if bool(run_dir) == bool(export_dir):
        raise files_lib.UserError(
            "Expected one of --run_dir and --export_dir, received "
            f"{'both' if run_dir else 'neither'}."
        )
    if run_dir:
        run, model = load_model(run_dir, values.weights, values.recompute_batch_norm)
        return Trained(run_dir, run, codec_lib.from_model(model))
    codec = opening.open_export(export_dir)
    settings = os.path.join(export_dir, description.EXTRA)
    return Trained("", runs.load(settings), codec)


def choose_judge(
    run: run_directory.Run,
    data_dir: str,
    split: str,
    judge: str,
    recogniser: str = "none",
) -> judge_lib.Choice:
    """Decide who judges a model's images, and print why; see `evaluation.judge`.

    Args:
        run: Whose data it is.
        data_dir: Where it lies.
        split: Of the real images to look at.
        judge: As --judge has it.
        recogniser: As --recognise has it.
    """
    images = choose_images(run, data_dir, split, judge_lib.NUM_IMAGES, seed=1)
    real = images.get("target", images["image"])
    choice = judge_lib.choose(judge, recogniser, real)
    if choice.reason:
        print(choice.reason, flush=True)
    return choice


def choose_images(
    run: run_directory.Run, data_dir: str, split: str, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Pick images of a split at random, always the same for the same seed.

    Returns:
        `image` and, where the run corrupts its input, `target`: uint8 [count, H, W,
        C], fewer where the split is smaller.
    """
    data_dir, manifest = runs.open_data(run, data_dir)
    total = manifest.split(split).num_examples
    picked = np.random.default_rng(seed).permutation(total)[:count]
    with data_set.reading(data_dir):
        return dataset.examples(data_dir, manifest, split, picked, run.data)
