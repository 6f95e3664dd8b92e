import attrs
import tensorflow as tf
from absl.testing import parameterized

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


if __name__ == "__main__":
    tf.test.main()
