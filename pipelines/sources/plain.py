"""A plain folder or zip of images, at any depth: `--source=PATH`."""

import hashlib
import os
from collections.abc import Iterator

import numpy as np

from pipelines.convert import images
from pipelines.convert import source as source_lib
from pipelines.sources import request as request_lib


def recognises(request: request_lib.Request) -> bool:
    """Say whether there is anything at the path: whatever it is has to hold images."""
    return os.path.exists(request.source)


def open_images(request: request_lib.Request) -> source_lib.Source:
    """Open a folder or zip of images, in order of their paths.

    The digest covers names and sizes, in a zip checksums too.

    Raises:
        UserError: A file that is no zip archive, or one that is damaged or unsafe.
    """
    tree, config = request.tree, request.config
    names = [n for n in tree.sizes if n.lower().endswith(images.SUFFIXES)]

    def read(_: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        for position in positions.tolist():
            yield source_lib.Stored(names[position], tree.picture(names[position]))

    prints = "".join(f"{n}\t{tree.fingerprint(n)}\n" for n in names)
    return source_lib.Source(
        name=request.name,
        digest=hashlib.sha256(prints.encode()).hexdigest(),
        splits=source_lib.hash_splits(names, config.split_ratios, config.seed),
        read=read,
    )
