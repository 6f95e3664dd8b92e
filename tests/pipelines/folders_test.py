"""Whose a folder is, who writes in it, and what in it is whole."""

import os
import shutil

import tensorflow as tf
from absl.testing import parameterized

from pipelines import asides, files, folders

# Above what Linux gives to any process.
_DEAD = 99_999_999
_MARK = "mark.json"


class OursTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "folder")

    def _make(self, *names):
        os.makedirs(self.folder, exist_ok=True)
        for name in names:
            with open(os.path.join(self.folder, name), "w"):
                pass

    @parameterized.parameters(
        ((),),
        ((_MARK, "anything"),),
        ((asides.path(_MARK, process=_DEAD),),),
        ((folders.LOCK, *(asides.path(_MARK, process=p) for p in (1, 2))),),
    )
    def test_ours(self, names):
        folders.require_ours(self.folder, _MARK, "--out")
        self._make(*names)
        folders.require_ours(self.folder, _MARK, "--out")

    @parameterized.parameters("thesis.txt", f"{_MARK}.tmp", asides.path(f"my{_MARK}"))
    def test_of_others(self, name):
        self._make(name)
        for hold in (folders.alone, folders.replacing):
            with (
                self.assertRaisesRegex(
                    files.UserError, rf"as --out, .*folder holds other files \({name}\)"
                ),
                hold(self.folder, _MARK, "--out"),
            ):
                pass
        self.assertEqual(os.listdir(self.folder), [name])

    def test_files_and_remote_folders_are_refused(self):
        file = f"{self.folder}.txt"
        files.write(file, "mine")
        for path, words in ((file, "Not a directory"), ("gs://b/x", "local folder")):
            with (
                self.assertRaisesRegex(files.UserError, words),
                folders.alone(path, _MARK, "--out"),
            ):
                pass

    @parameterized.parameters(folders.alone, folders.replacing)
    def test_one_writer_at_a_time(self, hold):
        for _ in range(2):
            with (
                hold(self.folder, _MARK, "--out"),
                self.assertRaisesRegex(files.UserError, "--out=.* for this process"),
                hold(self.folder, _MARK, "--out"),
            ):
                pass
        parent = os.path.dirname(self.folder)
        there = [n for folder in os.walk(parent) for n in (*folder[1], *folder[2])]
        self.assertEqual(there, ["folder"] if hold is folders.alone else [])

    def test_a_folder_that_is_removed_meanwhile(self):
        with (
            self.assertRaisesRegex(files.UserError, "--out=.* was removed while"),
            folders.alone(self.folder, _MARK, "--out"),
        ):
            shutil.rmtree(self.folder)

    def test_a_folder_that_is_removed_meanwhile_is_not_made_anew(self):
        with (
            self.assertRaisesRegex(files.UserError, "Expected to use .*isn't there"),
            folders.alone(self.folder, _MARK, "--out"),
        ):
            inner = os.path.join(self.folder, "some", "inner")
            with files.new_folder(inner):
                pass
            shutil.rmtree(self.folder)
            with files.new_folder(inner):
                pass
        self.assertFalse(os.path.exists(self.folder))

    def test_the_lock_of_a_dead_process_is_free(self):
        self._make(folders.LOCK)
        with folders.alone(self.folder, _MARK, "--out"):
            pass
        self.assertEmpty(os.listdir(self.folder))


class NamesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "[a-b]*?")
        os.makedirs(os.path.join(self.folder, asides.path("train", process=_DEAD)))
        self.living, dead = (
            asides.path("a", process=process) for process in (os.getppid(), _DEAD)
        )
        for name in ("b", "a", ".lock", self.living, dead):
            with open(os.path.join(self.folder, name), "w"):
                pass

    def test_listed_is_what_is_whole(self):
        self.assertEqual(folders.listed(self.folder), ["a", "b"])
        self.assertEmpty(folders.listed(os.path.join(self.folder, "none")))

    def test_leftovers_of_the_dead_are_removed(self):
        folders.remove_leftovers(self.folder)
        self.assertCountEqual(os.listdir(self.folder), ["a", "b", ".lock", self.living])
        folders.remove_leftovers(os.path.join(self.folder, "none"))

    def test_without_patterns(self):
        with folders.without_patterns(self.folder) as path:
            self.assertNoCommonElements(path, "[]*?")
            self.assertCountEqual(os.listdir(path), os.listdir(self.folder))

    def test_absolute(self):
        self.assertEqual(folders.absolute("a"), os.path.join(os.getcwd(), "a"))
        for path in ("gs://bucket/a", "file:///a", "/a"):
            self.assertEqual(folders.absolute(path), path)


if __name__ == "__main__":
    tf.test.main()
