"""How trees of images are laid out: the table, and which images of a tree are taken."""

import posixpath
import re
from collections.abc import Mapping

import attrs

from pipelines import files
from pipelines.converting import images
from pipelines.sources import trees

_WILD = "it is of the images in img_celeba, which aren't those here"
_ALIGNED = "it is of the images in img_align_celeba, which aren't those here"
_OF_CELEBA = {
    "list_landmarks_celeba": _WILD,
    "list_bbox_celeba": _WILD,
}


@attrs.frozen
class Layout:
    """A way to lay out images and their annotations.

    Attributes:
        name: In a word; the `kind` of its sources.
        form: What `--source` looks like.
        text: What it is, for the help.
        carries: Which fields of a record it can have beside the image.
        folders: Names of the folder that holds the images; of several, the first that
            holds any. Empty: they lie anywhere, and their path is their key.
        data_set: Name and version of the data set; empty: from the path.
        foreign: Files of annotations (without suffix, in lower case) that aren't of
            these images, and why.
    """

    name: str
    form: str
    text: str
    carries: tuple[str, ...] = ("key", "split", "attributes", "landmarks", "identity")
    folders: tuple[str, ...] = ()
    data_set: tuple[str, str] = ("", "1.0.0")
    foreign: Mapping[str, str] = attrs.field(factory=dict)


# The last one takes whatever there is.
LAYOUTS = (
    Layout(
        "celeba",
        "a folder or zip with img_align_celeba",
        "CelebA, aligned, with its annotations as text or CSV",
        folders=("img_align_celeba", "img_align_celeba_png"),
        data_set=("celeb_a", "2.1.0"),
        foreign=_OF_CELEBA,
    ),
    Layout(
        "celeba_wild",
        "a folder or zip with img_celeba",
        "CelebA in the wild, with boxes",
        carries=("key", "split", "attributes", "landmarks", "box", "identity"),
        folders=("img_celeba",),
        data_set=("celeb_a_wild", "1.0.0"),
        foreign={"list_landmarks_align_celeba": _ALIGNED},
    ),
    Layout(
        "celeba_hq",
        "a folder or zip with CelebA-HQ-img",
        "CelebAMask-HQ, its masks left out",
        carries=("split", "attributes"),
        folders=("CelebA-HQ-img",),
        data_set=("celeb_a_hq", "1.0.0"),
        foreign=_OF_CELEBA | {"list_landmarks_align_celeba": _ALIGNED},
    ),
    Layout(
        "ffhq",
        "a folder or zip with images1024x1024, thumbnails128x128 or in-the-wild-images",
        "FFHQ, with splits and landmarks of its JSON, in the wild with boxes",
        carries=("split", "landmarks", "box"),
        folders=("images1024x1024", "thumbnails128x128", "in-the-wild-images"),
        data_set=("ffhq", "2.0.0"),
    ),
    Layout(
        "images",
        "any other folder or zip",
        "the images in it, at any depth, with tables that name them; folders named "
        "train, val and test are splits, others classes",
        carries=("split", "attributes", "landmarks", "box", "identity", "label"),
        foreign=_OF_CELEBA,
    ),
)

# Maps of classes among photographs: CelebAMask-HQ's folder and others of such names.
_MASKS = re.compile(
    r"(^|/)([^/]*mask[-_]?anno[^/]*|masks?|segmentations?|labels?[-_]maps?)/", re.I
)


def is_image(path: str) -> bool:
    """Say whether a file is an image, by its name."""
    return path.lower().endswith(images.SUFFIXES)


def matching(tree: trees.Tree) -> list[Layout]:
    """Return the layouts whose folder of images is in a tree."""
    return [layout for layout in LAYOUTS if tree.folders & set(layout.folders)]


def find(tree: trees.Tree, layout: Layout) -> tuple[str, dict[str, str], list[str]]:
    """Find the images that a layout takes.

    Returns:
        The folder they lie in (empty: anywhere), their paths by key in order of the
        keys, and a sentence for each group of images that is left out.

    Raises:
        UserError: Two images share a key.
    """
    everything = [path for path in tree.sizes if is_image(path)]
    taken, folder = everything, ""
    for folder in layout.folders:
        if taken := [path for path in everything if f"/{folder}/" in f"/{path}"]:
            break
    masks = {path for path in taken if _MASKS.search(path)}
    if len(masks) < len(taken):
        taken = [path for path in taken if path not in masks]
    kept = set(taken)
    left = [path for path in everything if path not in kept]
    warnings = []
    for what, group in (
        ("maps of classes, no photographs", [p for p in left if _MASKS.search(p)]),
        (f"outside of {folder}", [p for p in left if not _MASKS.search(p)]),
    ):
        if group:
            warnings.append(
                f"{len(group):,} images are left out, being {what}; first {group[0]}."
            )
    return folder, _by_key(taken, folder), warnings


def _by_key(taken: list[str], folder: str) -> dict[str, str]:
    if not folder:
        return {path: path for path in taken}
    paths: dict[str, str] = {}
    for path in taken:
        name = posixpath.basename(path)
        if name in paths:
            raise files.UserError(
                f"Expected every name once in {folder}, received both {paths[name]!r} "
                f"and {path!r}; remove one of them."
            )
        paths[name] = path
    return dict(sorted(paths.items()))
