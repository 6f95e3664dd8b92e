import importlib
import os
import pathlib
import sys
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

import vae_prod
from tools import program
from vae_prod.core import processor

_X86 = """processor\t: 0
model name\t: A Processor @ 2 GHz
flags\t\t: fpu avx2 fma

processor\t: 1
flags\t\t: nothing
"""
_ARM = "processor\t: 0\nFeatures\t: asimd bf16\n"


class ProcessorTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        (_X86, "A Processor @ 2 GHz", ["fpu", "avx2", "fma"]),
        (_ARM, "", ["asimd", "bf16"]),
        ("", "", []),
    )
    def test_reads(self, text, name, instruction_sets):
        with mock.patch.object(pathlib.Path, "read_text", return_value=text):
            self.assertEqual(processor.model_name(), name)
            self.assertEqual(processor.instruction_sets(), instruction_sets)

    def test_elsewhere_nothing_is_known(self):
        with mock.patch.object(pathlib.Path, "read_text", side_effect=OSError):
            self.assertEqual(processor.instruction_sets(), [])

    @parameterized.parameters(
        (_X86, {}, "1", False),
        (_X86, {"TF_ENABLE_ONEDNN_OPTS": "0"}, "0", True),
        (_ARM, {}, None, False),
    )
    def test_onednn(self, text, variables, expected, is_off):
        with (
            mock.patch.object(pathlib.Path, "read_text", return_value=text),
            mock.patch.dict(os.environ, variables),
        ):
            if not variables:
                os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
            processor.use_onednn()
            self.assertEqual(os.environ.get("TF_ENABLE_ONEDNN_OPTS"), expected)
            self.assertEqual(processor.onednn_is_off(), is_off)

    @parameterized.parameters(
        program.import_tensorflow, lambda: vae_prod.__getattr__("ModelConfig")
    )
    def test_programs_and_the_interface_use_it(self, begin):
        there = mock.patch.object(processor, "instruction_sets", return_value=["avx2"])
        with there, mock.patch.dict(os.environ), mock.patch.dict(sys.modules):
            os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
            del sys.modules["tensorflow"]  # As if it weren't imported yet.
            with mock.patch.object(importlib, "import_module", self._import):
                begin()
            self.assertEqual(os.environ["TF_ENABLE_ONEDNN_OPTS"], "1")

    def _import(self, name):
        """Import what is there already; nobody may import TensorFlow too early."""
        if name == "tensorflow":
            self.assertEqual(os.environ.get("TF_ENABLE_ONEDNN_OPTS"), "1")
            return tf
        return sys.modules[name]


if __name__ == "__main__":
    tf.test.main()
