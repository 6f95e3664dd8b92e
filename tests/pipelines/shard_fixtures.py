"""Tiny converted data sets for tests of what reads shards."""

import os

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, records, shards

NAME = "tiny"


def make_images(num_images: int, shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Return uint8 [num_images, H, W, C] of noise, all different."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num_images, *shape), dtype=np.uint8)


def encode_image(image: np.ndarray, encoding: str) -> bytes:
    """Encode as `RecordSpec.encoding` says."""
    if encoding == "raw":
        return image.tobytes()
    if encoding == "png":
        return tf.io.encode_png(image).numpy()
    return tf.io.encode_jpeg(image, quality=95).numpy()


def write(
    data_dir: str,
    split_shards: dict[str, tuple[int, ...]],
    shape: tuple[int, int, int] = (8, 6, 3),
    encoding: str = "raw",
    annotated: bool = True,
) -> tuple[shards.Manifest, dict[str, np.ndarray]]:
    """Write shards and the manifest; `split_shards` gives the examples of each shard.

    Keys are "SPLIT-00000" and so on, in file order. An annotated example number i
    has label i % 3, attributes (i % 2, 1), landmarks (i, -i) and identity i + 100.

    Returns:
        The manifest, and each split's images before encoding, in file order.
    """
    annotations = {
        "attributes": ("Smiling", "Young"),
        "landmarks": ("nose_x", "nose_y"),
        "identity": True,
        "label_names": ("a", "b", "c"),
    }
    spec = records.RecordSpec(shape, encoding, **(annotations if annotated else {}))
    splits, images = {}, {}
    for split, sizes in split_shards.items():
        images[split] = make_images(sum(sizes), shape, seed=len(splits))
        splits[split] = _write_split(data_dir, spec, split, sizes, images[split])
    settings = attrs.asdict(config_lib.ConvertConfig(image_size=shape[0]))
    manifest = shards.Manifest(NAME, "1.0.0", {}, settings, spec, splits)
    shards.save_manifest(data_dir, manifest)
    return manifest, images


def _write_split(
    data_dir: str,
    spec: records.RecordSpec,
    split: str,
    sizes: tuple[int, ...],
    images: np.ndarray,
) -> shards.Split:
    written, rows, number = [], [], 0
    for shard, size in enumerate(sizes):
        position = 0
        file = shards.shard_name(NAME, split, shard, len(sizes))
        with tf.io.TFRecordWriter(os.path.join(data_dir, file)) as writer:
            for _ in range(size):
                annotations = {
                    "label": [number % 3],
                    "attributes": [number % 2, 1],
                    "landmarks": [number, -number],
                    "identity": [number + 100],
                }
                data = encode_image(images[number], spec.encoding)
                key = f"{split}-{number:05d}"
                record = records.encode(spec, key, data, annotations)
                writer.write(record)
                rows.append((shard, position + shards.RECORD_HEADER, len(record)))
                position += shards.RECORD_HEADER + len(record) + shards.RECORD_FOOTER
                number += 1
        last = f"{split}-{number - 1:05d}" if size else ""
        written.append(shards.Shard(file, size, position, "", "", last))
    index = shards.index_name(NAME, split)
    path = os.path.join(data_dir, index)
    np.save(path, np.array(rows, np.int64).reshape(-1, 3))
    return shards.Split(written, index, files.sha256(path))
