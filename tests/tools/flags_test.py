import importlib
import re

import attrs
import tensorflow as tf
from absl.testing import parameterized

import tools
from pipelines import config as config_lib
from tests.tools import program_test
from tools import flags


class FlagsTest(parameterized.TestCase, tf.test.TestCase):
    def test_defaults_are_the_fields(self):
        program = program_test.Program()
        self.assertEqual(program_test.run(program), (0, "", ""))
        self.assertEqual(program.built, program_test.Config(image_shape=(8, 8, 3)))

    def test_values_reach_the_config(self):
        program = program_test.Program()
        code, *_ = program_test.run(
            program, "--name=b", "--count=7", "--rate=2", "--on", "--sizes=4,5,6"
        )
        self.assertEqual(code, 0)
        self.assertEqual(
            program.built, program_test.Config("b", 7, 2.0, True, (4, 5, 6), (8, 8, 3))
        )

    def test_flagfile_round_trip(self):
        program, again = program_test.Program(), program_test.Program()
        program_test.run(program, "--name=b", "--sizes=4,5", "--on", "--text=two words")
        path = self.create_tempfile("run.flags", program.text).full_path
        self.assertEqual(program_test.run(again, f"--flagfile={path}")[0], 0)
        self.assertEqual(again.built, program.built)
        self.assertEqual(again.text, program.text)

    def test_later_flags_override_a_flagfile(self):
        path = self.create_tempfile("some.flags", "--count=5\n--rate=1\n").full_path
        program = program_test.Program()
        program_test.run(program, f"--flagfile={path}", "--count=6")
        self.assertEqual((program.built.count, program.built.rate), (6, 1.0))

    def test_require_names_the_flag(self):
        values = flags.flags.FlagValues()
        flags.define(values, program_test.Other)
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

    @parameterized.parameters(*tools.PROGRAMS)
    def test_places_of_another_machine_are_refused_before_work(self, name):
        program = importlib.import_module(f"tools.{name}")
        values = flags.flags.FlagValues()
        program.define(values)
        for flag in (values[n] for n in values if isinstance(values[n].value, str)):
            place = getattr(flag, "place", "")  # Choices and yes or no have none.
            if re.match("(the )?(folder|.*directory|.*file)", flag.help.lower()):
                self.assertIn(place, (flags.LOCAL, flags.ANY), flag.name)
            if place == flags.LOCAL:
                for path in ("gs://bucket/x", "kind:s3://bucket/x", "a,hdfs://x"):
                    code, _, err = program_test.run(program, f"--{flag.name}={path}")
                    self.assertEqual(code, 2)
                    said = f"a path of this machine or of a mount as --{flag.name}"
                    self.assertIn(f"{said}, received {path}", err)

    def test_what_names_a_path(self):
        values = flags.flags.FlagValues()
        for name, path in (("run_dir", "/runs/a"), ("out", "/runs/a/out"), ("x", "/")):
            flags.add(values, name, path, "A place.")
        values(["program"])
        for path, name in (
            ("/runs/a", "--run_dir"),
            ("/runs/a/weights/best", "--run_dir"),
            ("/runs/a/out/3.png", "--out"),
            ("/runs/ab", ""),
            ("/elsewhere", ""),
        ):
            self.assertEqual(flags.naming(values, path), name)


if __name__ == "__main__":
    tf.test.main()
