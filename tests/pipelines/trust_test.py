import os
import stat
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, trust
from vae_prod.training import compile_cache


class PrivateTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "a", "b")

    def test_makes_a_folder_of_this_user_alone(self):
        trust.make_private(self.folder, "Mend it.")
        self.assertEqual(stat.S_IMODE(os.stat(self.folder).st_mode), 0o700)
        trust.make_private(self.folder, "Mend it.")

    def test_a_folder_of_the_user_that_others_only_read_will_do(self):
        os.makedirs(self.folder, mode=0o755)
        trust.make_private(self.folder, "Mend it.")

    @parameterized.parameters(0o770, 0o707, 0o1777)
    def test_refuses_one_that_others_write_to(self, mode):
        os.makedirs(self.folder)
        os.chmod(self.folder, mode)
        with self.assertRaisesRegex(files.UserError, f"mode {mode:04o}.* Mend it[.]"):
            trust.make_private(self.folder, "Mend it.")

    def test_refuses_one_of_another_user(self):
        os.makedirs(self.folder)
        if os.geteuid() == 0:
            os.chown(self.folder, 12345, 12345)
            owner = os.geteuid()
        else:
            owner = 12345
        with (
            mock.patch.object(os, "geteuid", return_value=owner),
            self.assertRaisesRegex(files.UserError, "found owner"),
        ):
            trust.make_private(self.folder, "Mend it.")

    def test_a_file_in_the_way(self):
        os.makedirs(os.path.dirname(self.folder))
        open(self.folder, "w").close()
        with self.assertRaisesRegex(files.UserError, "File exists.* Mend it[.]"):
            trust.make_private(self.folder, "Mend it.")

    def test_files(self):
        os.makedirs(self.folder)
        path = os.path.join(self.folder, "file")
        self.assertFalse(trust.is_private(path))
        open(path, "w").close()
        os.chmod(path, 0o644)
        self.assertTrue(trust.is_private(path))
        os.chmod(path, 0o664)
        self.assertFalse(trust.is_private(path))
        os.chmod(path, 0o600)
        os.symlink(path, f"{path}.link")
        self.assertFalse(trust.is_private(f"{path}.link"))
        self.assertFalse(trust.is_private(self.folder))

    def test_xla_keeps_nothing_where_others_write(self):
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o777)
        with (
            mock.patch.dict(os.environ),
            self.assertRaisesRegex(files.UserError, "Mend --compile_cache"),
        ):
            compile_cache.use(self.folder)


class OpenRegularTest(tf.test.TestCase):
    def test_reads_files_and_through_links(self):
        path = self.create_tempfile("file", "content").full_path
        link = os.path.join(self.create_tempdir().full_path, "link")
        os.symlink(path, link)
        for name in (path, link):
            with trust.open_regular(name) as file:
                self.assertEqual(file.read(), b"content")

    def test_refuses_what_has_no_end(self):
        folder = self.create_tempdir().full_path
        pipe = os.path.join(folder, "pipe")
        os.mkfifo(pipe)
        for path in (pipe, "/dev/zero", folder):
            with self.assertRaisesRegex(OSError, "not a regular file"):
                trust.open_regular(path)
        with self.assertRaises(FileNotFoundError):
            trust.open_regular(os.path.join(folder, "gone"))


class PrintableTest(tf.test.TestCase):
    def test_steers_no_terminal(self):
        text = "a\x1b[2J\x07\x9b31m\u202eb\r\nc é"
        self.assertEqual(trust.printable(text), "a?[2J??31m?b?\nc é")
        self.assertEqual(trust.printable("a" * 99, 3), "aaa")


class LeadsOutTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        *("", "..", ".", "/etc/passwd", "../a", "a/../../b", "a//b", "a\\b", "a\0b")
    )
    def test_names(self, name):
        for folder in (self.create_tempdir().full_path, "gs://bucket/data"):
            self.assertTrue(trust.leads_out(folder, name))

    def test_links(self):
        outer = self.create_tempdir().full_path
        folder = os.path.join(outer, "folder")
        os.makedirs(os.path.join(folder, "inner"))
        for target, name in (
            *(("..", "up"), ("../secret", "out"), ("/etc", "etc")),
            *(("inner", "in"), ("gone", "dangling")),
        ):
            os.symlink(target, os.path.join(folder, name))
        os.symlink(folder, os.path.join(outer, "link"))
        for place in (folder, os.path.join(outer, "link")):
            for name in ("up", "out", "etc", "etc/passwd", "up/secret"):
                self.assertTrue(trust.leads_out(place, name), name)
            for name in ("in", "dangling", "inner", "in/file", "not there", "a..b"):
                self.assertFalse(trust.leads_out(place, name), name)


if __name__ == "__main__":
    tf.test.main()
