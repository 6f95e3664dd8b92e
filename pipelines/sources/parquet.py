"""Parquet files as Hugging Face's `datasets` writes them, read by row groups.

A column holds the images, as a struct of `bytes` and `path` or as bytes alone; the
others are annotations. Names of classes are in the schema's `huggingface` metadata
(huggingface.co/docs/datasets/image_dataset).
"""

import contextlib
import posixpath
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines import documents, files, trust
from pipelines.converting import images
from pipelines.converting import source as source_lib
from pipelines.sources import annotated, columns, roles, rows

_AT_ONCE = 1 << 12
_IMAGES_AT_ONCE = 32
_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "pixels")
# Of one column in one row group, unpacked, in bytes.
_MAX_CHUNK = 1 << 30


@contextlib.contextmanager
def _opened(path: str) -> Iterator:
    """Open a file; whatever is wrong with it is a `ValueError`."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with trust.open_regular(path) as file:
            opened = parquet.ParquetFile(
                file,
                buffer_size=1 << 20,
                pre_buffer=False,
                page_checksum_verification=True,  # Of pages that have one.
                thrift_string_size_limit=1 << 26,
                thrift_container_size_limit=1 << 20,
            )
            _check(opened, file.seek(0, 2))
            yield opened
    except (pa.ArrowException, MemoryError) as error:
        raise ValueError(str(error) or "out of memory") from error


def _check(opened, num_bytes: int) -> None:
    """Refuse claims that the file has no room for, or memory hasn't."""
    metadata = opened.metadata
    if not 0 <= metadata.num_rows <= min(num_bytes, annotated.MAX_IMAGES):
        raise ValueError(f"{metadata.num_rows:,} rows in {num_bytes:,} bytes")
    for group in range(metadata.num_row_groups):
        described = metadata.row_group(group)
        for place in range(described.num_columns):
            size = described.column(place).total_uncompressed_size
            if not 0 <= size <= _MAX_CHUNK:
                raise ValueError(
                    f"a column of {size:,} bytes in one row group; at most "
                    f"{_MAX_CHUNK:,} are read"
                )
    names = opened.schema_arrow.names
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two columns of the name {min(twice)!r}")


def _features(schema) -> dict:
    """Return what Hugging Face's metadata say of each column; nothing if damaged."""
    try:
        said = documents.parse((schema.metadata or {})[b"huggingface"])
        info = documents.build(dict, documents.build(dict, said)["info"])
        return documents.build(dict, info["features"])
    except (LookupError, TypeError, ValueError):
        return {}


def _classes(schema) -> dict[str, list[str]]:
    """Map columns of numbered classes to the names of these."""
    classes = {}
    for name, feature in _features(schema).items():
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            with contextlib.suppress(ValueError):
                names = documents.build(tuple[str, ...], feature.get("names"))
                classes[name] = names
    return classes


def _is_bytes(kind) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _bytes_of(field) -> str:
    """Return the path of the images' bytes in a column; empty: it holds none."""
    import pyarrow as pa

    if _is_bytes(field.type):
        return field.name
    if pa.types.is_struct(field.type):
        inner = {part.name: part.type for part in field.type}
        if "bytes" in inner and _is_bytes(inner["bytes"]):
            return f"{field.name}.bytes"
    return ""


def _image(path: str, schema) -> str:
    """Return the name of the column that holds the images."""
    names = [field.name for field in schema if _bytes_of(field)]
    chosen = [name for name in _IMAGE_NAMES if name in names] or names
    if chosen and (len(names) == 1 or chosen[0] in _IMAGE_NAMES):
        return chosen[0]
    listed = ", ".join(f"{field.name} {field.type}" for field in schema)[:300]
    raise files.UserError(
        f"Expected one column of images, as bytes or a struct with bytes, in {path}, "
        f"received {listed or 'none'}; name it 'image', or convert from a folder of "
        "images instead."
    )


def chunks(path: str) -> Iterator[rows.Chunk]:
    """Yield all rows of a file, without their images."""
    with _opened(path) as opened:
        schema = opened.schema_arrow
        image = _image(path, schema)
        others = [field.name for field in schema if field.name != image]
        key = _key(schema, image)
        left = {n: "it holds bytes" for n in others if _bytes_of(schema.field(n))}
        wanted = [n for n in others if n not in left and n != key] + [key] * bool(key)
        if not wanted:
            yield rows.Chunk([""] * opened.metadata.num_rows, {}, ignored=left)
            return
        classes = _classes(schema)
        for batch in opened.iter_batches(_AT_ONCE, columns=wanted, use_threads=False):
            found: dict[str, Sequence] = {}
            ignored = dict(left)
            keys = [""] * batch.num_rows
            for field, column in zip(batch.schema, batch.columns, strict=True):
                if field.name == image:
                    column = column.field("path")
                if field.name in (image, key.split(".")[0]):
                    names = column.to_pylist()
                    keys = [posixpath.basename(str(name or "")) for name in names]
                elif split := _columns(field, column):
                    found |= split
                else:
                    ignored[field.name] = f"it is of type {field.type}"
            yield rows.Chunk(keys, found, classes, ignored)


def _key(schema, image: str) -> str:
    """Return the path of what names the images; empty: nothing does."""
    import pyarrow as pa

    kind = schema.field(image).type
    if pa.types.is_struct(kind) and "path" in {part.name for part in kind}:
        return f"{image}.path"
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return next((name for name in texts if name.lower() in columns.KEYS), "")


def _columns(field, column) -> dict[str, list]:
    """Return a column's values by name, several of a list; or none."""
    import pyarrow as pa

    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    scalar = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    text = (pa.types.is_string, pa.types.is_large_string)
    if any(is_kind(kind) for is_kind in scalar + text):
        return {field.name: column.to_pylist()}
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return roles.of_lists(field.name, column.to_pylist())
    return {}


def pictures(
    path: str, positions: np.ndarray, _: np.ndarray
) -> Iterator[images.Picture]:
    """Yield the encoded images at ascending rows."""
    with _opened(path) as opened:
        column = _bytes_of(opened.schema_arrow.field(_image(path, opened.schema_arrow)))
        begin = 0
        for group in range(opened.metadata.num_row_groups):
            end = begin + opened.metadata.row_group(group).num_rows
            inside = positions[(positions >= begin) & (positions < end)]
            if len(inside):
                stream = _stream(opened, path, group, column)
                yield from source_lib.pick(stream, inside, begin)
            begin = end


def _stream(opened, path: str, group: int, column: str) -> Iterator[bytes]:
    """Yield all images of a row group; none of one that is missing is empty."""
    for batch in opened.iter_batches(
        _IMAGES_AT_ONCE, row_groups=[group], columns=[column], use_threads=False
    ):
        values = batch.column(0)
        if "." in column:
            values = values.field("bytes")
        if values.null_count == len(values):
            raise files.UserError(
                f"Expected images in the column {column} of {path}, received none: it "
                "may hold their paths alone; save the data set with its images "
                "embedded."
            )
        for value in values:
            yield value.as_py() or b""


FORM = rows.Form(
    ".parquet",
    "Parquet file",
    chunks,
    pictures,
    (LookupError, TypeError, MemoryError),
)
