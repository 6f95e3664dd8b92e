"""The one feature spec: how an example is written to and read from a TFRecord.

Keys are flat, as TFDS writes them (`image`, `attributes/Smiling`,
`landmarks/nose_x`, `identity/Identity_No`), plus `filename`, the example's key, and
`box/x_1`, which TFDS' CelebA lacks.
"""

import math
from collections.abc import Mapping, Sequence

import attrs
import tensorflow as tf
from attrs import validators

from pipelines import config as config_lib
from pipelines import examples, settings

KEY_FEATURE, IMAGE_FEATURE = examples.KEY_FEATURE, examples.IMAGE_FEATURE
FIELDS = ("key", "label", "attributes", "landmarks", "box", "identity")

_STRING = tf.io.FixedLenFeature([], tf.string)
_INTEGER = tf.io.FixedLenFeature([], tf.int64)


# More than `pipelines.converting.images` decodes.
_MAX_IMAGE_BYTES = 1 << 29


def _check_shape(_, attribute, value: tuple) -> None:
    if len(value) == 3 and min(value) >= 1 and math.prod(value) <= _MAX_IMAGE_BYTES:
        return
    raise ValueError(f"'{attribute.name}' isn't that of an image: {value}")


@attrs.frozen
class RecordSpec:
    """What every example of a data set holds.

    Attributes:
        image_shape: (height, width, channels).
        encoding: `jpeg`, `png` or `raw` (uint8 bytes in row-major order).
        attributes: Names of the binary attributes, empty where there are none.
        landmarks: Names of the integer landmark coordinates, in pixels of the
            *source* image, as the official annotations give them.
        box: Whether the face's box is stored, likewise.
        identity: Whether the person's number is stored.
        label_names: Names of the classes, empty where there are no labels.
    """

    image_shape: tuple[int, int, int] = attrs.field(
        converter=settings.as_tuple, validator=_check_shape
    )
    encoding: str = attrs.field(validator=validators.in_(config_lib.ENCODINGS))
    attributes: tuple[str, ...] = attrs.field(default=(), converter=settings.as_tuple)
    landmarks: tuple[str, ...] = attrs.field(default=(), converter=settings.as_tuple)
    box: bool = False
    identity: bool = False
    label_names: tuple[str, ...] = attrs.field(default=(), converter=settings.as_tuple)

    def fields(self) -> tuple[str, ...]:
        """Return which of `FIELDS` the examples hold."""
        holds = {
            "key": True,
            "label": bool(self.label_names),
            "attributes": bool(self.attributes),
            "landmarks": bool(self.landmarks),
            "box": self.box,
            "identity": self.identity,
        }
        return tuple(name for name in FIELDS if holds[name])


def feature_names(spec: RecordSpec) -> dict[str, tuple[str, ...]]:
    """Map each integer field of `spec` to its feature names, in column order."""
    names = {
        "label": ("label",),
        "attributes": tuple(f"attributes/{name}" for name in spec.attributes),
        "landmarks": tuple(f"landmarks/{name}" for name in spec.landmarks),
        "box": tuple(f"box/{name}" for name in examples.BOX),
        "identity": ("identity/Identity_No",),
    }
    return {field: names[field] for field in spec.fields() if field in names}


def encode(
    spec: RecordSpec,
    key: str,
    image: bytes,
    annotations: Mapping[str, Sequence[int]],
) -> bytes:
    """Serialize one example, deterministically.

    Args:
        spec: What an example of this data set holds.
        key: Unique name of the example.
        image: The image, already encoded as `spec.encoding` says.
        annotations: For each integer field of the spec, its values in the order of
            `feature_names` (attributes 0 or 1; label and identity one value).

    Returns:
        A serialized `tf.train.Example`.
    """
    return examples.encode(feature_names(spec), key, image, annotations)


def decode_image(spec: RecordSpec, data: tf.Tensor) -> tf.Tensor:
    """Decode one stored image.

    Args:
        spec: What an example of this data set holds.
        data: string [], the encoded image.

    Returns:
        uint8 [H, W, C].
    """
    channels = spec.image_shape[-1]
    if spec.encoding == "raw":
        image = tf.reshape(tf.io.decode_raw(data, tf.uint8), spec.image_shape)
    elif spec.encoding == "png":
        image = tf.io.decode_png(data, channels)
    else:
        image = tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(image, spec.image_shape)


def parse(
    spec: RecordSpec, serialized: tf.Tensor, fields: Sequence[str] = ()
) -> dict[str, tf.Tensor]:
    """Parse one serialized example.

    Args:
        spec: What an example of this data set holds.
        serialized: string [].
        fields: Which of `FIELDS` to return beside the image.

    Returns:
        `image` uint8 [H, W, C], and the fields of `parse_fields` without the batch.
    """
    wanted = _features(spec, fields) | {IMAGE_FEATURE: _STRING}
    parsed = tf.io.parse_single_example(serialized, wanted)
    image = decode_image(spec, parsed[IMAGE_FEATURE])
    return {"image": image, **_fields(spec, parsed, fields)}


def parse_fields(
    spec: RecordSpec, serialized: tf.Tensor, fields: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Parse what a batch of serialized examples holds beside the image.

    Args:
        spec: What an example of this data set holds.
        serialized: string [B].
        fields: Which of `FIELDS` to return.

    Returns:
        `key` string [B]; `label` and `identity` int64 [B]; `attributes` int64 [B,
        num_attributes] in {0, 1}; `landmarks` int64 [B, num_landmarks] and `box` int64
        [B, 4] in pixels of the source image.
    """
    if not fields:
        return {}
    parsed = tf.io.parse_example(serialized, _features(spec, fields))
    return _fields(spec, parsed, fields)


def _features(spec: RecordSpec, fields: Sequence[str]) -> dict:
    """Return what TensorFlow needs to parse some fields."""
    columns = [
        c for f, names in feature_names(spec).items() if f in fields for c in names
    ]
    strings = [KEY_FEATURE] if "key" in fields else []
    return dict.fromkeys(columns, _INTEGER) | dict.fromkeys(strings, _STRING)


def _fields(
    spec: RecordSpec, parsed: Mapping[str, tf.Tensor], fields: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Gather the columns of each field."""
    values = {"key": parsed[KEY_FEATURE]} if "key" in fields else {}
    for field, columns in feature_names(spec).items():
        if field in fields:
            stacked = tf.stack([parsed[name] for name in columns], axis=-1)
            single = field in ("label", "identity")
            values[field] = stacked[..., 0] if single else stacked
    return values
