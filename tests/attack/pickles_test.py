"""Files that would run code if they were unpickled: nothing that reads arrays does."""

import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files, npy, sources
from vae_prod.core import artefacts


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


class PicklesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.mark = os.path.join(self.folder, "ran")
        self.array = np.array([[[_Bomb(self.mark)]]], object)

    def tearDown(self):
        self.assertFalse(os.path.exists(self.mark))
        super().tearDown()

    def test_the_bomb_is_one(self):
        path = os.path.join(self.folder, "a.npy")
        np.save(path, self.array)
        np.load(path, allow_pickle=True)
        self.assertTrue(os.path.exists(self.mark))
        os.remove(self.mark)

    def test_npz_sources(self):
        path = os.path.join(self.folder, "a.npz")
        np.savez(path, images=self.array)
        with self.assertRaisesRegex(files.UserError, "Expected an array of images"):
            sources.open_source(path, config_lib.ConvertConfig())

    def test_npy_files(self):
        path = os.path.join(self.folder, "a.npy")
        np.save(path, self.array)
        with open(path, "rb") as file, self.assertRaisesRegex(ValueError, "numbers"):
            npy.read_header(file)

    def test_artefacts(self):
        folder = os.path.join(self.folder, "artefact")
        artefacts.save(folder, {"values": np.zeros(2)}, {})
        np.savez(os.path.join(folder, "arrays.npz"), values=self.array)
        with self.assertRaises(files.UserError):
            artefacts.load(folder, "values", "Make them again.")


if __name__ == "__main__":
    tf.test.main()
