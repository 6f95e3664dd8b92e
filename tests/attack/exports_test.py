"""Mutated exports, of all formats, through what opens them.

Interpreters and TensorFlow's loader end the process, or load other weights, on some of
what is no model: digests are compared before any byte reaches them.
"""

import os
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.attack import attacks
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod.serving import description, formats, onnx_format, opening, tflite_format

_LOADED = (
    *("saved_model.pb", "fingerprint.pb", "variables/variables.index"),
    "variables/variables.data-00000-of-00001",
)

_COUNT = attacks.COUNT // 2


def _use(codec):
    codec.encode(np.zeros([2, *codec.image_shape], np.uint8))
    codec.decode(np.zeros([2, codec.z_dim], np.float32))


class ExportsTest(attacks.AttackTest, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.create_tempdir(cls()).full_path
        cls.exported = tiny_exports.export_little(tiny.model(), f"{root}/faces")

    @parameterized.parameters(tflite_format, onnx_format)
    def test_networks_of_other_formats(self, kind):
        tiny_exports.write_converted(self.folder, kind, tiny.model())
        _use(kind.open_codec(self.folder, threads=1))
        for network in formats.NETWORKS:
            path = os.path.join(self.folder, kind.file_name(network))
            refused = self.attack(path, lambda _: kind.open_codec(self.folder), _COUNT)
            self.assertEqual(refused, _COUNT)

    def _copy(self) -> str:
        path = os.path.join(self.folder, "1")
        shutil.copytree(self.exported, path)
        return path

    def test_saved_model(self):
        export = self._copy()
        for name in _LOADED:
            path = os.path.join(export, name)
            refused = self.attack(path, lambda _: opening.open_export(export), _COUNT)
            self.assertEqual(refused, _COUNT)

    def test_a_file_that_was_added_to_a_saved_model(self):
        # TensorFlow would take it for the model.
        export = self._copy()
        attacks.write(os.path.join(export, "saved_model.cpb"), b"another one")
        self.assertTrue(self.is_refused(lambda: opening.open_export(export), "added"))

    def test_description_with_the_model_that_it_describes(self):
        export = self._copy()
        loaded = tf.saved_model.load(export)
        path = os.path.join(export, description.EXTRA, description.NAME)
        with mock.patch.object(tf.saved_model, "load", return_value=loaded):
            use = lambda _: _use(opening.open_export(export))  # noqa: E731
            refused = self.attack(path, use, _COUNT)
        self.assertGreater(refused, _COUNT // 4)


if __name__ == "__main__":
    tf.test.main()
