"""Folders on TensorFlow's file system in memory, which stands for a remote one."""

import os
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files, sources
from pipelines.converting import conversion, plan
from pipelines.sources import trees
from tests.pipelines import fixtures
from tests.pipelines.sources import layouts_fixtures

_CONFIG = config_lib.ConvertConfig(image_size=8, shards=2)


def _copied(folder: str, remote: str) -> str:
    """Copy a folder there; return where."""
    for root, _, names in os.walk(folder):
        inner = os.path.join(remote, os.path.relpath(root, folder))
        tf.io.gfile.makedirs(os.path.normpath(inner).replace(":/", "://"))
        for name in names:
            path = os.path.join(inner, name).replace("/./", "/")
            tf.io.gfile.copy(os.path.join(root, name), path)
    return remote


def _convert(source: str, out: str) -> dict[str, bytes]:
    """Convert a source; return the files' content by name."""
    opened = sources.open_source(source, _CONFIG)
    conversion.convert(plan.make_plan(opened, _CONFIG), out)
    return fixtures.read_all(out)


class RemoteTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.local = layouts_fixtures.official(os.path.join(self.folder, "celeba"))
        fixtures.write_text(self.local, "Thumbs.db", ["left by a system"])
        self.remote = _copied(self.local, f"ram://{self.id()}/celeba")

    def test_gives_what_the_same_folder_gives_here(self):
        expected = _convert(self.local, os.path.join(self.folder, "local"))
        found = _convert(self.remote, os.path.join(self.folder, "remote"))
        self.assertEqual(found, expected)
        self.assertIn("manifest.json", found)

    def test_a_failure_is_told_and_the_same_command_goes_on(self):
        out, read = os.path.join(self.folder, "out"), tf.io.gfile.GFile.read

        def failing(file, *args):
            if file.name.endswith("000040.jpg"):
                raise tf.errors.UnavailableError(None, None, "try again\nlater")
            return read(file, *args)

        with mock.patch.object(tf.io.gfile.GFile, "read", failing):
            message = r"to read ram://.*\.jpg, its file system refused .try again later"
            with self.assertRaisesRegex(files.UserError, message):
                _convert(self.remote, out)
        self.assertNotIn("manifest.json", os.listdir(out))
        expected = _convert(self.local, os.path.join(self.folder, "local"))
        self.assertEqual(_convert(self.remote, out), expected)

    def test_a_picture_that_is_far_too_large_is_bad(self):
        tree = sources.request_lib.Request(self.remote, _CONFIG).tree
        name = next(name for name in tree.sizes if name.endswith("000007.jpg"))
        with mock.patch.object(trees, "MAX_PICTURE_BYTES", tree.sizes[name] - 1):
            self.assertEqual(next(tree.pictures([name])), b"")
        (data,) = tree.pictures([name])
        self.assertEqual(data, layouts_fixtures.picture(6))

    def test_what_is_no_folder_of_images_is_refused(self):
        file = next(iter(tf.io.gfile.glob(f"{self.remote}/Anno/*")))
        for path in (file, "ram://nowhere/at/all"):
            with self.assertRaisesRegex(files.UserError, "which is none; copy other"):
                sources.open_source(path, _CONFIG)
        with self.assertRaisesRegex(
            files.UserError, "Expected images in .* found none"
        ):
            sources.open_source(f"{self.remote}/Anno", _CONFIG)


if __name__ == "__main__":
    tf.test.main()
