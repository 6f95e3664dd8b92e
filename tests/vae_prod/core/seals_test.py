import os

import tensorflow as tf

from vae_prod.core import seals


class SealTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        for name, content in (("a", b"0" * 100), ("b", b"1" * 50)):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(content)
        seals.write(self.folder)

    def _write(self, name, content):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(content)

    def test_whole(self):
        self.assertEqual(seals.damage(self.folder), "")
        self._write("c", b"added")
        self.assertEqual(seals.damage(self.folder), "")

    def test_damage_is_named(self):
        for content in (b"0" * 99, b"", b"0" * 60 + b"1" + b"0" * 39):
            self._write("a", content)
            self.assertEqual(seals.damage(self.folder), "a isn't what was written")
        self.assertEqual(seals.damage(self.folder, ["b"]), "")
        os.remove(os.path.join(self.folder, "a"))
        self.assertEqual(seals.damage(self.folder), "a is missing")

    def test_a_damaged_or_missing_seal(self):
        for content in (b"", b"[]", b'"a"', b'{"a": 1}', b"\xff", b"7", b"null"):
            self._write(seals.NAME, content)
            self.assertNotEmpty(seals.damage(self.folder, ["b"]), content)
        os.remove(os.path.join(self.folder, seals.NAME))
        self.assertFalse(seals.is_sealed(self.folder))
        self.assertEqual(seals.damage(self.folder), "digests.json is missing")


if __name__ == "__main__":
    tf.test.main()
