"""TFDS' own metadata, so that `tfds.builder_from_directory` reads every output."""

import os
import tempfile

from pipelines import examples, files, records, shards


def features(spec: records.RecordSpec):
    """Return the `tfds.features.FeaturesDict` of the examples."""
    import numpy as np
    import tensorflow_datasets as tfds  # Seconds to import: only when it is needed.

    if spec.encoding == "raw":
        image = tfds.features.Tensor(
            shape=spec.image_shape,
            dtype=np.uint8,
            encoding=tfds.features.Encoding.BYTES,
        )
    else:
        image = tfds.features.Image(
            shape=spec.image_shape, encoding_format=spec.encoding
        )
    entries = {"image": image, records.KEY_FEATURE: tfds.features.Text()}
    if spec.label_names:
        entries["label"] = tfds.features.ClassLabel(names=spec.label_names)
    if spec.attributes:
        entries["attributes"] = dict.fromkeys(spec.attributes, np.bool_)
    if spec.landmarks:
        entries["landmarks"] = dict.fromkeys(spec.landmarks, np.int64)
    if spec.box:
        entries["box"] = dict.fromkeys(examples.BOX, np.int64)
    if spec.identity:
        entries["identity"] = {"Identity_No": np.int64}
    return tfds.features.FeaturesDict(entries)


def write(
    out: str,
    name: str,
    version: str,
    spec: records.RecordSpec,
    splits: dict[str, shards.Split],
) -> None:
    """Write `dataset_info.json` and `features.json` beside the shards.

    They are made on the local disk, for TFDS knows fewer file systems than TensorFlow.
    """
    import tensorflow_datasets as tfds

    with tempfile.TemporaryDirectory() as folder:
        shard_names = {
            shard.file for split in splits.values() for shard in split.shards
        }
        for file in shard_names:  # TFDS looks for them, not into them.
            open(os.path.join(folder, file), "wb").close()
        infos = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.num_examples for shard in content.shards],
                num_bytes=sum(shard.num_bytes for shard in content.shards),
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=folder,
                    dataset_name=name,
                    split=split,
                    filetype_suffix="tfrecord",
                ),
            )
            for split, content in splits.items()
        ]
        tfds.folder_dataset.write_metadata(
            data_dir=folder,
            features=features(spec),
            split_infos=infos,
            version=version,
            check_data=False,
        )
        for file in sorted(set(os.listdir(folder)) - shard_names):
            with open(os.path.join(folder, file), "rb") as made:
                files.write(os.path.join(out, file), made.read())
