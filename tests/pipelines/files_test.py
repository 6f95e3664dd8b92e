"""Atomic writing: the old content or the new one, whenever and however it ends."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import asides, files

# Above what Linux gives to any process.
_DEAD = 99_999_999
_KILL = "os.kill(os.getpid(), signal.SIGKILL)"
# Replaces a function of a module by one that kills the process.
_KILL_IN = """
def killed(*args, **kwargs):
    {kill}
{module}.{name} = killed
""".replace("{kill}", _KILL)
_WRITE = "files.write(path, b'new')"
_WRITE_FOLDER = """
with files.new_folder(path) as folder:
    with open(os.path.join(folder, "content"), "wb") as file:
        file.write(b"new")
"""


def _run(program: str, path: str) -> subprocess.CompletedProcess:
    """Run lines of Python in a process that has `files` and `path`."""
    head = f"import os, shutil, signal\nfrom pipelines import files\npath = {path!r}\n"
    command = [sys.executable, "-c", head + program]
    return subprocess.run(command, capture_output=True, check=False)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class FileTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, "thing.json")

    def test_write_replaces_and_leaves_nothing_else(self):
        for content in (b"one", b"two"):
            files.write(self.path, content)
        self.assertEqual(_read(self.path), b"two")
        self.assertEqual(os.listdir(self.folder), ["thing.json"])

    def test_text_is_utf8_with_its_line_ends(self):
        files.write(self.path, "ä\r\n")
        self.assertEqual(_read(self.path), "ä\r\n".encode())
        with files.open_new(self.path, "w") as file:
            file.write("ß\n")
        self.assertEqual(_read(self.path), "ß\n".encode())

    def test_until_the_end_the_old_file_is_there(self):
        files.write(self.path, b"old")
        with files.open_new(self.path) as file:
            file.write(b"new")
            file.flush()
            self.assertEqual(_read(self.path), b"old")
            aside = os.path.basename(asides.path(self.path))
            self.assertCountEqual(os.listdir(self.folder), ["thing.json", aside])
        self.assertEqual(_read(self.path), b"new")

    @parameterized.parameters(files.open_new, files.new_file)
    def test_an_error_leaves_the_old_file(self, opened):
        files.write(self.path, b"old")
        with self.assertRaises(ZeroDivisionError), opened(self.path) as new:
            if opened is files.new_file:
                with open(new, "wb") as file:
                    file.write(b"half")
            else:
                new.write(b"half")
            _ = 1 / 0
        self.assertEqual(_read(self.path), b"old")
        self.assertEqual(os.listdir(self.folder), ["thing.json"])

    @parameterized.parameters(("os", "fsync"), ("os", "replace"))
    def test_killed_in_the_middle(self, module, name):
        files.write(self.path, b"old")
        done = _run(_KILL_IN.format(module=module, name=name) + _WRITE, self.path)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertEqual(_read(self.path), b"old")
        self.assertLen(os.listdir(self.folder), 2)
        # The next one clears up.
        files.write(self.path, b"newer")
        self.assertEqual(os.listdir(self.folder), ["thing.json"])

    def test_on_the_disk_before_it_has_its_name(self):
        calls = mock.Mock()
        with (
            mock.patch.object(os, "fsync", wraps=os.fsync) as fsync,
            mock.patch.object(os, "replace", wraps=os.replace) as replace,
        ):
            calls.attach_mock(fsync, "fsync")
            calls.attach_mock(replace, "replace")
            files.write(self.path, b"new")
        names = [call[0] for call in calls.mock_calls]
        self.assertEqual(names, ["fsync", "replace", "fsync"])

    def test_written_aside_elsewhere(self):
        with files.new_file(self.path, os.path.join(self.folder, "kept")) as aside:
            self.assertStartsWith(os.path.basename(aside), "kept.")
            with open(aside, "wb") as file:
                file.write(b"new")
        self.assertEqual(os.listdir(self.folder), ["thing.json"])

    def test_what_others_have_aside_is_theirs(self):
        dead = asides.path(self.path, process=_DEAD)
        with mock.patch.object(asides, "host", return_value="elsewhere"):
            remote = asides.path(self.path, process=_DEAD)
        others = [
            asides.path(self.path, process=os.getppid()),
            f"{self.path}.tmp",
            asides.path(f"{self.path}2", process=_DEAD),
            remote,
        ]
        for path in (*others, dead):
            with open(path, "w"):
                pass
        with contextlib.redirect_stderr(io.StringIO()) as said:
            files.write(self.path, b"new")
        self.assertIn(f"{remote} is of a process on elsewhere", said.getvalue())
        kept = [os.path.join(self.folder, name) for name in os.listdir(self.folder)]
        self.assertCountEqual(kept, [self.path, *others])

    def test_unwritable_place_in_a_sentence(self):
        for path in (os.path.join(self.folder, "none", "thing"), self.folder):
            with self.assertRaisesRegex(
                files.PlaceError, f"Expected to use {path}, .*directory"
            ):
                files.write(path, b"new")

    def test_full_disk_in_a_sentence(self):
        with (
            self.assertRaisesRegex(
                files.PlaceError,
                r"Expected to use .*thing.json, there is no room \(No space left .* MB",
            ),
            files.new_file(self.path) as aside,
        ):
            os.symlink("/dev/full", aside)
            with open(aside, "wb", buffering=0) as file:
                file.write(b"new")
        self.assertEmpty(os.listdir(self.folder))

    def test_sha256_over_several_blocks(self):
        data = np.random.default_rng(0).bytes(3_000_000)
        files.write(self.path, data)
        self.assertEqual(files.sha256(self.path), hashlib.sha256(data).hexdigest())


class RemoteFileTest(tf.test.TestCase):
    """TensorFlow's file system in memory stands for remote ones."""

    def test_written_and_read_through_tensorflow(self):
        path = f"ram://{self.id()}/thing"
        tf.io.gfile.makedirs(os.path.dirname(path))
        for content in (b"old", b"new"):
            files.write(path, content)
        with tf.io.gfile.GFile(path, "rb") as file:
            self.assertEqual(file.read(), b"new")
        self.assertEqual(files.sha256(path), hashlib.sha256(b"new").hexdigest())
        self.assertEqual(tf.io.gfile.listdir(os.path.dirname(path)), ["thing"])

    def test_refused_place_in_a_sentence(self):
        with self.assertRaisesRegex(
            files.PlaceError, "Expected to use none://thing, it failed"
        ):
            files.write("none://thing", b"new")

    def test_folders_are_local(self):
        with (
            self.assertRaisesRegex(files.UserError, "a folder of this machine"),
            files.new_folder("gs://bucket/thing"),
        ):
            pass

    def test_tensorflow_is_not_imported_for_local_paths(self):
        path = os.path.join(self.create_tempdir().full_path, "thing")
        check = "\nimport sys; sys.exit('tensorflow' in sys.modules)"
        self.assertEqual(_run(_WRITE + check, path).returncode, 0)


class FolderTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.path = os.path.join(self.folder, "thing")

    def _write(self, content: bytes) -> None:
        with files.new_folder(self.path) as folder:
            files.write(os.path.join(folder, "content"), content)

    def _content(self) -> bytes:
        return _read(os.path.join(self.path, "content"))

    @parameterized.parameters(True, False)
    def test_replaces_and_leaves_nothing_else(self, can_swap):
        swap = files._swap if can_swap else mock.Mock(return_value=False)
        with mock.patch.object(files, "_swap", swap):
            for content in (b"one", b"two"):
                self._write(content)
        self.assertEqual(self._content(), b"two")
        self.assertEqual(os.listdir(self.folder), ["thing"])

    def test_an_error_leaves_the_old_folder(self):
        self._write(b"old")
        with self.assertRaises(ZeroDivisionError), files.new_folder(self.path):
            _ = 1 / 0
        self.assertEqual(self._content(), b"old")
        self.assertEqual(os.listdir(self.folder), ["thing"])

    @parameterized.parameters(
        ("files", "_sync_tree", b"old"),
        ("files", "_swap", b"old"),
        ("shutil", "rmtree", b"new"),
    )
    def test_killed_in_the_middle(self, module, name, content):
        self._write(b"old")
        program = _KILL_IN.format(module=module, name=name) + _WRITE_FOLDER
        done = _run(program, self.path)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertEqual(self._content(), content)
        self.assertLen(os.listdir(self.folder), 2)
        self._write(b"newer")
        self.assertEqual(self._content(), b"newer")
        self.assertEqual(os.listdir(self.folder), ["thing"])

    @parameterized.parameters((1, b"old"), (2, b"old"), (3, b"new"))
    def test_killed_where_names_cannot_be_swapped(self, call, content):
        self._write(b"old")
        program = f"""
files._swap = lambda first, second: False
rename, calls = os.rename, []
def counted(*args):
    calls.append(args)
    if len(calls) == {call}:
        {_KILL}
    rename(*args)
os.rename = counted
def killed(*args, **kwargs):
    {_KILL}
shutil.rmtree = killed
"""
        done = _run(program + _WRITE_FOLDER, self.path)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        # Between two renames there is none of the name: the old one gets it back.
        files.remove_leftovers(self.path)
        self.assertEqual(self._content(), content)
        self.assertEqual(os.listdir(self.folder), ["thing"])

    def test_a_second_rename_that_fails_leaves_the_old_folder(self):
        self._write(b"old")
        rename, calls = os.rename, []

        def fail(*args):
            calls.append(args)
            if len(calls) == 2:
                raise OSError(errno.EIO, "no more")
            rename(*args)

        with (
            mock.patch.object(files, "_swap", return_value=False),
            mock.patch.object(os, "rename", fail),
            self.assertRaisesRegex(files.PlaceError, "its disk failed .no more."),
        ):
            self._write(b"new")
        self.assertEqual(self._content(), b"old")
        self.assertEqual(os.listdir(self.folder), ["thing"])

    def test_on_the_disk_before_it_has_its_name(self):
        calls, aside = mock.Mock(), asides.path(self.path)
        with (
            mock.patch.object(files, "sync", calls.sync),
            mock.patch.object(os, "rename", calls.rename),
            files.new_folder(self.path) as folder,
            open(os.path.join(folder, "content"), "w"),
        ):
            pass
        expected = [
            mock.call.sync(os.path.join(aside, "content")),
            mock.call.sync(aside),
            mock.call.rename(aside, self.path),
            mock.call.sync(self.folder),
        ]
        self.assertEqual(calls.mock_calls, expected)

    def test_a_file_of_the_name_is_no_folder(self):
        files.write(self.path, b"file")
        with self.assertRaisesRegex(files.UserError, "Not a directory"):
            self._write(b"new")
        self.assertEqual(_read(self.path), b"file")

    def test_of_a_link_the_target_is_replaced(self):
        target = self.create_tempdir().full_path
        os.symlink(target, self.path)
        self._write(b"new")
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(os.listdir(target), ["content"])

    def test_remove(self):
        self._write(b"old")
        files.remove_folder(self.path)
        files.remove_folder(self.path)
        self.assertEmpty(os.listdir(self.folder))

    def test_killed_while_removing(self):
        self._write(b"old")
        program = _KILL_IN.format(module="shutil", name="rmtree")
        done = _run(program + "files.remove_folder(path)", self.path)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertFalse(os.path.exists(self.path))
        files.remove_leftovers(self.path)
        self.assertEmpty(os.listdir(self.folder))


class LockTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.create_tempdir().full_path, "lock")

    def _holder(self) -> subprocess.Popen:
        """Start a process that holds the lock until it is killed."""
        program = (
            "import time; from pipelines import files\n"
            f"with files.locked({self.path!r}):\n"
            "    print('held', flush=True); time.sleep(600)"
        )
        holder = subprocess.Popen([sys.executable, "-c", program], stdout=-1)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        return holder

    def test_refused_while_another_holds_it_and_free_after_its_death(self):
        holder = self._holder()
        with (
            self.assertRaisesRegex(
                files.UserError,
                rf"^Somebody works here. It is process {holder.pid} on ",
            ),
            files.locked(self.path, "Somebody works here."),
        ):
            pass
        holder.kill()
        holder.wait()
        with files.locked(self.path, "Somebody works here."):
            pass

    @parameterized.parameters("", f"{_DEAD} {asides.host()}")
    def test_a_holder_that_has_not_said_who_it_is_yet(self, before):
        with open(self.path, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(before)
            file.flush()

            def write(_):
                with open(self.path, "w") as other:
                    other.write(f"{os.getpid()} {asides.host()}")

            told = rf"^Somebody works here. It is process {os.getpid()} on "
            with (
                mock.patch("time.sleep", side_effect=write) as slept,
                self.assertRaisesRegex(files.UserError, told),
                files.locked(self.path, "Somebody works here."),
            ):
                pass
            slept.assert_called_once()

    def test_waits_where_it_does_not_refuse(self):
        holder = self._holder()
        program = f"from pipelines import files\nwith files.locked({self.path!r}): pass"
        waiter = subprocess.Popen([sys.executable, "-c", program])
        self.addCleanup(waiter.kill)
        with self.assertRaises(subprocess.TimeoutExpired):
            waiter.wait(1)
        holder.kill()
        self.assertEqual(waiter.wait(60), 0)

    def test_removed_at_the_end_also_while_others_wait(self):
        there = []

        def wait():
            with files.locked(self.path):
                there.append(os.path.exists(self.path))

        with files.locked(self.path):
            waiters = [threading.Thread(target=wait) for _ in range(3)]
            for waiter in waiters:
                waiter.start()
        for waiter in waiters:
            waiter.join()
        self.assertEqual(there, [True] * 3)
        self.assertFalse(os.path.exists(self.path))

    def test_unwritable_place_in_a_sentence(self):
        path = os.path.join(self.path, "none")
        with (
            self.assertRaisesRegex(files.UserError, f"Expected to use {path}"),
            files.locked(path),
        ):
            pass


if __name__ == "__main__":
    tf.test.main()
