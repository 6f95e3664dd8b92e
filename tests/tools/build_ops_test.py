import os
import unittest
from unittest import mock

import tensorflow as tf

from pipelines import folders
from pipelines.reading.native import build, loader
from tests.tools import convert_celeba_test
from tools import build_ops

_run = convert_celeba_test.run


class BuildOpsTest(tf.test.TestCase):
    @unittest.skipUnless(loader.available(), "no C++ compiler")
    def test_says_where_it_lies(self):
        code, out, err = _run(build_ops)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, f"{build.library_path()}: was there already; it loads.\n")

    def test_failing_is_told_in_a_sentence(self):
        loader.library.cache_clear()
        self.addCleanup(loader.library.cache_clear)
        folder = self.create_tempdir().full_path
        settings = {folders.CACHE_VARIABLE: folder, "CXX": "false"}
        with mock.patch.dict(os.environ, settings):
            code, out, err = _run(build_ops)
        self.assertEqual((code, out), (1, ""))
        self.assertStartsWith(err, "error: Expected false to build the input op")
        self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
    tf.test.main()
