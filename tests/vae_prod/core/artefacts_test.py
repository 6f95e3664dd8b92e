import os

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.core import artefacts


class ArtefactsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.create_tempdir().full_path, "new", "thing")

    def test_round_trip_replaces_an_older_one(self):
        for number in (1, 2):
            arrays = {"a": np.arange(number), "names": np.array(["no Hat"])}
            artefacts.save(self.path, arrays, {"seed": number})
        loaded, made = artefacts.load(self.path, "a thing", "")
        self.assertAllEqual(loaded["a"], [0, 1])
        self.assertEqual(loaded["names"].tolist(), ["no Hat"])
        self.assertEqual(made, {"seed": 2})
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["thing"])

    def test_missing_and_damaged_are_told_in_a_sentence(self):
        with self.assertRaisesRegex(files.UserError, "Expected a hat in .* Buy one."):
            artefacts.load(self.path, "a hat", "Buy one.")
        artefacts.save(self.path, {"a": np.arange(3)}, {})
        for name, content in (("arrays.npz", b"PK"), ("made.json", b"{")):
            with open(os.path.join(self.path, name), "r+b") as file:
                file.truncate()
                file.write(content)
            with self.assertRaisesRegex(files.UserError, "can't be read.* Buy one."):
                artefacts.load(self.path, "a hat", "Buy one.")
            artefacts.save(self.path, {"a": np.arange(3)}, {})

    def test_a_place_that_can_t_be_written(self):
        blocked = os.path.join(self.create_tempdir().full_path, "file")
        with open(blocked, "w"):
            pass
        with self.assertRaisesRegex(files.UserError, "Expected to use "):
            artefacts.save(os.path.join(blocked, "thing"), {}, {})


if __name__ == "__main__":
    tf.test.main()
