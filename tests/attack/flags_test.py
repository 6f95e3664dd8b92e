"""Every flag of every program, with values that are none: refused in a sentence."""

import contextlib
import importlib
import io
import os
from unittest import mock

import attrs
import tensorflow as tf
from absl import flags as absl_flags
from absl.testing import parameterized

import tools
from pipelines import config as data_config_lib
from pipelines import files
from tools import program as program_lib
from tools.studies import config as studies_config
from vae_prod import config as config_lib

_HOSTILE = (
    *("", " ", "-1", "0", "1e400", "nan", "inf", "²", "0x10", "1_000", "a\0b", ","),
    *map(str, (2**31, 2**32, 2**63, 2**64, 10**400)),
    *("\udcff", "x" * 1_000_000, "\x1b[2J"),
)
_CONFIGS = (
    *(config_lib.ModelConfig, config_lib.TrainConfig, config_lib.SearchConfig),
    *(data_config_lib.ConvertConfig, data_config_lib.DataConfig),
    studies_config.StudyConfig,
)
# Fields that take numbers below 0.
_NEGATIVE = ("strengths",)
# What each program needs to come to the point where TensorFlow is imported, or to its
# work; {} is a folder that exists.
_NEEDED = {
    "make_faces": ("--out={}/sub/a", "--num_images=1", "--workers=1"),
    "convert_celeba": ("--source={}", "--out={}/out"),
    "verify_shards": ("--data_dir={}",),
    "train": ("--data_dir={}", "--run_dir={}/run"),
    "launch": ("--command=train --nonsense", "--workers=1", "--logs={}"),
    "tune": ("--data_dir={}", "--search_dir={}/search"),
    "reproduce": ("--row=wae_vae", "--source={}", "--out={}/out"),
    "fit_sampler": ("--run_dir={}",),
    "fit_attributes": ("--run_dir={}",),
    "study": ("--study=denoise", "--data_dir={}"),
    "export": ("--run_dir={}",),
    "verify_export": ("--export_dir={}",),
    "write_docs": ("--root={}",),
    "serve_client": ("--server=http://127.0.0.1:1", "--action=generate", "--out={}/s"),
}


class _Reached(files.UserError):
    """The flags were taken, and work begins."""


def _begin(*_, **__):
    raise _Reached("Expected to begin.")


def _flags(program):
    values = absl_flags.FlagValues()
    program.define(values)
    return list(values)


class FlagsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        # `--compile_cache` adds to it.
        self.enter_context(mock.patch.dict(os.environ, {"TF_XLA_FLAGS": ""}))
        self.enter_context(mock.patch.object(program_lib, "import_tensorflow", _begin))
        self.enter_context(mock.patch("pipelines.faces.write_tree", _begin))
        self.folder = self.create_tempdir().full_path

    def _run(self, name, *argv):
        program = importlib.import_module(f"tools.{name}")
        needed = [text.format(self.folder) for text in _NEEDED.get(name, ())]
        err = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            code = program_lib.run(program, (*needed, *argv))
        return code, err.getvalue()

    def _assert_a_sentence(self, told, what):
        code, err = told
        self.assertIn(code, (1, 2), what)
        self.assertRegex(err, r"\Aerror: [^\n]{10,}\n\Z", what)
        self.assertLess(len(err), 2_000, what)
        self.assertTrue(err[:-1].isprintable(), what)

    @parameterized.parameters(*tools.PROGRAMS)
    def test_of_programs(self, name):
        """Those of the configs in one program are those of all."""
        own = _flags(importlib.import_module(f"tools.{name}"))
        if name in ("doctor", "tune", "study", "benchmark_convert"):
            shared = _flags(importlib.import_module("tools.train"))
            shared += _flags(importlib.import_module("tools.convert_celeba"))
            own = [flag for flag in own if flag not in shared]
        code, err = self._run(name)
        # What it launches refuses its flags.
        expected = (2,) if name == "launch" else (0, 1)
        self.assertIn(code, expected, f"what {name} needs: {err}")
        for flag in own:
            for value in _HOSTILE:
                told = self._run(name, f"--{flag}={value}")
                self._assert_a_sentence(told, f"{name} --{flag}={value[:80]!r}: {told}")

    @parameterized.parameters(*_CONFIGS)
    def test_configs_without_flags(self, config):
        """What a file gives is checked by the same rules."""
        hostile = (-1, 2**32, 2**64, 10**400, float("nan"), float("inf"))
        numbers = (int, float, tuple[int, ...], tuple[float, ...])
        for field in attrs.fields(config):
            if field.type not in numbers:
                continue
            is_several = isinstance(field.default, tuple)
            for value in hostile[field.name in _NEGATIVE :]:
                with self.assertRaises((ValueError, TypeError), msg=field.name):
                    config(**{field.name: (value,) if is_several else value})


if __name__ == "__main__":
    tf.test.main()
