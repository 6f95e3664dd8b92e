"""Every kind of source in the table: opened, converted and read back."""

import gzip
import os
import struct

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files, records, sources, verification
from pipelines.converting import conversion, images, plan
from pipelines.sources import request as request_lib
from tests.pipelines import fixtures
from tests.pipelines.sources import layouts_fixtures

_CONFIG = config_lib.ConvertConfig(
    image_size=16, encoding="png", limit=20, split_ratios=(0.5, 0.25, 0.25)
)
_PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)


def _npz(folder: str) -> str:
    path = os.path.join(folder, "some.npz")
    np.savez(path, images=_PIXELS, labels=np.arange(20) % 3)
    return path


def _idx(folder: str) -> str:
    with gzip.open(os.path.join(folder, "images-idx3-ubyte.gz"), "wb") as file:
        file.write(struct.pack(">HBB3I", 0, 8, 3, *_PIXELS.shape))
        file.write(_PIXELS.tobytes())
    return folder


def _celeba(folder: str) -> str:
    return fixtures.write_celeba(folder)


def _images(folder: str) -> str:
    fixtures.write_images(folder, [f"{number}.png" for number in range(20)], (20, 16))
    return folder


def _tfds(folder: str) -> str:
    source = sources.open_source("digits", _CONFIG)
    prepared = os.path.join(folder, "digits", "1.0.0")
    conversion.convert(plan.make_plan(source, _CONFIG), prepared)
    return "tfds:digits"


# Makes a tiny one of each kind in a folder and returns what --source then says.
_CASES = {
    "tfds": _tfds,
    "digits": lambda folder: "digits",
    "faces": lambda folder: "faces",
    "npz": _npz,
    "idx": _idx,
    "parquet": layouts_fixtures.hugging_face,
    "webdataset": layouts_fixtures.webdataset,
    "array_record": layouts_fixtures.array_records,
    "celeba": _celeba,
    "celeba_wild": layouts_fixtures.wild,
    "celeba_hq": layouts_fixtures.celeba_hq,
    "ffhq": layouts_fixtures.ffhq,
    "images": _images,
}


class KindsTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_kind_has_a_case(self):
        self.assertCountEqual([kind.name for kind in sources.KINDS], _CASES)

    @parameterized.parameters(*_CASES)
    def test_is_opened_converted_and_read_back(self, kind):
        folder = self.create_tempdir().full_path
        source = sources.open_source(_CASES[kind](folder), _CONFIG, folder)
        self.assertEqual(source.kind, kind)
        out = os.path.join(self.create_tempdir().full_path, "out")
        manifest = conversion.convert(plan.make_plan(source, _CONFIG), out)
        self.assertEqual(manifest.source["kind"], kind)
        self.assertEmpty(verification.verify(out))
        fields = manifest.record.fields()
        for split, positions in source.splits.items():
            paths = [os.path.join(out, s.file) for s in manifest.splits[split].shards]
            stored = [
                records.parse(manifest.record, record, fields)
                for record in tf.data.TFRecordDataset(paths)
            ]
            self.assertLen(stored, len(positions))
            for item, example in zip(
                source.read(split, positions), stored, strict=True
            ):
                picture, annotations = item.load()
                shape = manifest.record.image_shape
                png = images.convert(picture, _CONFIG, shape)
                expected = records.decode_image(manifest.record, png)
                self.assertAllEqual(example["image"], expected)
                self.assertEqual(example["key"].numpy().decode(), item.key)
                self.assertContainsSubset(set(fields) - {"key"}, set(annotations))
                for field in set(fields) - {"key"}:
                    values = annotations[field]
                    self.assertAllEqual(tf.reshape(example[field], [-1]), values)

    @parameterized.parameters(*_CASES)
    def test_is_told_apart_from_those_before_it(self, kind):
        folder = self.create_tempdir().full_path
        request = request_lib.Request(_CASES[kind](folder), _CONFIG, folder)
        first = next(k.name for k in sources.KINDS if k.recognises(request))
        self.assertEqual(first, kind)

    @parameterized.parameters(*sources.KINDS)
    def test_is_named_in_the_help_and_in_the_refusal(self, kind):
        self.assertIn(f"{kind.form} ({kind.text})", sources.HELP)
        with self.assertRaisesRegex(files.UserError, kind.form):
            sources.open_source(os.path.join(self.get_temp_dir(), "gone"), _CONFIG)


if __name__ == "__main__":
    tf.test.main()
