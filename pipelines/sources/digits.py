"""Scikit-learn's handwritten digits: `--source=digits`."""

import hashlib
from collections.abc import Iterator

import numpy as np

from pipelines.converting import source as source_lib
from pipelines.sources import request as request_lib


def recognises(request: request_lib.Request) -> bool:
    """Say whether the digits are asked for."""
    return request.source == "digits"


def open_digits(request: request_lib.Request) -> source_lib.Source:
    """Open scikit-learn's 1,797 digits, uint8 [8, 8], labelled 0 to 9."""
    from sklearn import datasets  # A second to import: only when it is needed.

    digits = datasets.load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    keys = [f"{position:04d}" for position in range(len(pixels))]

    def read(_: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        for position in positions.tolist():
            label = [int(digits.target[position])]
            yield source_lib.Stored(keys[position], pixels[position], {"label": label})

    config = request.config
    return source_lib.Source(
        name="digits",
        digest=hashlib.sha256(pixels.tobytes()).hexdigest(),
        splits=source_lib.hash_splits(keys, config.split_ratios, config.seed),
        read=read,
        grey=True,
        label_names=tuple(str(digit) for digit in range(10)),
    )
