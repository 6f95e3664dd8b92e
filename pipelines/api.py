"""What people call who don't use the programs: convert images, read batches.

`pipelines` lists these names; `docs/api.md` shows them.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from pipelines import config as config_lib
from pipelines import shards, sources
from pipelines.converting import conversion, plan
from pipelines.reading import data_set


def convert(
    source: str,
    out: str,
    config: config_lib.ConvertConfig | None = None,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> shards.Manifest:
    """Convert images to checked shards, as `tools.convert_celeba` does.

    A conversion that was interrupted goes on; one that is there already is kept.

    Args:
        source: Where the images come from, as `--source` takes it: a folder, a zip,
            `faces`, `tfds:NAME`, ...
        out: Folder to write to, new or empty.
        config: What to make of them; None: the defaults, 96x96 JPEGs.
        workers: Processes; any number gives the same bytes. With more than 1, call it
            under `if __name__ == "__main__":`.
        on_progress: Called with (images done, images in all).

    Returns:
        The manifest: splits, form of the images, how they were made.

    Raises:
        UserError: There are no such images, they don't fit the settings, or `out`
            holds something else or has no room.
    """
    config = config or config_lib.ConvertConfig()
    opened = sources.open_source(source, config)
    if finished := conversion.find_finished(out, opened, config):
        return finished
    planned = plan.make_plan(opened, config)
    return conversion.convert(planned, out, workers, on_progress)


def train_batches(
    data_dir: str,
    config: config_lib.DataConfig | None = None,
    *,
    epoch: int = 0,
    step: int = 0,
) -> tf.data.Dataset:
    """Read the training split of a converted data set, epoch after epoch without end.

    Order, augmentation and corruption are functions of (seed, epoch, position) alone.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        config: How to read them; None: by the defaults.
        epoch: Epoch to begin in, from 0.
        step: Batches of it to leave out.

    Returns:
        Batches, dicts of `image` uint8 [B, H, W, C] and, where it is corrupted,
        `target`, the clean image.

    Raises:
        UserError: There is no data set, or not a batch in it.
    """
    return data_set.open_data(data_dir, config).train(epoch, step)


def eval_batches(
    data_dir: str,
    split: str,
    config: config_lib.DataConfig | None = None,
    *,
    fields: Sequence[str] = (),
) -> tf.data.Dataset:
    """Read a split of a converted data set once, in file order, not augmented.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        split: Name of the split.
        config: How to read it; None: by the defaults.
        fields: What to return beside the image: `label`, `attributes`, `key`, ...

    Returns:
        Batches as `train_batches` gives them; the last may be smaller.

    Raises:
        UserError: There is no data set, or it hasn't the split or a field.
    """
    return data_set.open_data(data_dir, config).batches(split, fields)
