import contextlib
import io
import types

import attrs
import tensorflow as tf
from absl.testing import parameterized
from attrs import validators

from pipelines import config as config_lib
from pipelines import files
from tools import flags


@attrs.frozen
class _Config:
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
class _Other:
    count: int = attrs.field(default=3, metadata={"help": "A count."})
    text: str = attrs.field(default="", metadata={"help": "A text."})


class _Program(types.ModuleType):
    """A program that remembers the config it was given, or fails as told."""

    def __init__(self, failure=None):
        super().__init__("program", "Do something.")
        self.failure = failure
        self.built = None

    def define(self, values):
        flags.define(values, _Config, _Other)

    def main(self, values):
        if self.failure:
            raise self.failure
        self.built = flags.build(values, _Config, image_shape=(8, 8, 3))
        self.text = flags.to_flagfile(values)


def _run(program, *argv):
    """Return (exit code, output, errors)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = flags.run(program, argv)
    return code, out.getvalue(), err.getvalue()


class FlagsTest(parameterized.TestCase, tf.test.TestCase):
    def test_defaults_are_the_fields(self):
        program = _Program()
        self.assertEqual(_run(program), (0, "", ""))
        self.assertEqual(program.built, _Config(image_shape=(8, 8, 3)))

    def test_values_reach_the_config(self):
        program = _Program()
        code, *_ = _run(
            program, "--name=b", "--count=7", "--rate=2", "--on", "--sizes=4,5,6"
        )
        self.assertEqual(code, 0)
        self.assertEqual(
            program.built, _Config("b", 7, 2.0, True, (4, 5, 6), (8, 8, 3))
        )

    def test_flagfile_round_trip(self):
        program, again = _Program(), _Program()
        _run(program, "--name=b", "--sizes=4,5", "--on", "--text=two words")
        path = self.create_tempfile("run.flags", program.text).full_path
        self.assertEqual(_run(again, f"--flagfile={path}")[0], 0)
        self.assertEqual(again.built, program.built)
        self.assertEqual(again.text, program.text)

    def test_later_flags_override_a_flagfile(self):
        path = self.create_tempfile("some.flags", "--count=5\n--rate=1\n").full_path
        program = _Program()
        _run(program, f"--flagfile={path}", "--count=6")
        self.assertEqual((program.built.count, program.built.rate), (6, 1.0))

    @parameterized.parameters(
        (["--name=c"], "--name=c"),
        (["--count=x"], "--count=x"),
        (["--count=0"], "Flag refused: 'count' must be >= 1"),
        (["--sizes=1,b"], "such as 1,2,3"),
        (["--unknown=1"], "Unknown command line flag 'unknown'"),
        (["stray"], "flags of the form --name=value, received 'stray'"),
        (["--image_shape=1"], "Unknown command line flag 'image_shape'"),
        (["--recipe=none_such"], "--recipe must be one of"),
        (["--flagfile=/no/such.flags"], "/no/such.flags"),
    )
    def test_mistakes_are_one_sentence(self, argv, fragment):
        code, out, err = _run(_Program(), *argv)
        self.assertEqual((code, out), (2, ""))
        self.assertStartsWith(err, "error: ")
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)

    @parameterized.parameters(
        (flags.UsageError("sentence"), 2, "error: sentence\n"),
        (files.UserError("sentence"), 1, "error: sentence\n"),
        (files.UserError("sentence"), 1, "error: sentence\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    )
    def test_failures_become_exit_codes(self, failure, code, text):
        self.assertEqual(_run(_Program(failure)), (code, "", text))

    def test_bugs_keep_their_traceback(self):
        with self.assertRaisesRegex(ZeroDivisionError, "bug"):
            _run(_Program(ZeroDivisionError("bug")))

    @parameterized.parameters("--help", "-h", "-help")
    def test_help_shows_every_flag_with_values_and_default(self, argument):
        code, out, err = _run(_Program(), argument)
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

    def test_require_names_the_flag(self):
        values = flags.flags.FlagValues()
        flags.define(values, _Other)
        values(["program"])
        with self.assertRaisesRegex(flags.UsageError, "--text is required: A text."):
            flags.require(values, "count", "text")

    @parameterized.parameters(config_lib.ConvertConfig, config_lib.DataConfig)
    def test_real_configs_survive_their_flags(self, config):
        values = flags.flags.FlagValues()
        flags.define(values, config)
        values(["program"])
        self.assertEqual(flags.build(values, config), config())
        for field in attrs.fields(config):
            self.assertNotEmpty(field.metadata["help"], field.name)


if __name__ == "__main__":
    tf.test.main()
