"""Mutated files through every parser of `pipelines`: right, or refused in a sentence.

Never another exception, more memory or more time than `limits` says.
`VAE_PROD_ATTACK` makes the mutations so many times as many; a failure names its number.
"""

import gzip
import os
import shutil
import struct
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import shards, sources
from pipelines.converting import conversion, journal, metadata, plan
from tests.attack import attacks, mutations
from tests.pipelines import fixtures
from tests.pipelines.sources import layouts_fixtures

_CONFIG = config_lib.ConvertConfig(image_size=8, encoding="raw", shards=2)
_PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)


def _idx(folder, name="images-idx3-ubyte", opener=open):
    with opener(os.path.join(folder, name), "wb") as file:
        file.write(struct.pack(">HBB3I", 0, 8, 3, *_PIXELS.shape) + _PIXELS.tobytes())
    with open(os.path.join(folder, "labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">HBBI", 0, 8, 1, 12) + bytes(range(12)))
    return folder, name


def _idx_gz(folder):
    return _idx(folder, "images-idx3-ubyte.gz", gzip.open)


def _idx_labels(folder):
    return _idx(folder)[0], "labels-idx1-ubyte"


def _npz(folder, save=np.savez):
    path = os.path.join(folder, "some.npz")
    save(path, images=_PIXELS, labels=np.arange(12))
    return path, "some.npz"


def _npz_compressed(folder):
    return _npz(folder, np.savez_compressed)


def _zip(folder):
    inner = os.path.join(folder, "inner")
    fixtures.write_images(inner, [f"{n}.png" for n in range(3)], (9, 9))
    path = fixtures.pack(inner, os.path.join(folder, "images.zip"))
    shutil.rmtree(inner)
    return path, "images.zip"


def _annotation(name):
    def make(folder):
        fixtures.write_celeba(folder, 3)
        return folder, name

    return make


def _layout(write, name):
    """Return what writes a layout of few images, one file of which is mutated."""

    def make(folder):
        with mock.patch.multiple(layouts_fixtures, NUM=12, KEYS=fixtures.names(12)):
            return write(folder), name

    return make


# Writes a source and returns what --source says and the file that is mutated.
_SOURCES = {
    "idx": _idx,
    "idx.gz": _idx_gz,
    "idx of labels": _idx_labels,
    "npz": _npz,
    "npz, compressed": _npz_compressed,
    "zip": _zip,
    "partition": _annotation("list_eval_partition.txt"),
    "identity": _annotation("identity_CelebA.txt"),
    "attributes": _annotation("list_attr_celeba.txt"),
    "landmarks": _annotation("list_landmarks_align_celeba.txt"),
    "CSV": _layout(layouts_fixtures.kaggle(), "list_attr_celeba.csv"),
    "CSV, any": _layout(layouts_fixtures.split_folders, "metadata.csv"),
    "boxes": _layout(layouts_fixtures.wild, "Anno/list_bbox_celeba.txt"),
    "FFHQ": _layout(layouts_fixtures.ffhq, "ffhq-dataset-v2.json"),
    "Parquet": _layout(
        layouts_fixtures.hugging_face, "data/train-00001-of-00002.parquet"
    ),
    "tar": _layout(layouts_fixtures.webdataset, "celeba-train-00001-of-00002.tar"),
    "ArrayRecord": _layout(
        layouts_fixtures.array_records, "celeba-train-00001-of-00002.array_record"
    ),
}


class ParsersTest(attacks.AttackTest, parameterized.TestCase):
    @parameterized.parameters(*_SOURCES)
    def test_sources(self, kind):
        source, name = _SOURCES[kind](self.folder)

        def use(_):
            opened = sources.open_source(source, _CONFIG)
            for split, positions in opened.splits.items():
                self.assertLess(len(positions), _PIXELS.size)
                for item in opened.read(split, positions):
                    item.load()

        use(-1)
        self.attack(os.path.join(self.folder, name), use)

    @parameterized.parameters(_npz, _npz_compressed)
    def test_checksums_of_npz_let_nothing_wrong_through(self, write):
        source, _ = write(self.folder)

        def use(number):
            opened = sources.open_source(source, _CONFIG)
            for split, positions in opened.splits.items():
                items = opened.read(split, positions)
                for item, row in zip(items, positions, strict=True):
                    self.assertAllEqual(item.picture, _PIXELS[row], f"{number}")

        self.assertGreater(self.attack(source, use), 0)

    def _planned(self):
        source, _ = _idx(self.folder)
        opened = sources.open_source(source, _CONFIG)
        return plan.make_plan(opened, _CONFIG), os.path.join(self.folder, "out")

    def test_manifest(self):
        planned, out = self._planned()
        conversion.convert(planned, out)

        def use(_):
            loaded = shards.load_manifest(out)
            for name in loaded.splits:
                shards.load_index(out, loaded.split(name))
            conversion.find_finished(out, planned.source, _CONFIG)

        use(-1)
        path = os.path.join(out, shards.MANIFEST_NAME)
        self.assertGreater(self.attack(path, use), attacks.COUNT // 3)

    def test_index(self):
        planned, out = self._planned()
        split = conversion.convert(planned, out).split("train")
        path = os.path.join(out, split.index)
        refused = self.attack(path, lambda _: shards.load_index(out, split))
        self.assertEqual(refused, attacks.COUNT)

    @parameterized.parameters("job.json", "train-00000.json", "train-00000.npy")
    def test_progress(self, name):
        """An interrupted conversion ends in the very same manifest, or says why not."""
        # What TFDS makes of it takes its time, and is none of this.
        self.enter_context(mock.patch.object(metadata, "write"))
        planned, out = self._planned()
        right = conversion.convert(planned, out)
        shutil.rmtree(out)
        with (
            mock.patch.object(shards, "save_manifest", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            conversion.convert(planned, out)
        kept = os.path.join(self.folder, "kept")
        shutil.move(out, kept)
        data = attacks.read(os.path.join(kept, journal.FOLDER, name))

        def resume():
            self.assertEqual(conversion.convert(planned, out), right)

        for number in range(attacks.COUNT // 3):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(kept, out)
            path = os.path.join(out, journal.FOLDER, name)
            attacks.write(path, mutations.mutated(data, number))
            self.is_refused(resume, f"mutation {number} of {name}")


if __name__ == "__main__":
    tf.test.main()
