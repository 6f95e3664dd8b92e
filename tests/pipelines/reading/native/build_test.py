import os
import pathlib
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, folders
from pipelines.reading.native import build
from tests.pipelines.reading.native import build_fixtures


class BuildTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.cache = self.folder / "cache"
        self._set(**{folders.CACHE_VARIABLE: str(self.cache)})

    def _set(self, **variables):
        self.enter_context(mock.patch.dict(os.environ, variables))

    def _compiler(self, script="", seconds=0.0):
        path = build_fixtures.compiler(str(self.folder), seconds, script)
        self._set(CXX=path)
        return path

    def _calls(self):
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def _libraries(self):
        return [path.name for path in self.cache.iterdir() if path.suffix == ".so"]

    def test_the_cache_is_the_users(self):
        self.assertEqual(build.cache_dir(), self.cache)
        self._set(**{folders.CACHE_VARIABLE: "", "XDG_CACHE_HOME": "/xdg"})
        self.assertEqual(build.cache_dir(), pathlib.Path("/xdg/vae_prod"))
        self._set(XDG_CACHE_HOME="", HOME="/home/me")
        self.assertEqual(build.cache_dir(), pathlib.Path("/home/me/.cache/vae_prod"))

    def test_the_name_tells_sources_version_and_flags(self):
        sources = self.folder / "sources"
        shutil.copytree(build._HERE, sources)
        names = {build.library_path()}
        with mock.patch.object(build, "_HERE", sources):
            self.assertIn(build.library_path(), names)
            for name in (build._UNIT, *build._HEADERS):
                with open(sources / name, "a") as file:
                    file.write("\n")
                names.add(build.library_path())
        with mock.patch.object(tf.version, "VERSION", "2.99"):
            names.add(build.library_path())
        with mock.patch.object(build, "_FLAGS", ("-O0",)):
            names.add(build.library_path())
        self.assertLen(names, 3 + 1 + len(build._HEADERS))

    def test_every_source_counts(self):
        sources = {p.name for p in build._HERE.iterdir() if p.suffix in (".cc", ".h")}
        self.assertEqual(sources, {build._UNIT, *build._HEADERS})

    def test_threads_build_once(self):
        self._compiler(seconds=0.5)
        built = []

        def run():
            built.append(build.build().read_text())

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(built, ["halfwhole"] * 4)
        self.assertEqual(self._calls(), 1)
        self.assertLen(self._libraries(), 1)

    def test_processes_build_once(self):
        self._compiler(seconds=0.5)
        # The lock and the building alone, so that TensorFlow isn't loaded again.
        path = build.library_path()
        code = f"""
            import sys, types, pathlib
            sys.modules["tensorflow"] = tf = types.ModuleType("tensorflow")
            tf.sysconfig = types.SimpleNamespace(
                get_include=str, get_compile_flags=list, get_link_flags=list
            )
            from pipelines.reading.native import build
            build.library_path = lambda: pathlib.Path({str(path)!r})
            print(build.build().read_text())
        """
        package = build._HERE.parents[1]
        (self.folder / "pipelines/reading/native").mkdir(parents=True)
        # Packages, or those of an installed project came first.
        for name in ("", "reading", "reading/native"):
            (self.folder / "pipelines" / name / "__init__.py").touch()
        modules = ("files.py", "trust.py", "folders.py", "asides.py", "failures.py")
        for name in (*modules, "reading/native/build.py"):
            shutil.copy(package / name, self.folder / "pipelines" / name)
        command = [sys.executable, "-c", textwrap.dedent(code)]
        running = [
            subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        built = [process.communicate()[0] for process in running]
        self.assertEqual(built, ["halfwhole\n"] * 3)
        self.assertEqual(self._calls(), 1)
        self.assertLen(self._libraries(), 1)

    def test_what_is_there_is_not_built(self):
        self._compiler()
        path = build.build()
        self.assertEqual(build.build(), path)
        self.assertEqual(self._calls(), 1)

    def test_the_cache_is_private_whatever_the_umask(self):
        self.addCleanup(os.umask, os.umask(0))
        self._compiler()
        path = build.build()
        for entry in (self.cache, path, build.digest_path(path)):
            self.assertEqual(stat.S_IMODE(entry.stat().st_mode), 0o700)
        self.assertEqual(build.build(), path)
        self.assertEqual(self._calls(), 1)

    @parameterized.parameters(
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"theirs"),
        lambda path: path.chmod(0o777),
        lambda path: (path.rename(f"{path}.elsewhere"), path.symlink_to("elsewhere")),
        lambda path: build.digest_path(path).unlink(),
        lambda path: build.digest_path(path).write_bytes(b"\xff"),
        lambda path: build.digest_path(path).chmod(0o666),
    )
    def test_what_is_not_as_it_was_built_is_built_anew(self, harm):
        self._compiler()
        path = build.build()
        harm(path)
        self.assertEqual(build.build().read_text(), "halfwhole")
        self.assertTrue(build.is_sound(path))
        self.assertEqual(self._calls(), 2)

    def test_a_library_of_another_user_is_built_anew(self):
        if os.geteuid():
            self.skipTest("only root gives files away")
        self._compiler()
        path = build.build()
        os.chown(path, 12345, 12345)
        self.assertFalse(build.is_sound(path))
        build.build()
        self.assertEqual(path.stat().st_uid, 0)

    @parameterized.parameters(0o777, 0o770, 0o702)
    def test_a_folder_that_others_write_to_is_refused(self, mode):
        self.cache.mkdir()
        self.cache.chmod(mode)
        with self.assertRaisesRegex(
            files.UserError, rf"alone .*{mode:04o}.*Set {folders.CACHE_VARIABLE} to"
        ):
            build.build()
        self.assertEmpty(list(self.cache.iterdir()))

    def test_a_folder_of_another_user_is_refused(self):
        if os.geteuid():
            self.skipTest("only root gives folders away")
        self.cache.mkdir(0o700)
        os.chown(self.cache, 12345, 12345)
        with self.assertRaisesRegex(files.UserError, "found owner 12345"):
            build.build()

    def test_no_compiler(self):
        self._set(PATH="", CXX="")
        with self.assertRaisesRegex(files.UserError, r"\(c\+\+, g\+\+.* found none\."):
            build.build()
        self.assertEmpty(self._libraries())

    @parameterized.parameters(
        ("#!/bin/sh\necho 'no such  header' >&2; exit 3\n", r"no such header"),
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("no program", "Exec format error"),
        ("#!/bin/sh\nkill -9 $$\n", "exit status -9"),
    )
    def test_a_failing_compiler_says_why(self, script, reason):
        path = self._compiler(script)
        with self.assertRaisesRegex(files.UserError, rf"{path} .*\({reason}\)\. Mend"):
            build.build()
        self.assertEmpty(self._libraries())

    def test_a_compiler_that_is_not_there(self):
        self._set(CXX="no-such-compiler")
        with self.assertRaisesRegex(files.UserError, r"\(No such file or directory\)"):
            build.build()

    def test_a_compiler_with_arguments(self):
        path = self._compiler()
        self._set(CXX=f"env {path}")
        self.assertEqual(build.build().read_text(), "halfwhole")

    def test_an_interrupted_build_leaves_nothing(self):
        self._compiler()
        with (
            mock.patch.object(os, "replace", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            build.build()
        self.assertEmpty(self._libraries())
        self.assertEqual(build.build().read_text(), "halfwhole")

    def test_a_cache_that_cant_be_written(self):
        in_the_way = self.folder / "file"
        in_the_way.write_text("")
        self._set(**{folders.CACHE_VARIABLE: str(in_the_way / "cache")})
        with self.assertRaisesRegex(
            files.UserError, f"Set {folders.CACHE_VARIABLE} to"
        ):
            build.build()

    def test_a_read_only_cache(self):
        if os.geteuid() == 0:
            self.skipTest("nothing is read-only for root")
        self.cache.mkdir()
        self.cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with self.assertRaisesRegex(files.UserError, "Permission denied"):
            build.build()


if __name__ == "__main__":
    tf.test.main()
