import ast
import pathlib

import attrs
import tensorflow as tf
from absl.testing import parameterized

import tools.studies
from tools import program, study, train
from tools.studies import catalogue, config

_FOLDER = pathlib.Path(tools.studies.__file__).parent


def _defines_a_study(path):
    nodes = ast.parse(path.read_text()).body
    return any(isinstance(n, ast.FunctionDef) and n.name == "study" for n in nodes)


class CatalogueTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_study_has_its_row(self):
        modules = {p.stem for p in _FOLDER.glob("*.py") if _defines_a_study(p)}
        rows = [row.module for row in catalogue.STUDIES.values()]
        self.assertCountEqual(rows, modules)

    @parameterized.parameters(*catalogue.STUDIES)
    def test_a_row_is_whole(self, name):
        row = catalogue.STUDIES[name]
        self.assertTrue(callable(row.load().study))
        self.assertNotEmpty(row.title)
        self.assertNotEmpty(row.description)
        program.parse(train, row.defaults)

    def test_settings_that_all_studies_read_are_few(self):
        fields = set(attrs.fields_dict(config.StudyConfig))
        everywhere = {"rows", "columns", "measured_images", "judge"}
        self.assertEqual(set(catalogue.readers()), fields - everywhere)

    def test_help_names_studies_and_who_reads_a_setting(self):
        values = program.absl_flags.FlagValues()
        study.define(values)
        text = program.help_text(study, values)
        for row in catalogue.STUDIES.values():
            self.assertIn(f"    {row.name} ", text)
        self.assertIn("attributes, plane: Attributes to edit", " ".join(text.split()))


if __name__ == "__main__":
    tf.test.main()
