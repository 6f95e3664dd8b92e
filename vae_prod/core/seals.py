"""Seals: the digests of a folder's files, beside them, by which damage is found.

`digests.json` holds the sha256 of each file; it is written last, before the folder gets
its name.
"""

import json
import os
from collections.abc import Collection

from pipelines import files

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
    try:
        with open(os.path.join(folder, NAME)) as file:
            digests = json.load(file)
        for name in names or digests:
            if files.sha256(os.path.join(folder, name)) != digests[name]:
                return f"{name} isn't what was written"
    except FileNotFoundError as error:
        return f"{os.path.basename(error.filename)} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{NAME} can't be read: {error}"
    return ""
