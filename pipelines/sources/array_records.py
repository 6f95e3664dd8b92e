"""ArrayRecord files of `tf.train.Example`, as Grain and TFDS write them.

A feature of bytes holds the encoded image, features of one integer, float or text are
annotations. Of names such as `attributes/Smiling`, the last part counts.
"""

import contextlib
import posixpath
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines import files, trust
from pipelines.converting import images
from pipelines.sources import annotated, columns, rows

_AT_ONCE = 64
_IMAGE_NAMES = ("image", "image/encoded", "encoded", "img", "jpg", "jpeg", "png")


@contextlib.contextmanager
def _opened(path: str) -> Iterator:
    """Open a file; whatever is wrong with it is a `ValueError`."""
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise files.UserError(
            f"Expected the package array_record to read {path}, it isn't there; pip "
            "install array-record, or convert from another form."
        ) from error

    trust.open_regular(path).close()
    reader = array_record_module.ArrayRecordReader(path)
    try:
        if not reader.ok() or not 0 <= reader.num_records() <= annotated.MAX_IMAGES:
            raise ValueError("no ArrayRecord")
        yield reader
    finally:
        reader.close()


def _records(path: str) -> Iterator[Mapping]:
    """Yield the features of each record, by name."""
    import tensorflow as tf
    from google.protobuf import message

    with _opened(path) as reader:
        num_records = reader.num_records()
        for begin in range(0, num_records, _AT_ONCE):
            end = min(begin + _AT_ONCE, num_records)
            for record in reader.read(list(range(begin, end))):
                try:
                    yield tf.train.Example.FromString(record).features.feature
                except message.DecodeError as error:
                    raise ValueError("a record is no tf.train.Example") from error


def _image(path: str, features: Mapping) -> str:
    for name in _IMAGE_NAMES:
        if name in features and len(features[name].bytes_list.value) == 1:
            return name
    raise files.UserError(
        f"Expected a feature of an encoded image in the records of {path}, named "
        f"'image', received {', '.join(sorted(features))[:300] or 'none'}; write them "
        "with it, or convert from a folder of images instead."
    )


def _value(feature) -> int | float | str | None:
    """Return the one value of a feature; None: it has none, several or no text."""
    values = getattr(feature, feature.WhichOneof("kind") or "int64_list").value
    if len(values) != 1:
        return None
    try:
        return values[0].decode() if isinstance(values[0], bytes) else values[0]
    except UnicodeDecodeError:
        return None


def chunks(path: str) -> Iterator[rows.Chunk]:
    """Yield all records of a file, without their images."""
    for features in _records(path):
        image = _image(path, features)
        values = {
            name.rsplit("/", 1)[-1]: _value(feature)
            for name, feature in sorted(features.items())  # A map has no order.
            if name != image
        }
        named = [n for n in values if n.lower() in columns.KEYS]
        key = posixpath.basename(str(values.pop(named[0]) or "")) if named else ""
        yield rows.Chunk([key], {name: [value] for name, value in values.items()})


def pictures(
    path: str, positions: np.ndarray, _: np.ndarray
) -> Iterator[images.Picture]:
    """Yield the encoded images at ascending places."""
    import tensorflow as tf

    with _opened(path) as reader:
        for begin in range(0, len(positions), _AT_ONCE):
            for record in reader.read(positions[begin : begin + _AT_ONCE].tolist()):
                features = tf.train.Example.FromString(record).features.feature
                yield features[_image(path, features)].bytes_list.value[0]


FORM = rows.Form(
    ".array_record",
    "ArrayRecord file",
    chunks,
    pictures,
    (LookupError, TypeError, MemoryError, RuntimeError),
)
