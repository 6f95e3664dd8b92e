"""Images in an `.npz` file of NumPy: `--source=FILE.npz`.

The source digest covers the arrays' names, sizes and checksums.
"""

import os
import re
from typing import BinaryIO

from pipelines import files, npy
from pipelines.converting import source as source_lib
from pipelines.sources import archives, arrays, splits
from pipelines.sources import request as request_lib


def _read_header(
    path: str, archive: archives.ZipFile, member: archives.Member
) -> arrays.Rows | None:
    """Read the header of one array; None for what can't be streamed by rows.

    Raises:
        Those of `archives.UNREADABLE`: The member is damaged, or says that it has more
            or less than it has.
    """
    if fault := archives.fault_of(member):
        raise ValueError(f"it holds {member.filename}, {fault}")
    with archives.open_member(archive, member.filename) as file:
        try:
            header = npy.read_header(file)
        except ValueError:
            return None
    if header.column_major or not header.shape:
        return None
    if header.num_bytes != member.file_size:
        raise ValueError(
            f"{member.filename} says {header.num_bytes:,} bytes, and has "
            f"{member.file_size:,}"
        )

    def open_rows() -> BinaryIO:
        with archives.open_zip(path) as archive:  # The open member outlives it.
            file = archives.open_member(archive, member.filename)
        file.read(header.offset)
        return file

    label = f"{path}: {member.filename}"
    return arrays.Rows(label, header.shape, header.dtype, open_rows)


def recognises(request: request_lib.Request) -> bool:
    """Say whether there is such a file."""
    return request.source.endswith(".npz") and os.path.isfile(request.source)


def open_npz(request: request_lib.Request) -> source_lib.Source:
    """Open an `.npz`: uint8 images [N, H, W] or [N, H, W, C], labels [N] or [N, K].

    Raises:
        UserError: A damaged file, no array of images or several that are not told
            apart by train, validation or test in their names.
    """
    path, readable = request.source, {}
    try:
        with archives.open_zip(path) as archive:
            members = archive.infolist()
            for member in members:
                if rows := _read_header(path, archive, member):
                    readable[member.filename.removesuffix(".npy")] = rows
    except archives.UNREADABLE as error:
        raise arrays.damaged(path, error) from error
    candidates = {n: rows for n, rows in readable.items() if len(rows.shape) in (3, 4)}
    if not candidates:
        listed = ", ".join(f"{n} {r.dtype} {r.shape}" for n, r in readable.items())
        raise files.UserError(
            f"Expected an array of images [N, H, W] or [N, H, W, C] in {path}, "
            f"received {listed or 'none'}; save one under the name 'images'."
        )
    images = arrays.by_split(candidates)
    labels: dict[str | None, arrays.Rows] = {}
    used = {rows.label for rows in images.values()}
    for split, rows in images.items():
        chosen = {
            n: r for n, r in readable.items() if _is_label(n, r, split, len(images))
        }
        if len(chosen) > 1:
            raise files.UserError(
                f"Expected one array of labels for {rows.label}, received "
                f"{', '.join(chosen)}; keep only one of them."
            )
        for chosen_rows in chosen.values():
            labels[split] = chosen_rows
            used.add(chosen_rows.label)
    warnings = [
        f"{label} isn't used: it is no array of images, nor of labels (a number, a "
        "name or a row with a single 1 an image; 'label' or 'y' in its name)."
        for label in (f"{path}: {member.filename}" for member in members)
        if label not in used
    ]
    prints = [f"{m.filename}\t{m.file_size}\t{m.CRC:08x}" for m in members]
    return arrays.make_source(request, sorted(prints), images, labels, warnings)


def _is_label(name: str, rows: arrays.Rows, split: str | None, num_splits: int) -> bool:
    named = re.search(r"label|target|class|(^|[-_.])y([-_.]|$)", name.lower())
    ours = num_splits == 1 or splits.of_name(name) == split
    return bool(named and ours and arrays.is_label(rows))
