"""A model's folder of versions, from which a model server serves.

A model server takes each folder whose name is an integer for a version, as soon as it
is there. So a version gets its name when it is whole, and loses it before anything of
it is removed; whatever else lies beside them has other names.
"""

import contextlib
import os
from collections.abc import Iterator

from pipelines import files
from vae_prod.serving import description

_LOCK, _REMOVED = ".lock", ".removed"


def listed(directory: str) -> list[int]:
    """Return a model's versions, from the oldest to the newest."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return sorted(int(name) for name in names if name.isdigit())


def path_of(directory: str, version: int) -> str:
    """Return a version's folder."""
    return os.path.join(directory, str(version))


def is_good(path: str) -> bool:
    """Say whether a version is an export with all its files, as they were written."""
    try:
        return not description.damage(path, description.load(path))
    except (files.UserError, OSError):
        return False


@contextlib.contextmanager
def new(directory: str) -> Iterator[tuple[str, str]]:
    """Give a folder to write to; afterwards it gets the next free integer's name.

    Killed at any moment, earlier versions stay as they are and there is no new one;
    what was left is cleared away next time. One process at a time may write.

    Args:
        directory: The model's folder.

    Yields:
        The folder to write to, and the name that it will get.

    Raises:
        UserError: It can't be written, or another process writes.
    """
    with files.writing(directory):
        os.makedirs(directory, exist_ok=True)
    with _alone(directory):
        files.remove_leftovers(os.path.join(directory, _REMOVED))
        path = path_of(directory, max([0, *listed(directory)]) + 1)
        with files.new_folder(path) as aside:
            yield aside, path


def remove_old(directory: str, keep: int) -> list[int]:
    """Remove versions that are older than the newest `keep` good ones.

    What isn't good is never counted, so the newest good version always stays; what no
    export of this package is stays too.

    Args:
        directory: The model's folder.
        keep: Good versions to keep, at least 1.

    Returns:
        The versions that were removed.
    """
    with _alone(directory):
        versions = listed(directory)
        good = [v for v in versions if is_good(path_of(directory, v))]
        if len(good) < keep:
            return []
        oldest = good[-keep]
        removed = [v for v in versions if v < oldest and _is_ours(directory, v)]
        for version in removed:
            grave = os.path.join(directory, _REMOVED)
            files.remove_folder(path_of(directory, version), grave)
        return removed


def _is_ours(directory: str, version: int) -> bool:
    path = path_of(directory, version)
    return os.path.isfile(os.path.join(path, description.EXTRA, description.NAME))


def _alone(directory: str) -> contextlib.AbstractContextManager[None]:
    """Return a context in which this process alone changes the folder."""
    return files.locked(
        os.path.join(directory, _LOCK),
        f"Expected to be alone in writing to {directory}, another export is under way. "
        "Wait for its end.",
    )
