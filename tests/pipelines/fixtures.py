"""Tiny sources of images, made on the spot."""

import os
import zipfile

import numpy as np
from PIL import Image

from pipelines import faces


def photo(seed: int, size: tuple[int, int] = (178, 218)) -> Image.Image:
    """Return a smooth RGB image of (width, height), different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_images(folder: str, names: list[str], size=(178, 218)) -> None:
    """Write one photo for each name."""
    for seed, name in enumerate(names):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        photo(seed, size).save(path)


def names(num: int) -> list[str]:
    """Return the first CelebA names."""
    return [f"{number:06d}.jpg" for number in range(1, num + 1)]


def write_text(folder: str, name: str, lines: list[str]) -> None:
    """Write a text file of lines."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        file.write("".join(f"{line}\n" for line in lines))


def attributes(number: int) -> list[int]:
    """Return the attributes of image `number`, 40 times 0 or 1."""
    return [(number >> (column % 5)) & 1 for column in range(40)]


def landmarks(number: int) -> list[int]:
    """Return the landmarks of image `number`, one of them negative."""
    return [number + 10 * column - 1 for column in range(10)]


def write_celeba(root: str, num: int = 10, annotated: bool = True) -> str:
    """Write a CelebA tree whose images 8 are validation and 9, 10 test."""
    listed = names(num)
    write_images(os.path.join(root, "img_align_celeba"), listed)
    parts = [{7: 1, 8: 2, 9: 2}.get(row, 0) for row in range(num)]
    write_text(
        root,
        "list_eval_partition.txt",
        [f"{name} {part}" for name, part in zip(listed, parts, strict=True)],
    )
    if annotated:
        write_annotations(root, listed)
    return root


def write_annotations(root: str, listed: list[str]) -> None:
    """Write the attribute, landmark and identity files, in the official form."""
    numbers = range(len(listed))
    signs = [" ".join(f"{2 * v - 1:2d}" for v in attributes(n)) for n in numbers]
    points = [" ".join(f"{v:3d}" for v in landmarks(n)) for n in numbers]
    for file, header, rows in (
        ("list_attr_celeba.txt", faces.ATTRIBUTE_NAMES, signs),
        ("list_landmarks_align_celeba.txt", faces.LANDMARK_NAMES, points),
    ):
        lines = [f"{name} {row}" for name, row in zip(listed, rows, strict=True)]
        write_text(root, file, [str(len(listed)), " ".join(header) + " ", *lines])
    people = [f"{name} {100 + n}" for n, name in enumerate(listed)]
    write_text(root, "identity_CelebA.txt", people)


def pack(folder: str, path: str, prefix: str = "") -> str:
    """Write a zip of a folder's files."""
    with zipfile.ZipFile(path, "w") as archive:
        for parent, _, files in sorted(os.walk(folder)):
            for file in sorted(files):
                full = os.path.join(parent, file)
                archive.write(full, prefix + os.path.relpath(full, folder))
    return path


def read_all(folder: str) -> dict[str, bytes]:
    """Return the content of every file under a folder."""
    content = {}
    for parent, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(parent, file)
            with open(path, "rb") as opened:
                content[os.path.relpath(path, folder)] = opened.read()
    return content
