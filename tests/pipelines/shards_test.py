import json
import os

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, records, shards


def _manifest(**changes):
    listed = [
        shards.Shard(shards.shard_name("n", "train", k, 2), 3, 99, "ab", "k0", "k2")
        for k in range(2)
    ]
    values = {
        "name": "n",
        "version": "1.0.0",
        "source": {"kind": "images", "digest": "cd"},
        "settings": {"image_size": 8},
        "record": records.RecordSpec((8, 8, 3), "jpeg", attributes=("Smiling",)),
        "splits": {"train": shards.Split(listed, "n-train.index.npy", "ef")},
    }
    return shards.Manifest(**{**values, **changes})


class ShardsTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, shards.MANIFEST_NAME)

    def _write(self, values):
        with open(self.path, "w") as file:
            json.dump(values, file)

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

    @parameterized.parameters(
        *("", "{", "[]", "null", '{"schema_version": 1}', "[" * 100_000),
        *('{"schema_version": NaN}', "\0"),
    )
    def test_damaged_manifest(self, text):
        with open(self.path, "w") as file:
            file.write(text)
        with self.assertRaisesRegex(files.UserError, "it is damaged"):
            shards.load_manifest(self.folder)

    @parameterized.parameters(
        ({"name": "../n"}, "'../n' is no name of a data set or split"),
        ({"name": ""}, "'' is no name"),
        ({"record": {"image_shape": [8, 8]}}, "image_shape should be 3 values"),
        ({"record": {"image_shape": [8, 8, 1 << 40]}}, "isn't that of an image"),
        ({"record": {"image_shape": [8, -8, 3]}}, "isn't that of an image"),
        ({"record": {"encoding": "bmp"}}, "'encoding' must be in"),
        ({"record": {"identity": 1}}, "identity should be a value of type bool"),
        ({"settings": []}, "settings should be an object"),
        ({"settings": {"crop": 3}}, "settings.crop should be a value of type str"),
        ({"settings": {"quality": 1000}}, "'quality' must be <= 100"),
        ({"bad_images": [1]}, r"bad_images\[0\] should be a value of type str"),
        ({"surplus": 1}, "has the unknown 'surplus'"),
    )
    def test_what_it_says_is_checked(self, changes, message):
        values = attrs.asdict(_manifest())
        for name, value in changes.items():
            known = values.get(name)
            merge = isinstance(known, dict) and isinstance(value, dict)
            values[name] = known | value if merge else value
        self._write(values)
        with self.assertRaisesRegex(files.UserError, f"it is damaged .*{message}"):
            shards.load_manifest(self.folder)

    @parameterized.parameters(
        *("../n", "/etc/passwd", "other-train.tfrecord-00000-of-00002", "", "a/b"),
    )
    def test_only_files_of_its_own_names(self, name):
        values = attrs.asdict(_manifest())
        split = values["splits"]["train"]
        for holder, key in ((split["shards"][0], "file"), (split, "index")):
            right, holder[key] = holder[key], name
            self._write(values)
            with self.assertRaisesRegex(files.UserError, "it lists the file"):
                shards.load_manifest(self.folder)
            holder[key] = right

    @parameterized.parameters("../train", "", "a b", "train/", "é")
    def test_splits_are_identifiers(self, name):
        values = attrs.asdict(_manifest())
        values["splits"][name] = values["splits"].pop("train")
        self._write(values)
        with self.assertRaisesRegex(files.UserError, "no name of a data set or split"):
            shards.load_manifest(self.folder)

    def test_links_lead_nowhere_else(self):
        shards.save_manifest(self.folder, _manifest())
        link = os.path.join(self.folder, "n-train.index.npy")
        os.symlink("elsewhere", link)
        shards.load_manifest(self.folder)
        os.remove(link)
        os.symlink(self.create_tempfile("secret").full_path, link)
        with self.assertRaisesRegex(files.UserError, "a link that leads out"):
            shards.load_manifest(self.folder)

    def test_a_pipe_is_no_manifest(self):
        os.mkfifo(self.path)
        with self.assertRaisesRegex(files.UserError, "not a regular file"):
            shards.load_manifest(self.folder)

    def test_other_schema_version(self):
        values = attrs.asdict(_manifest()) | {"schema_version": 7, "new": 1}
        self._write(values)
        with self.assertRaisesRegex(
            files.UserError, "schema version 1 .* received version 7"
        ):
            shards.load_manifest(self.folder)


if __name__ == "__main__":
    tf.test.main()
