import contextlib
import errno
import io
import json
import os
import pathlib
import subprocess
import sys
import types
from unittest import mock

import attrs
import tensorflow as tf
from absl.testing import parameterized
from attrs import validators

from pipelines import failures, files
from tools import flags
from tools import program as program_lib


@attrs.frozen
class Config:
    name: str = attrs.field(
        default="a",
        validator=validators.in_(("a", "b")),
        metadata={"help": "A name."},
    )
    count: int = attrs.field(
        default=3, validator=validators.ge(1), metadata={"help": "A count."}
    )
    rate: float = attrs.field(default=0.5, metadata={"help": "A rate."})
    on: bool = attrs.field(default=False, metadata={"help": "A switch."})
    sizes: tuple[int, ...] = attrs.field(
        default=(1, 2), converter=tuple, metadata={"help": "Sizes."}
    )
    image_shape: tuple[int, ...] = (1, 1, 1)


@attrs.frozen
class Other:
    count: int = attrs.field(default=3, metadata={"help": "A count."})
    text: str = attrs.field(default="", metadata={"help": "A text."})


class Program(types.ModuleType):
    """A program that remembers the config it was given, or fails as told."""

    def __init__(self, failure=None):
        super().__init__("program", "Do something.")
        self.failure = failure
        self.built = None

    def define(self, values):
        flags.define(values, Config, Other)

    def main(self, values):
        if self.failure:
            raise self.failure
        self.built = flags.build(values, Config, image_shape=(8, 8, 3))
        self.text = flags.to_flagfile(values)


def run(program, *argv):
    """Return (exit code, output, errors)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program_lib.run(program, argv)
    return code, out.getvalue(), err.getvalue()


class ProgramTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        (["--name=c"], "--name=c"),
        (["--count=x"], "--count=x"),
        (["--count=0"], "flag --count=0: 'count' must be >= 1"),
        (["--sizes=1,b"], "such as 12, or several with commas"),
        (["--unknown=1"], "Unknown command line flag 'unknown'"),
        ([f"--{'x' * 3_000}=1"], "Unknown flag --xxx"),
        (["stray"], "flags of the form --name=value, received 'stray'"),
        (["--image_shape=1"], "Unknown command line flag 'image_shape'"),
        (["--recipe=none_such"], "--recipe must be one of"),
        (["--flagfile=/no/such.flags"], "/no/such.flags"),
    )
    def test_mistakes_are_one_sentence(self, argv, fragment):
        code, out, err = run(Program(), *argv)
        self.assertEqual((code, out), (2, ""))
        self.assertStartsWith(err, "error: ")
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)

    @parameterized.parameters(
        (flags.UsageError("sentence"), 2, "error: sentence\n"),
        (files.UserError("sentence"), 1, "error: sentence\n"),
        (files.UserError("name\x1b[2J"), 1, "error: name?[2J\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    )
    def test_failures_become_exit_codes(self, failure, code, text):
        self.assertEqual(run(Program(failure)), (code, "", text))

    @parameterized.parameters(
        ZeroDivisionError("bug"),
        KeyError("No such file or directory"),
        OSError(errno.EINVAL, "Invalid argument"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
    )
    def test_bugs_keep_their_traceback(self, bug):
        with self.assertRaises(type(bug)):
            run(Program(bug))

    @parameterized.parameters(
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/a/b"),
        tf.errors.ResourceExhaustedError(
            None, None, "{{function_node f}} /runs/a/b; No space left on device [Op:S]"
        ),
        files.PlaceError(failures.Failure("/runs/a/b", errno.ENOSPC, "No space left")),
    )
    def test_what_the_machine_refuses_is_one_sentence_that_names_the_flag(self, error):
        program = Program(error)
        program.define = lambda values: flags.add(values, "out", "/runs", "A place.")
        code, out, err = run(program)
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertRegex(
            err,
            r"^error: Expected to use /runs/a/b, there is no room \(No space left.*MB "
            r"free now\)\. Make room .*, or choose another --out\.$",
        )

    def test_a_full_disk_under_standard_output(self):
        program, err = Program(), io.StringIO()
        program.main = lambda values: print("lost")
        with (
            open("/dev/full", "w") as full,
            contextlib.redirect_stdout(full),
            contextlib.redirect_stderr(err),
        ):
            self.assertEqual(program_lib.run(program, []), 1)
        self.assertRegex(err.getvalue(), "^error: .* standard output, .*No space left")

    def test_a_path_at_home(self):
        program = Program()
        with mock.patch.dict(os.environ, {"HOME": "/home/of/mine"}):
            for given, wanted in (("~/a", "/home/of/mine/a"), ("./~", "./~")):
                self.assertEqual(run(program, f"--text={given}")[0], 0)
                self.assertIn(f"--text={wanted}\n", program.text)
        code, _, err = run(program, "--text=~nobody_of_this_name/a")
        self.assertEqual(code, 2)
        self.assertIn("--text, received ~nobody_of_this_name/a", err)

    def test_neither_the_environment_nor_a_file_of_kerases_changes_anything(self):
        home = self.create_tempdir()
        settings = {"backend": "torch", "image_data_format": "channels_first"}
        settings |= {"floatx": "float16", "epsilon": 0.5}
        home.create_file("keras.json", json.dumps(settings))
        environment = {
            "KERAS_HOME": home.full_path,
            **{"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1"},
            **{"KERAS_MAX_STEPS_PER_EPOCH": "none", "TF_USE_LEGACY_KERAS": "1"},
            **{"HOME": "/dev/null/no", "TMPDIR": "/dev/null/no", "LC_ALL": "C"},
        }
        script = (
            "from tools import program, train\n"
            "assert False  # Left out by -OO.\n"
            "program.run(train, ['--help'])\n"
            "program.import_tensorflow()\n"
            "from keras import backend, config\n"
            "print(config.backend(), config.image_data_format(), config.floatx(),\n"
            "      config.epsilon(), config.max_epochs(), backend.floatx())"
        )
        told = subprocess.run(
            [sys.executable, "-OO", "-c", script],
            cwd=pathlib.Path(__file__).parents[2],
            env=os.environ | environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.assertStartsWith(told, "Train a VAE or autoencoder")
        expected = "tensorflow channels_last float32 1e-07 None float32"
        self.assertEqual(told.splitlines()[-1], expected)

    @parameterized.parameters("--help", "-h", "-help")
    def test_help_shows_every_flag_with_values_and_default(self, argument):
        code, out, err = run(Program(), argument)
        self.assertEqual((code, err), (0, ""))
        self.assertStartsWith(out, "Do something.\n")
        for line in (
            "--name={a,b}\n      A name. (default: a)",
            "--count=INTEGER\n      A count. (default: 3)",
            "--on={true,false}\n      A switch. (default: false)",
            "--sizes=INTEGER,...\n      Sizes. (default: 1,2)",
        ):
            self.assertIn(line, out)
        self.assertNotIn("image_shape", out)


if __name__ == "__main__":
    tf.test.main()
