"""Conversions to a remote file system that fails at the n-th thing asked of it.

TensorFlow's file system in memory stands for a remote one. Then: one sentence; what has
its final name is whole; the same command goes on, and what it leaves is what a local
conversion leaves. A few numbers are tried, seeded; `VAE_PROD_REMOTE=200` tries so many,
or all there are.
"""

import contextlib
import os
import random
from collections.abc import Iterator
from unittest import mock

import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, shards, sources, verification
from pipelines.converting import conversion, journal, plan
from tests.pipelines import fixtures

_TRIES = int(os.environ.get("VAE_PROD_REMOTE", "6"))
_ASKED = (
    (tf.io.gfile, ("rename", "remove", "makedirs", "listdir")),
    (tf.io.gfile.GFile, ("write", "read", "close")),
    (tf.io.TFRecordWriter, ("write", "close")),
)


class _Unreliable:
    """Fails what is asked of TensorFlow's file systems at one number, from 1."""

    def __init__(self, number: int):
        self.number = number
        self.count = 0

    def take(self, function):
        def asking(*args, **kwargs):
            self.count += 1
            if self.count == self.number:
                raise tf.errors.UnavailableError(None, None, "try again later")
            return function(*args, **kwargs)

        return asking


@contextlib.contextmanager
def _failing(number: int) -> Iterator[_Unreliable]:
    unreliable = _Unreliable(number)
    with contextlib.ExitStack() as stack:
        for owner, names in _ASKED:
            for name in names:
                asking = unreliable.take(getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, asking))
        yield unreliable


class RemoteTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.create_tempdir().full_path
        root = fixtures.write_celeba(os.path.join(folder, "source"))
        config = config_lib.ConvertConfig(image_size=16, shards=2)
        self.plan = plan.make_plan(sources.open_source(root, config), config)
        local = os.path.join(folder, "local")
        conversion.convert(self.plan, local)
        self.wanted = fixtures.read_all(local)

    def _check(self, out: str) -> None:
        self.assertCountEqual(tf.io.gfile.listdir(out), self.wanted)
        # TFDS writes the folder's name into nothing; all else is equal as well.
        for name, content in self.wanted.items():
            with tf.io.gfile.GFile(os.path.join(out, name), "rb") as file:
                self.assertEqual(file.read(), content, name)

    def test_what_fails_is_told_and_goes_on(self):
        with _failing(-1) as calls:
            conversion.convert(self.plan, f"ram://{self.id()}/whole")
        self._check(f"ram://{self.id()}/whole")
        numbers = range(1, calls.count + 1)
        for number in random.Random(1).sample(numbers, min(_TRIES, len(numbers))):
            out = f"ram://{self.id()}/{number:04d}"  # It lists by prefix.
            with self.subTest(number=number):
                with _failing(number):
                    try:
                        conversion.convert(self.plan, out)
                    except files.UserError as error:
                        self.assertIn("try again later", str(error))
                if tf.io.gfile.exists(os.path.join(out, shards.MANIFEST_NAME)):
                    manifest = shards.load_manifest(out)
                    self.assertEqual(verification.damaged_files(out, manifest), [])
                conversion.convert(self.plan, out)
                left = set(tf.io.gfile.listdir(out)) - {journal.FOLDER}
                self.assertContainsSubset(self.wanted, left)
                self._check(out)


if __name__ == "__main__":
    tf.test.main()
