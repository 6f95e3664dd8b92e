"""Data sets that TFDS has prepared: `--source=tfds:NAME`. Images stay encoded.

The source digest covers the data set's full name and, for each split, the sizes of
its shards in examples and bytes.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines import examples, files
from pipelines.converting import source as source_lib
from pipelines.sources import request as request_lib
from pipelines.sources import splits as splits_lib

_PREFIX = "tfds:"
# A record's framing and an image, in any of TFDS' forms of files.
_LEAST_BYTES = 8


def _open_builder(name: str, data_dir: str):
    import tensorflow_datasets as tfds  # Seconds to import: only when it is needed.

    try:
        builder = tfds.builder(name, data_dir=data_dir or None)
    except (ValueError, KeyError, OSError, AssertionError, ImportError) as error:
        reason = " ".join(str(error).split("\n", 1)[0].split())
        raise files.UserError(
            f"Expected a TFDS data set, received {name!r} ({reason}); see "
            "tensorflow.org/datasets/catalog for the names."
        ) from error
    if not builder.info.splits:
        raise files.UserError(
            f"Expected {name} prepared in {builder.data_dir}, found none; prepare it "
            "with 'tfds build' or mend --tfds_data_dir."
        )
    return builder


def _check_sizes(builder, sizes: Mapping[str, int]) -> None:
    """Refuse what says that it has more examples than its files have room for."""
    for split, size in sizes.items():
        paths = builder.info.splits[split].filepaths
        room = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
        if size * _LEAST_BYTES > room:
            raise files.UserError(
                f"Expected {size:,} examples in split {split} of {builder.data_dir}, "
                f"found files of {room:,} bytes; prepare the data set again."
            )


def _is_image(feature) -> bool:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Image):
        return True
    tensor = isinstance(feature, tfds.features.Tensor) and feature.shape
    return bool(tensor) and len(feature.shape) == 3 and feature.np_dtype == np.uint8


def _image_feature(name: str, features: Mapping) -> str:
    """Return the name of the one feature that is an image."""
    names = [key for key in features if _is_image(features[key])]
    if "image" in names:
        return "image"
    if len(names) == 1:
        return names[0]
    raise files.UserError(
        f"Expected a feature 'image', or one image feature of any name, in {name}, "
        f"received {', '.join(names) or 'none'} among {', '.join(features)}; convert "
        "from a folder of its images instead."
    )


def _columns(features: Mapping) -> dict[str, tuple[str, ...]]:
    """Return the integer fields that can be kept and the names in each."""
    import tensorflow_datasets as tfds

    columns = {}
    features = dict(features.items())
    if isinstance(features.get("label"), tfds.features.ClassLabel):
        names = features["label"].names
        columns["label"] = tuple(map(str, names))
    groups = {"attributes": "bu", "landmarks": "iu", "box": "iu", "identity": "iu"}
    for field, kinds in groups.items():
        group = features.get(field)
        if isinstance(group, tfds.features.FeaturesDict) and all(
            np.dtype(f.np_dtype).kind in kinds and f.shape == () for f in group.values()
        ):
            columns[field] = tuple(group)
    if columns.get("identity") not in (None, ("Identity_No",)):
        del columns["identity"]
    if set(columns.pop("box", ())) == set(examples.BOX):
        columns["box"] = examples.BOX
    return columns


def _uses(where: str, image: str, features: Mapping, columns: Mapping) -> tuple:
    """Return what becomes of each feature but the image."""
    uses = [
        source_lib.Use(where, names if field != "label" else (field,), field)
        for field, names in columns.items()
    ]
    others = tuple(name for name in features if name not in (image, *columns))
    reason = (
        "only label, attributes, landmarks, box and identity of CelebA's form are kept"
    )
    ignored = source_lib.Use(where, others, "ignored", reason)
    return (*uses, ignored) if others else tuple(uses)


def _digest(builder) -> str:
    lines = [builder.info.full_name]
    for split, info in sorted(builder.info.splits.items()):
        lines.append(f"{split}\t{list(info.shard_lengths)}\t{info.num_bytes}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _examples(builder, split: str, image: str, columns: dict, start: int) -> Iterator:
    """Yield the split's examples from `start` on, in the order of its shards."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    wanted = {image: True} | dict.fromkeys(columns, True)
    encoded = isinstance(features[image], tfds.features.Image)
    skip = {image: tfds.decode.SkipDecoding()} if encoded else {}
    dataset = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding(wanted, decoders=skip),
        read_config=tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1),
        shuffle_files=False,
    )
    return iter(dataset.skip(start).as_numpy_iterator())


def _annotations(example: Mapping, columns: Mapping) -> dict[str, list[int]]:
    return {
        field: [int(example["label"])]
        if field == "label"
        else [int(example[field][name]) for name in names]
        for field, names in columns.items()
    }


def recognises(request: request_lib.Request) -> bool:
    """Say whether a name of TFDS is given."""
    return request.source.startswith(_PREFIX)


def open_prepared(request: request_lib.Request) -> source_lib.Source:
    """Open a data set that TFDS has prepared; nothing is downloaded.

    Keys are the ids of TFDS (file and position). Labels, and attributes, landmarks
    and identities of CelebA's form, are kept. The name is one that `tfds.load` takes,
    such as `mnist` or `mnist:3.0.1`. A data set of only one split is split by a hash.

    Raises:
        UserError: Unknown, not prepared, or without an image.
    """
    name, config = request.source.removeprefix(_PREFIX), request.config
    builder = _open_builder(name, request.tfds_data_dir)
    features = builder.info.features
    image = _image_feature(name, features)
    columns = _columns(features)
    sizes = {s: i.num_examples for s, i in builder.info.splits.items()}
    _check_sizes(builder, sizes)
    stored = {splits_lib.of_word(split) or split: split for split in sizes}
    if len(stored) < len(sizes):  # Two are called alike.
        stored = {split: split for split in sizes}
    if len(sizes) > 1:
        splits = {split: np.arange(sizes[inner]) for split, inner in stored.items()}
    else:
        (size,) = sizes.values()
        keys = map(str, range(size))
        splits = source_lib.hash_splits(keys, config.split_ratios, config.seed)

    def read(split: str, positions: np.ndarray) -> Iterator[source_lib.Item]:
        import tensorflow as tf

        if not len(positions):
            return
        inner = stored[split] if len(sizes) > 1 else next(iter(sizes))
        start = int(positions[0])
        examples = _examples(builder, inner, image, columns, start)
        try:
            for example in source_lib.pick(examples, positions, start):
                key = example["tfds_id"].decode()
                yield source_lib.Stored(
                    key, example[image], _annotations(example, columns)
                )
        except tf.errors.OpError as error:
            raise files.UserError(
                f"Expected readable records in {builder.data_dir}, received damaged "
                f"ones ({error.message}); prepare the data set again."
            ) from error

    channels = features[image].shape[-1]
    return source_lib.Source(
        name=builder.name,
        digest=_digest(builder),
        version=str(builder.version),
        splits=splits,
        read=read,
        grey=None if channels is None else channels == 1,
        attributes=columns.get("attributes", ()),
        landmarks=columns.get("landmarks", ()),
        box="box" in columns,
        identity="identity" in columns,
        label_names=columns.get("label", ()),
        uses=_uses(request.source, image, features, columns),
    )
