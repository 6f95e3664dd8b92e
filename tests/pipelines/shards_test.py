import json
import os

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, records, shards


def _manifest(**changes):
    shard = shards.Shard("n-train.tfrecord-00000-of-00001", 3, 99, "ab", "k0", "k2")
    values = {
        "name": "n",
        "version": "1.0.0",
        "source": {"kind": "images", "digest": "cd"},
        "settings": {"image_size": 8},
        "record": records.RecordSpec((8, 8, 3), "jpeg", attributes=("Smiling",)),
        "splits": {"train": shards.Split([shard, shard], "n-train.index.npy", "ef")},
    }
    return shards.Manifest(**{**values, **changes})


class ShardsTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, shards.MANIFEST_NAME)

    def test_names_are_those_of_tfds(self):
        self.assertEqual(
            shards.shard_name("celeb_a", "train", 2, 13),
            "celeb_a-train.tfrecord-00002-of-00013",
        )

    def test_manifest_round_trip(self):
        manifest = _manifest(bad_images=["x.jpg: truncated"])
        shards.save_manifest(self.folder, manifest)
        loaded = shards.load_manifest(self.folder)
        self.assertEqual(loaded, manifest)
        self.assertEqual(loaded.digest(), manifest.digest())
        self.assertEqual(loaded.split("train").num_examples, 6)

    def test_digest_tells_manifests_apart(self):
        self.assertNotEqual(
            _manifest().digest(), _manifest(settings={"image_size": 9}).digest()
        )

    def test_unknown_split(self):
        with self.assertRaisesRegex(
            files.UserError, r"a split out of \['train'\], received 'test'"
        ):
            _manifest().split("test")

    def test_missing_manifest(self):
        with self.assertRaisesRegex(files.UserError, "found none. Make one with"):
            shards.load_manifest(self.folder)

    @parameterized.parameters("", "{", "[]", '{"schema_version": 1}')
    def test_damaged_manifest(self, text):
        with open(self.path, "w") as file:
            file.write(text)
        with self.assertRaisesRegex(files.UserError, "it is damaged"):
            shards.load_manifest(self.folder)

    def test_other_schema_version(self):
        values = attrs.asdict(_manifest()) | {"schema_version": 7, "new": 1}
        with open(self.path, "w") as file:
            json.dump(values, file)
        with self.assertRaisesRegex(
            files.UserError, "schema version 1 .* received version 7"
        ):
            shards.load_manifest(self.folder)


if __name__ == "__main__":
    tf.test.main()
