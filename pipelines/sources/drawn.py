"""The built-in faces, drawn by the workers: `--source=faces`."""

import hashlib
from collections.abc import Iterator

import attrs
import numpy as np

from pipelines import faces
from pipelines.converting import images
from pipelines.converting import source as source_lib
from pipelines.sources import request as request_lib

NUM_FACES = 4096


@attrs.frozen
class Drawn:
    """A built-in face, drawn where it is loaded."""

    key: str
    index: int
    seed: int

    def load(self) -> tuple[images.Picture, source_lib.Annotations]:
        """Draw the face; its annotations come with it."""
        face = faces.draw(self.index, self.seed)
        annotations = {
            "attributes": face.attributes,
            "landmarks": face.landmarks,
            "identity": (face.identity,),
        }
        return face.image, annotations


def recognises(request: request_lib.Request) -> bool:
    """Say whether the faces are asked for."""
    return request.source == "faces"


def open_faces(request: request_lib.Request) -> source_lib.Source:
    """Open the built-in faces, `config.limit` of them (0: 4,096).

    The digest covers number, seed and the look of the first face.
    """
    num, seed = request.config.limit or NUM_FACES, request.config.seed
    keys = [f"{index + 1:06d}.jpg" for index in range(num)]

    def read(_: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        for index in positions.tolist():
            yield Drawn(keys[index], index, seed)

    partition = np.array([faces.partition(index) for index in range(num)])
    digest = hashlib.sha256(f"{num} {seed}".encode())
    digest.update(faces.draw(0, seed).image.tobytes())
    return source_lib.Source(
        name="faces",
        digest=digest.hexdigest(),
        splits=source_lib.partition_splits(partition),
        read=read,
        grey=False,
        attributes=tuple(faces.ATTRIBUTE_NAMES),
        landmarks=tuple(faces.LANDMARK_NAMES),
        identity=True,
    )
