"""Procedural faces, alone or written as a complete CelebA tree.

Image `index` is a pure function of (seed, index): the same in whatever process, order
or number of workers. The formats are those of the files distributed with CelebA (Liu
et al., "Deep Learning Face Attributes in the Wild", 2015).
"""

import contextlib
import functools
import io
import json
import os
from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image

from pipelines import documents, files, folders
from pipelines.converting import workers as workers_lib
from pipelines.faces import drawing
from pipelines.faces import traits as traits_lib

ATTRIBUTE_NAMES = traits_lib.ATTRIBUTE_NAMES
LANDMARK_NAMES = tuple(
    f"{part}_{axis}"
    for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    for axis in "xy"
)
IMAGE_FOLDER = "img_align_celeba"
ANNOTATION_FILES = (
    "list_attr_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "list_bbox_celeba.txt",
    "identity_CelebA.txt",
    "list_eval_partition.txt",
)
# Says which seed and size a tree, finished or not, belongs to.
SETTINGS_FILE = "faces.json"
_JPEG_QUALITY = 92
_CHUNK_IMAGES = 32
# Raised whenever the same seed gives other pictures than before.
_VERSION = 2

OnProgress = Callable[[int, int], None]


@attrs.frozen(eq=False)
class Face:
    """One picture and its annotations.

    Attributes:
        traits: What is to be drawn.
        attributes: 40 zeros and ones in the order of `ATTRIBUTE_NAMES`.
        landmarks: 10 pixel coordinates in the order of `LANDMARK_NAMES`; left and
            right are those of the image.
        bbox: x, y, width and height of the face in pixels of this image.
        identity: number of the person, from 1.
    """

    traits: traits_lib.Traits
    attributes: tuple[int, ...]
    landmarks: tuple[int, ...]
    bbox: tuple[int, int, int, int]
    identity: int

    @functools.cached_property
    def image(self) -> np.ndarray:
        """The picture, uint8 [218, 178, 3], drawn when it is first asked for."""
        return drawing.draw(self.traits)


def draw(index: int, seed: int) -> Face:
    """Return image `index`, counted from 0 (the file 000001.jpg)."""
    traits = traits_lib.sample(index, seed)
    landmarks, bbox = drawing.locate(traits)
    return Face(
        traits=traits,
        attributes=traits.as_labels(),
        landmarks=landmarks,
        bbox=bbox,
        identity=traits_lib.identity(index),
    )


def partition(index: int) -> int:
    """Return 0 (train), 1 (validation) or 2 (test) for image `index`.

    All images of a person share a partition; of every ten people eight are for
    training, and ten consecutive images hold all three partitions.
    """
    return {8: 1, 9: 2}.get((traits_lib.identity(index) - 1) % 10, 0)


def write_tree(
    out: str,
    num_images: int,
    seed: int,
    workers: int = 0,
    on_progress: OnProgress = lambda done, total: None,
) -> bool:
    """Write faces as a CelebA tree, or what is missing of one interrupted before.

    The annotation files appear last, so a tree that has them is whole.

    Args:
        out: The folder; created if missing.
        num_images: How many images.
        seed: Seed of everything random.
        workers: Processes that draw; 0 is one per core.
        on_progress: Called with (images done, images in all).

    Returns:
        Whether anything was written; False where the same tree was already there.

    Raises:
        UserError: The settings or the folder can't be used.
    """
    with folders.alone(out, SETTINGS_FILE, "--out"):
        if _prepare(out, num_images, seed):
            return False
        _write_all(out, num_images, seed, workers or os.cpu_count() or 1, on_progress)
    return True


def _prepare(out: str, num_images: int, seed: int) -> bool:
    """Mark or check the folder; return whether the whole tree is already there."""
    settings = {"version": _VERSION, "num_images": num_images, "seed": seed}
    path = os.path.join(out, SETTINGS_FILE)
    if os.path.isfile(path):
        received = _read_settings(path)
        if received != settings:
            raise files.UserError(
                f"Expected {out!r} to be empty or to hold faces made with {settings}, "
                f"received faces made with {received}; choose another --out or delete "
                f"the folder."
            )
        return all(os.path.isfile(os.path.join(out, name)) for name in ANNOTATION_FILES)
    files.write(path, json.dumps(settings) + "\n")
    return False


def _read_settings(path: str):
    try:
        return documents.read(path)
    except ValueError:
        return "unreadable settings"


def _write_all(out, num_images, seed, workers, on_progress) -> None:
    """Write the images, and stream the annotations into files named at the end."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.join(out, IMAGE_FOLDER))
    with contextlib.ExitStack() as stack:
        tables = [
            stack.enter_context(files.open_new(os.path.join(out, name), "w"))
            for name in ANNOTATION_FILES
        ]
        for table, header in zip(tables, _headers(num_images), strict=True):
            table.write(header)
        on_progress(0, num_images)
        run = stack.enter_context(workers_lib.start(workers))
        write = functools.partial(_write_images, out, seed)
        stream = run(write, range(num_images), _CHUNK_IMAGES)
        for done, rows in enumerate(stream, 1):
            for table, row in zip(tables, rows, strict=True):
                table.write(row)
            on_progress(done, num_images)


def _headers(num_images: int) -> tuple[str, ...]:
    return (
        f"{num_images}\n{' '.join(ATTRIBUTE_NAMES)}\n",
        f"{num_images}\n{' '.join(LANDMARK_NAMES)}\n",
        f"{num_images}\nimage_id x_1 y_1 width height\n",
        "",
        "",
    )


def _write_images(out: str, seed: int, indices: list[int]) -> list[tuple[str, ...]]:
    """Write the images that are missing; return the annotations' rows of all."""
    rows = []
    for index in indices:
        face = draw(index, seed)
        name = f"{index + 1:06d}.jpg"
        path = os.path.join(out, IMAGE_FOLDER, name)
        # Named when it is whole, and written outside the folder of images: whoever
        # lists that finds images only.
        if not os.path.isfile(path):
            # Pillow doesn't notice what a full disk cuts off, Python does.
            content = io.BytesIO()
            Image.fromarray(face.image).save(content, "jpeg", quality=_JPEG_QUALITY)
            with (
                files.new_file(path, os.path.join(out, name)) as aside,
                open(aside, "wb") as file,
            ):
                file.write(content.getbuffer())
        rows.append(_rows(name, face, partition(index)))
    return rows


def _rows(name: str, face: Face, split: int) -> tuple[str, ...]:
    """Return an image's row of each annotation file, as in the official ones."""
    labels = " ".join(f"{2 * label - 1:2d}" for label in face.attributes)
    landmarks = " ".join(f"{value:3d}" for value in face.landmarks)
    box = " ".join(f"{value:3d}" for value in face.bbox)
    return (
        f"{name} {labels}\n",
        f"{name} {landmarks}\n",
        f"{name} {box}\n",
        f"{name} {face.identity}\n",
        f"{name} {split}\n",
    )
