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

from pipelines import files
from pipelines.reading.native import build

# Stands for a compiler: counts its calls, takes its time and writes in two goes.
_SLOW_COMPILER = """\
#!/bin/sh
echo call >> "{calls}"
while [ "$1" != "-o" ]; do shift; done
printf half > "$2"
sleep 0.5
printf whole >> "$2"
"""


class BuildTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.cache = self.folder / "cache"
        self._set(**{build.CACHE_VARIABLE: str(self.cache)})

    def _set(self, **variables):
        self.enter_context(mock.patch.dict(os.environ, variables))

    def _compiler(self, script):
        path = self.folder / "compiler"
        path.write_text(script)
        path.chmod(0o755)
        self._set(CXX=str(path))
        return path

    def _libraries(self):
        return [path.name for path in self.cache.iterdir() if path.suffix != ".lock"]

    def test_the_cache_is_the_users(self):
        self.assertEqual(build.cache_dir(), self.cache)
        self._set(**{build.CACHE_VARIABLE: "", "XDG_CACHE_HOME": "/xdg"})
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
        calls = self.folder / "calls"
        self._compiler(_SLOW_COMPILER.format(calls=calls))
        built = []

        def run():
            built.append(build.build().read_text())

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(built, ["halfwhole"] * 4)
        self.assertEqual(calls.read_text(), "call\n")
        self.assertLen(self._libraries(), 1)

    def test_processes_build_once(self):
        calls = self.folder / "calls"
        self._compiler(_SLOW_COMPILER.format(calls=calls))
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
        for name in ("files.py", "reading/native/build.py"):
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
        self.assertEqual(calls.read_text(), "call\n")
        self.assertLen(self._libraries(), 1)

    def test_what_is_there_is_not_built(self):
        self._compiler("#!/bin/sh\nexit 1\n")
        path = build.library_path()
        path.parent.mkdir(parents=True)
        path.write_text("built")
        self.assertEqual(build.build(), path)

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
        path = self._compiler(_SLOW_COMPILER.format(calls=self.folder / "calls"))
        self._set(CXX=f"env {path}")
        self.assertEqual(build.build().read_text(), "halfwhole")

    def test_an_interrupted_build_leaves_nothing(self):
        self._compiler(_SLOW_COMPILER.format(calls=self.folder / "calls"))
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
        self._set(**{build.CACHE_VARIABLE: str(in_the_way / "cache")})
        with self.assertRaisesRegex(files.UserError, f"Set {build.CACHE_VARIABLE} to"):
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
