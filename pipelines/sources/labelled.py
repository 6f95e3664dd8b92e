"""Folders and zip archives of images, with annotations in files beside them."""

import hashlib
import os
import posixpath
from collections.abc import Iterator

import numpy as np

from pipelines import files
from pipelines.converting import images
from pipelines.converting import source as source_lib
from pipelines.sources import (
    annotated,
    annotations,
    archives,
    layouts,
    placing,
    roles,
    trees,
)
from pipelines.sources import columns as columns_lib
from pipelines.sources import request as request_lib
from pipelines.sources import splits as splits_lib


def _find_pictures(tree: trees.Tree, layout: layouts.Layout) -> trees.Tree | None:
    """Return the tree that holds a layout's images: itself, or a zip in its folder."""
    if layout in layouts.matching(tree):
        return tree
    if isinstance(tree, trees.Folder):
        zips = {f"{folder}.zip" for folder in layout.folders}
        for path in tree.sizes:
            if posixpath.basename(path) in zips:
                return trees.Archive(tree.picture(path))
    return None


def recognises(layout: layouts.Layout, request: request_lib.Request) -> bool:
    """Say whether a tree is laid out like this."""
    if not (files.is_remote(request.source) or os.path.exists(request.source)):
        return False
    return not layout.folders or bool(_find_pictures(request.tree, layout))


def open_tree(
    layout: layouts.Layout, request: request_lib.Request
) -> source_lib.Source:
    """Open a tree of images.

    Its digest covers the images' keys and sizes (in a zip their checksums too) and the
    content of the files of annotations. Splits are those of a file, or of folders, or
    are made by a hash.

    Raises:
        UserError: Two layouts, duplicate names, or annotations that don't match.
    """
    tree = request.tree
    pictures = _find_pictures(tree, layout) or tree
    _refuse_two(request.source, pictures)
    folder, paths, warnings = layouts.find(pictures, layout)
    if not paths:
        _refuse_none(request.source, tree)
    keys = list(paths)
    names = placing.Names(keys)
    found = annotations.read(tree, names, layout, folder)
    columns = [column for table in found.tables.values() for column in table.columns]
    if not folder:
        columns += _classes(keys)
    resolved = roles.resolve(columns, lambda row: keys[row])

    def read(positions: np.ndarray) -> Iterator[images.Picture]:
        yield from pictures.pictures(paths[keys[row]] for row in positions.tolist())

    named = [splits_lib.of_folders(path.split("/")[:-1]) for path in paths.values()]
    splits, more = splits_lib.assign(
        request.config,
        keys,
        named,
        resolved.partition,
        resolved.fields.get("identity"),
    )
    digest = hashlib.sha256()
    for key, path in paths.items():
        digest.update(f"{key}\t{pictures.fingerprint(path)}\n".encode())
    for name in sorted(found.tables):
        digest.update(f"{name}\t{found.tables[name].sha256}\n".encode())
    name, version = layout.data_set
    warnings += [*found.warnings, *more, *annotations.beside(request.source)]
    return annotated.make_source(
        name=name or request.name,
        version=version,
        digest=digest.hexdigest(),
        keys=keys,
        splits=splits,
        resolved=resolved,
        pictures=read,
        uses=found.uses,
        warnings=warnings,
    )


def _classes(paths: list[str]) -> list[columns_lib.Column]:
    """Return a column of the folders of images, if all lie in those of classes.

    These are the innermost folders that aren't of a split, at least two, none of them a
    mere number.
    """
    names = []
    for path in paths:
        folders = [f for f in path.split("/")[:-1] if not splits_lib.of_word(f)]
        names.append(folders[-1] if folders else "")
    different = set(names)
    if len(different) < 2 or any(not name or name.isdigit() for name in different):
        return []
    column = columns_lib.Column("names of folders", "label")
    column.extend(names)
    return [column]


def _refuse_two(source: str, pictures: trees.Tree) -> None:
    matching = layouts.matching(pictures)
    if len(matching) > 1:
        folders = " and ".join(" or ".join(layout.folders) for layout in matching)
        raise files.UserError(
            f"Expected images in one layout in {source}, received folders of several "
            f"({folders}); move all but one elsewhere."
        )


def _refuse_none(source: str, tree: trees.Tree) -> None:
    inner = {path: archives.closed(path) for path in tree.sizes}
    inner |= {
        path: "a zip, which is not opened there; unpack it, or give it as --source"
        for path in tree.sizes
        if path.lower().endswith(".zip") and not inner[path]
    }
    shown = next((f", but {p}, {what}" for p, what in inner.items() if what), "")
    raise files.UserError(
        f"Expected images in {source}, found none{shown or '; mend --source'}."
    )
