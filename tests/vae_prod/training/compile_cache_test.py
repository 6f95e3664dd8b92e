import os
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files, folders
from vae_prod.core import nvidia
from vae_prod.training import compile_cache


class CompileCacheTest(tf.test.TestCase, parameterized.TestCase):
    def _flags(self, folder: str, with_gpu: bool = False) -> str:
        """Return what TensorFlow is told."""
        cache = os.path.join(self.create_tempdir().full_path, "cache")
        with (
            mock.patch.object(nvidia, "has_driver", return_value=with_gpu),
            mock.patch.dict(os.environ, {folders.CACHE_VARIABLE: cache}),
        ):
            os.environ.pop("TF_XLA_FLAGS", None)
            compile_cache.use(folder)
            told = os.environ.get("TF_XLA_FLAGS", "")
        return told.replace(cache, "CACHE")

    @parameterized.parameters(
        ("none", True, ""),
        ("", True, ""),
        ("auto", False, ""),
        ("auto", True, "--tf_xla_persistent_cache_directory=CACHE/xla"),
        ("gs://b/c", False, "--tf_xla_persistent_cache_directory=gs://b/c"),
    )
    def test_where_it_is(self, folder, with_gpu, expected):
        self.assertEqual(self._flags(folder, with_gpu), expected)

    def test_a_folder_that_others_may_write_to_is_refused(self):
        folder = self.create_tempdir().full_path
        os.chmod(folder, 0o777)
        with self.assertRaisesRegex(files.UserError, "Mend --compile_cache"):
            self._flags(folder)


if __name__ == "__main__":
    tf.test.main()
