"""Where images come from: `--source` in one word or path.

PATH        CelebA (a tree or zip with img_align_celeba), a folder or zip of
            images, an .npz, or idx files
tfds:NAME   a data set that TFDS has prepared
digits      scikit-learn's handwritten digits, 8 x 8
faces       the built-in drawn faces
"""

import hashlib
import os
import re
from collections.abc import Iterator

import attrs
import numpy as np

from pipelines import config as config_lib
from pipelines import faces, files
from pipelines.convert import images, items
from pipelines.sources import celeba, idx, npz, prepared, trees

NUM_FACES = 4096


def open_source(
    source: str, config: config_lib.ConvertConfig, tfds_data_dir: str = ""
) -> items.Source:
    """Open a source, limited to `config.limit` images of each split.

    Args:
        source: A path, `tfds:NAME`, `digits` or `faces`.
        config: Uses `limit`, `split_ratios` and `seed`.
        tfds_data_dir: Where `tfds:NAME` lies; empty: where TFDS looks by itself.

    Raises:
        UserError: Nothing there, nothing in it, or something wrong with it.
    """
    opened = _open(source, config, tfds_data_dir)
    splits = {name: chosen for name, chosen in opened.splits.items() if len(chosen)}
    if not splits:
        raise files.UserError(
            f"Expected images in {source}, found none; mend --source."
        )
    return attrs.evolve(opened, splits=splits).limited(config.limit)


def _open(
    source: str, config: config_lib.ConvertConfig, tfds_data_dir: str
) -> items.Source:
    if source.startswith("tfds:"):
        return prepared.open_prepared(
            source.removeprefix("tfds:"), tfds_data_dir, config
        )
    if source == "digits":
        return open_digits(config)
    if source == "faces":
        return open_faces(config)
    if "://" in source:
        raise files.UserError(
            f"Expected a local --source, received {source}; copy it to this machine."
        )
    name = dataset_name(source)
    if source.endswith(".npz") and os.path.isfile(source):
        return npz.open_npz(source, name, config)
    if idx_files := idx.find_idx(source):
        return idx.open_idx(idx_files, name, config)
    tree = trees.open_tree(source)
    if pictures := celeba.find_pictures(tree):
        return celeba.open_celeba(tree, pictures, config)
    return open_images(tree, name, config)


def dataset_name(path: str) -> str:
    """Return a name for TFDS (lower-case words with `_`) from a path."""
    stem = os.path.basename(os.path.abspath(path)).split(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
    return name if name[:1].isalpha() else f"images_{name}".rstrip("_")


def open_images(
    tree: trees.Tree, name: str, config: config_lib.ConvertConfig
) -> items.Source:
    """Open a plain folder or zip of images, at any depth, in order of their paths.

    The digest covers names and sizes, in a zip checksums too.
    """
    names = [n for n in tree.sizes if n.lower().endswith(images.SUFFIXES)]

    def read(_: str, positions: np.ndarray) -> Iterator[items.Item]:
        for position in positions.tolist():
            yield items.Stored(names[position], tree.picture(names[position]))

    prints = "".join(f"{n}\t{tree.fingerprint(n)}\n" for n in names)
    return items.Source(
        name=name,
        kind="images",
        digest=hashlib.sha256(prints.encode()).hexdigest(),
        splits=items.hash_splits(names, config.split_ratios, config.seed),
        read=read,
    )


def open_digits(config: config_lib.ConvertConfig) -> items.Source:
    """Open scikit-learn's 1,797 digits, uint8 [8, 8], labelled 0 to 9."""
    from sklearn import datasets  # A second to import: only when it is needed.

    digits = datasets.load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    keys = [f"{position:04d}" for position in range(len(pixels))]

    def read(_: str, positions: np.ndarray) -> Iterator[items.Item]:
        for position in positions.tolist():
            label = [int(digits.target[position])]
            yield items.Stored(keys[position], pixels[position], {"label": label})

    return items.Source(
        name="digits",
        kind="digits",
        digest=hashlib.sha256(pixels.tobytes()).hexdigest(),
        splits=items.hash_splits(keys, config.split_ratios, config.seed),
        read=read,
        grey=True,
        label_names=tuple(str(digit) for digit in range(10)),
    )


@attrs.frozen
class Drawn:
    """A built-in face, drawn where it is loaded."""

    key: str
    index: int
    seed: int

    def load(self) -> tuple[images.Picture, items.Annotations]:
        """Draw the face; its annotations come with it."""
        face = faces.draw(self.index, self.seed)
        annotations = {
            "attributes": face.attributes,
            "landmarks": face.landmarks,
            "identity": (face.identity,),
        }
        return face.image, annotations


def open_faces(config: config_lib.ConvertConfig) -> items.Source:
    """Open the built-in faces, `config.limit` of them (0: 4,096).

    The digest covers number, seed and the look of the first face.
    """
    num = config.limit or NUM_FACES
    keys = [f"{index + 1:06d}.jpg" for index in range(num)]

    def read(_: str, positions: np.ndarray) -> Iterator[items.Item]:
        for index in positions.tolist():
            yield Drawn(keys[index], index, config.seed)

    partition = np.array([faces.partition(index) for index in range(num)])
    digest = hashlib.sha256(f"{num} {config.seed}".encode())
    digest.update(faces.draw(0, config.seed).image.tobytes())
    return items.Source(
        name="faces",
        kind="faces",
        digest=digest.hexdigest(),
        splits=items.partition_splits(partition),
        read=read,
        grey=False,
        attributes=tuple(faces.ATTRIBUTE_NAMES),
        landmarks=tuple(faces.LANDMARK_NAMES),
        identity=True,
    )
