"""Seals: the digests of a folder's files, beside them, by which damage is found.

`digests.json` holds the sha256 of each file; it is written last, before the folder gets
its name.
"""

import json
import os
from collections.abc import Collection

from pipelines import documents, files

NAME = "digests.json"


def write(folder: str) -> None:
    """Write the digests of all files in a folder."""
    digests = {
        name: files.sha256(os.path.join(folder, name))
        for name in sorted(os.listdir(folder))
    }
    with open(os.path.join(folder, NAME), "w") as file:
        file.write(json.dumps(digests, indent=1) + "\n")


def is_sealed(folder: str) -> bool:
    """Say whether a folder has a seal."""
    return os.path.isfile(os.path.join(folder, NAME))


def damage(folder: str, names: Collection[str] = ()) -> str:
    """Say what isn't as it was when the folder was sealed; empty: nothing.

    Args:
        folder: The folder.
        names: Files to look at; empty: all that were sealed.
    """
    if not is_sealed(folder):
        return f"{NAME} is missing"
    try:
        values = documents.read(os.path.join(folder, NAME))
        digests = documents.build(dict[str, str], values, "what it holds")
    except (OSError, ValueError) as error:
        return f"{NAME} can't be read: {error}"
    for name in names or digests:
        path = os.path.join(folder, name)
        if "/" in name or not os.path.isfile(path):
            return f"{name} is missing"
        try:
            if files.sha256(path) != digests.get(name):
                return f"{name} isn't what was written"
        except OSError as error:
            return f"{name} can't be read: {error.strerror}"
    return ""
