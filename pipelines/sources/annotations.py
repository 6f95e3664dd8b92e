"""The files of annotations in a tree: which are read, and what the others are called.

Files whose names are known have their role by it, and must be right, and so must those
of Hugging Face's folders. Other tables are read if they name every image. Whatever else
looks like annotations gets a warning.
"""

import os
import posixpath
import re

import attrs

from pipelines import files
from pipelines.converting import source as source_lib
from pipelines.sources import ffhq, image_folders, layouts, placing, tables, trees

# Role of all columns of a file, by its name in lower case without suffix.
ROLES = {
    "list_attr_celeba": "attributes",
    "list_attr_celeba-hq": "attributes",
    "celebamask-hq-attribute-anno": "attributes",
    "list_eval_partition": "split",
    "identity_celeba": "identity",
    "list_landmarks_align_celeba": "landmarks",
    "list_landmarks_celeba": "landmarks",
    "list_bbox_celeba": "box",
}
# Here, rows of images that aren't there are an error: images were lost.
_STRICT = ("list_eval_partition",)

# What says something to people alone, by name or by end.
_DOCUMENTS = re.compile(
    r"(^|/)[^/]*(read_?me|licen[cs]e|notice|citation|change_?log|requirements|"
    r"dataset_infos?)[^/]*$"
    r"|\.(md|rst|html?|pdf|bib|py|ipynb|sh|log)$",
    re.I,
)
_MOST_TABLES = 32
# What images come in, and may lie beside them still.
_OF_IMAGES = {f"{n}.zip" for layout in layouts.LAYOUTS for n in layout.folders}


@attrs.frozen(eq=False)
class Found:
    """What the files of annotations say.

    Attributes:
        tables: Those that were read, by file name.
        uses: What becomes of files that aren't for these images.
        warnings: A sentence for each file, or group of files, that isn't used.
    """

    tables: dict[str, placing.Table] = attrs.field(factory=dict)
    uses: list[source_lib.Use] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0].lower()


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1].lower()


def _known(tree: trees.Tree) -> dict[str, str]:
    """Map the known stems that are there to their paths."""
    known: dict[str, str] = {}
    for path in tree.sizes:
        stem = _stem(path)
        if stem in ROLES and _suffix(path) in tables.SUFFIXES:
            if stem in known:
                raise files.UserError(
                    f"Expected one file {stem}, received both {known[stem]!r} and "
                    f"{path!r}; remove one of them."
                )
            known[stem] = path
    return known


def read(
    tree: trees.Tree, names: placing.Names, layout: layouts.Layout, folder: str
) -> Found:
    """Read the files of annotations in a tree.

    Args:
        tree: Where they lie.
        names: The images.
        layout: How they are laid out.
        folder: The folder of the images; empty: there is none.

    Raises:
        UserError: A known file is damaged, or doesn't match the images.
    """
    found = Found()
    known = _known(tree)
    for stem, path in known.items():
        if reason := layout.foreign.get(stem):
            found.uses.append(source_lib.Use(path, (), "ignored", reason))
            continue
        table = tables.read(tree, path, names, ROLES[stem], stem in _STRICT)
        _add(found, path, table)
    read_already = set(known.values())
    others = [
        path
        for path in tree.sizes
        if path not in read_already and not layouts.is_image(path)
    ]
    if layout.name == "ffhq":
        lists = [path for path in others if posixpath.basename(path) == ffhq.FILE]
        for path in lists:
            _add(found, path, ffhq.read(tree, path, names, folder))
            others.remove(path)
        if not lists:
            found.warnings.append(
                f"{ffhq.FILE} isn't in --source: there are no landmarks, and splits "
                "are made by a hash; put it beside the folder of images."
            )
    if several := image_folders.paths_of(others):
        table = image_folders.read(tree, several, names)
        _add(found, several[0], table)
        others = [path for path in others if path not in several]
    _read_others(found, tree, names, others)
    return found


def _add(found: Found, path: str, table: placing.Table) -> None:
    name = posixpath.basename(path)
    found.tables[name if name not in found.tables else path] = table
    if table.num_unknown:
        found.warnings.append(
            f"{path} has {table.num_unknown:,} rows of images that aren't there, first "
            f"{table.unknown!r}."
        )


def _read_others(
    found: Found, tree: trees.Tree, names: placing.Names, paths: list[str]
) -> None:
    """Read the tables of other names, and tell of what looks like annotations."""
    images = {key.rsplit(".", 1)[0] for key in names.keys}
    left, num_tables = [], 0
    for path in paths:
        suffix = _suffix(path)
        beside = path.removesuffix(suffix) in images
        is_table = suffix in tables.SUFFIXES and not _DOCUMENTS.search(path)
        if is_table and not beside and num_tables < _MOST_TABLES:
            num_tables += 1
            try:
                _add(found, path, tables.read(tree, path, names))
            except files.UserError as error:
                found.warnings.append(f"{path} isn't used. {error}")
        else:
            left.append(path)
    found.warnings.extend(unread(left))


def unread(paths: list[str]) -> list[str]:
    """Return a warning of each kind of files that aren't read and are no documents."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        if not _DOCUMENTS.search(path) and posixpath.basename(path) not in _OF_IMAGES:
            groups.setdefault(_suffix(path), []).append(path)
    warnings = []
    for suffix, group in groups.items():
        several = (
            f"{len(group):,} files *{suffix} aren't" if group[1:] else "A file isn't"
        )
        warnings.append(
            f"{several} read, first {group[0]}; annotations can be given as columns, "
            "or as a CSV of a row an image beside images in folders."
        )
    return warnings


def beside(source: str) -> list[str]:
    """Return a warning of known files that lie beside `--source`, not in it."""
    if files.is_remote(source):
        return []
    parent = os.path.dirname(os.path.abspath(source))
    try:
        listed = sorted(os.listdir(parent))
    except OSError:
        return []
    known = [n for n in listed if _stem(n) in ROLES and _suffix(n) in tables.SUFFIXES]
    if not known or any(map(layouts.is_image, listed)):
        return []
    return [
        f"{known[0]} lies beside --source and isn't used; give {parent} as --source."
    ]
