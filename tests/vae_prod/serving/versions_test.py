import os
import shutil

import tensorflow as tf

from pipelines import files
from vae_prod.serving import description, versions


def _make(directory: str) -> str:
    """Make a version with the files that make it a good one, and no model."""
    with versions.new(directory) as (aside, made):
        os.makedirs(os.path.join(aside, description.EXTRA))
        with open(os.path.join(aside, "saved_model.pb"), "w") as file:
            file.write("model")
        described = description.Description(
            **{name: {} for name in ("signatures", "preparation", "made_by")},
            **{name: [] for name in ("samplers", "attributes")},
            **dict.fromkeys(("default", "weights_digest", "data_digest"), ""),
            sharpness=1.0,
            max_batch=1,
            max_pixels=1,
            max_request_pixels=1,
            variance=None,
        )
        path = os.path.join(aside, description.EXTRA, description.NAME)
        with open(path, "w") as file:
            file.write(described.sealed(aside).to_text())
    return made


class VersionsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(self.create_tempdir().full_path, "faces")

    def test_count_up_from_the_newest(self):
        self.assertEmpty(versions.listed(self.directory))
        self.assertEqual(
            [os.path.basename(_make(self.directory)) for _ in "ab"], ["1", "2"]
        )
        shutil.rmtree(versions.path_of(self.directory, 1))
        os.makedirs(versions.path_of(self.directory, 10))
        _make(self.directory)
        self.assertEqual(versions.listed(self.directory), [2, 10, 11])

    def test_an_error_leaves_nothing(self):
        with self.assertRaisesRegex(KeyError, "x"), versions.new(self.directory):
            raise KeyError("x")
        self.assertEmpty(os.listdir(self.directory))

    def test_one_at_a_time(self):
        with (
            versions.new(self.directory),
            self.assertRaisesRegex(files.UserError, "another export is under way"),
            versions.new(self.directory),
        ):
            pass
        self.assertEqual(versions.listed(self.directory), [1])

    def test_damage_is_told_by_file(self):
        path = _make(self.directory)
        self.assertTrue(versions.is_good(path))
        os.remove(os.path.join(path, "saved_model.pb"))
        with open(os.path.join(path, "more"), "w"):
            pass
        told = description.damage(path, description.load(path))
        self.assertEqual(told, ["saved_model.pb is missing", "more was added"])
        with open(os.path.join(path, "saved_model.pb"), "w") as file:
            file.write("m0del")
        told = description.damage(path, description.load(path))
        self.assertIn("saved_model.pb isn't what was exported", told)
        self.assertFalse(versions.is_good(path))

    def test_keeps_the_newest_good_ones(self):
        for _ in range(5):
            _make(self.directory)
        os.makedirs(versions.path_of(self.directory, 0))  # Somebody else's.
        for version in (4, 5):
            os.remove(os.path.join(self.directory, str(version), "saved_model.pb"))
        self.assertEqual(versions.remove_old(self.directory, 2), [1])
        self.assertEqual(versions.listed(self.directory), [0, 2, 3, 4, 5])
        self.assertEqual(versions.remove_old(self.directory, 1), [2])
        self.assertEqual(versions.listed(self.directory), [0, 3, 4, 5])
        self.assertEmpty(versions.remove_old(self.directory, 2))
        names = {name for name in os.listdir(self.directory) if not name.isdigit()}
        self.assertEmpty(names)

    def test_of_another_schema(self):
        path = _make(self.directory)
        name = os.path.join(path, description.EXTRA, description.NAME)
        with open(name) as file:
            text = file.read()
        with open(name, "w") as file:
            file.write(text.replace('"schema_version": 1', '"schema_version": 7'))
        with self.assertRaisesRegex(files.UserError, "schema version 7. Export again"):
            description.load(path)


if __name__ == "__main__":
    tf.test.main()
