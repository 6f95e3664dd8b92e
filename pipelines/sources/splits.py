"""Splits: their names as data sets spell them, and which images are in each."""

import re
from collections.abc import Sequence

import numpy as np

from pipelines import config as config_lib
from pipelines import files
from pipelines.converting import source as source_lib

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}
_BORDERS = re.compile(r"[-_. ]+")


def of_word(word: str) -> str | None:
    """Return the split that a word names, in any case, if it is one of `WORDS`."""
    return WORDS.get(word.strip().lower())


def of_name(name: str) -> str | None:
    """Return the split that a name speaks of: `x_val`, `train-00000-of-00003`."""
    named = (of_word(part) for part in _BORDERS.split(name))
    return next(filter(None, named), None)


def of_path(path: str) -> str | None:
    """Return the split that a path speaks of: its last part, or else a folder."""
    *folders, name = path.split("/")
    return of_name(name) or of_folders(folders)


def of_folders(folders: list[str]) -> str | None:
    """Return the split that the innermost folder of such a name stands for."""
    return next(filter(None, map(of_word, reversed(folders))), None)


def assign(
    config: config_lib.ConvertConfig,
    keys: Sequence[str],
    named: Sequence[str | None],
    partition: np.ndarray | None,
    identities: np.ndarray | None,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Find out which images are in each split.

    Args:
        config: Uses `split_by`, and `split_ratios` and `seed` where nothing else tells.
        keys: Unique name of each image.
        named: The split that its place speaks of, or None; used if there are several.
        partition: The split that a column gives it, int [num_images], which has
            precedence; or None.
        identities: The number of each image's person, int [num_images, 1], or None.

    Returns:
        Split name to ascending positions in `keys`, and a warning where the only split
        that is spoken of is divided.

    Raises:
        UserError: Of some images the place speaks of several splits, of others of
            none; or the persons that should decide aren't known.
    """
    if config.split_by != "source":
        if config.split_by == "identity":
            if identities is None:
                raise files.UserError(
                    "Expected a source that numbers its persons for "
                    "--split_by=identity, this one doesn't; choose another --split_by."
                )
            keys = [str(number) for number in identities[:, 0].tolist()]
        return source_lib.hash_splits(keys, config.split_ratios, config.seed), []
    found = sorted({name for name in named if name})
    if partition is not None:
        return source_lib.partition_splits(partition), []
    if len(found) > 1:
        if None in named:
            raise files.UserError(
                f"Expected every image in a place named as a split, as there are "
                f"places of {', '.join(found)}, received {keys[named.index(None)]!r} "
                "outside of them; move, rename or remove it."
            )
        numbers = np.array([source_lib.SPLITS.index(name) for name in named], np.int8)
        return source_lib.partition_splits(numbers), []
    splits = source_lib.hash_splits(keys, config.split_ratios, config.seed)
    warning = (
        f"There are images of the split {''.join(found)} and of no other: they are "
        "divided by --split_ratios."
    )
    return splits, [warning] if found else []
