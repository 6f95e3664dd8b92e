import logging
import os
from unittest import mock

import tensorflow as tf

from pipelines import files, folders
from pipelines.reading import native
from pipelines.reading.native import build, loader, op, twin
from tests.pipelines.reading.native import build_fixtures


class LoaderTest(tf.test.TestCase):
    """Each test finds nothing loaded yet; what other tests use is loaded again."""

    def setUp(self):
        super().setUp()
        self.cache = self.create_tempdir().full_path
        self._forget()
        self.addCleanup(self._forget)

    def _forget(self):
        loader.library.cache_clear()
        loader._say.cache_clear()

    def _set(self, **variables):
        variables = {folders.CACHE_VARIABLE: self.cache, **variables}
        self.enter_context(mock.patch.dict(os.environ, variables))

    def test_the_op_is_loaded_once(self):
        if not loader.available():
            self.skipTest("the op can't be built here")
        self.assertTrue(loader.available(required=True))
        with mock.patch.object(build, "build", side_effect=AssertionError):
            self.assertTrue(loader.available())
        self.assertIs(native.choose("auto"), op)
        self.assertIs(native.choose("true"), op)

    def test_the_twin_on_request_builds_nothing(self):
        with mock.patch.object(build, "build", side_effect=AssertionError):
            self.assertIs(native.choose("false"), twin)

    def test_without_a_compiler_the_twin_reads_and_a_line_says_so(self):
        self._set(PATH="", CXX="")
        with self.assertLogs(level=logging.WARNING) as logs:
            self.assertFalse(loader.available())
            self.assertFalse(loader.available())
            self.assertIs(native.choose("auto"), twin)
        self.assertLen(logs.output, 1)
        self.assertIn("without the input op: Expected a C++ compiler", logs.output[0])
        self.assertNotIn("\n", logs.output[0])

    def test_a_required_op_that_cant_be_had_is_an_error(self):
        self._set(PATH="", CXX="")
        for _ in range(2):
            with self.assertRaisesRegex(files.UserError, "^Expected a C.*false[.]$"):
                loader.available(required=True)
            with self.assertRaisesRegex(files.UserError, "^Expected a C.*false[.]$"):
                native.choose("true")

    def test_a_library_that_does_not_load_is_named(self):
        self._set(CXX=build_fixtures.compiler(self.create_tempdir().full_path))
        name = build.library_path().name
        with self.assertRaisesRegex(
            files.UserError, rf"^Expected to load .*{name}.* Remove the file"
        ):
            loader.available(required=True)
        with self.assertLogs(level=logging.WARNING):
            self.assertFalse(loader.available())

    def test_a_cache_of_others_is_not_loaded_from(self):
        os.chmod(self.cache, 0o777)
        self._set()
        build.library_path().write_bytes(b"theirs")
        with mock.patch.object(tf, "load_op_library", side_effect=AssertionError):
            with self.assertRaisesRegex(files.UserError, "mode 0777.*chmod 700"):
                loader.available(required=True)
            with self.assertLogs(level=logging.WARNING):
                self.assertIs(native.choose("auto"), twin)


if __name__ == "__main__":
    tf.test.main()
