"""Artefacts on disk: folders of arrays that say how they were made."""

import json
import os
from collections.abc import Mapping

import numpy as np

from pipelines import documents, files, npy
from vae_prod.core import seals

MADE = "made.json"
ARRAYS = "arrays.npz"


def write_made(folder: str, made: Mapping) -> None:
    """Write how a folder's content was made, and seal it."""
    with open(os.path.join(folder, MADE), "w") as file:
        file.write(json.dumps(made, indent=1) + "\n")
    seals.write(folder)


def read_made(folder: str) -> dict:
    """Read how a folder's content was made, and compare all of it with its seal.

    Raises:
        OSError, ValueError: It can't be read, or is damaged.
    """
    if seals.is_sealed(folder) and (damage := seals.damage(folder)):
        raise ValueError(damage)
    made = documents.read(os.path.join(folder, MADE), finite=False)
    return documents.build(dict, made, MADE)


def save(path: str, arrays: Mapping[str, np.ndarray], made: Mapping) -> None:
    """Write arrays and how they were made to a folder; an older one is replaced."""
    with files.new_folder(path) as aside:
        npy.write_archive(os.path.join(aside, ARRAYS), arrays)
        write_made(aside, made)


def load(path: str, what: str, remedy: str) -> tuple[dict[str, np.ndarray], dict]:
    """Read what `save` wrote.

    Args:
        path: The folder.
        what: What it holds, for the error's sentence.
        remedy: What to do where it is missing or damaged.

    Returns:
        The arrays by name, and how they were made.

    Raises:
        UserError: There is no such folder, or it can't be read.
    """
    if not os.path.isdir(path):
        raise files.UserError(f"Expected {what} in {path}, found none. {remedy}")
    try:
        made = read_made(path)
        return npy.read_archive(os.path.join(path, ARRAYS)), made
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected {what} in {path}, it can't be read ({error}). {remedy}"
        ) from error
