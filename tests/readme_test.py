"""The README's tables of flags, studies and sources are those of the programs.

`python -m tests.readme_test` writes them anew.
"""

import importlib
import pathlib

import tensorflow as tf

import tools
from pipelines import sources
from tools import flags
from tools.studies import catalogue

_README = pathlib.Path(__file__).parents[1] / "README.md"
# Programs that take another one's flags beside their own.
_FLAGS_OF = {"doctor": "train", "tune": "train", "study": "train"}


def _flags(program: str) -> flags.flags.FlagValues:
    values = flags.flags.FlagValues()
    importlib.import_module(f"tools.{program}").define(values)
    return values


def _table(program: str) -> str:
    values = _flags(program)
    rows = [f"### {program}", "", "| flag | default | what it does |", "|---|---|---|"]
    other = _FLAGS_OF.get(program)
    shared = set(_flags(other)) - {"data_dir", "run_dir"} if other else set()
    for name in (name for name in values if name not in shared):
        flag = values[name]
        text, _, default = flags.describe(flag).partition(" (default: ")
        kind = flags.describe_values(flag).replace("|", "\\|")
        rows.append(f"| `--{name}={kind}` | {default.removesuffix(')')} | {text} |")
    if other:
        rows += ["", f"And [{other}](#{other})'s flags of model, training and data."]
    return "\n".join(rows)


def _flag_tables() -> str:
    return "\n\n".join(_table(program) for program in tools.PROGRAMS)


def _studies() -> str:
    rows = ["| study | looks at | what it shows |", "|---|---|---|"]
    for study in catalogue.STUDIES.values():
        rows.append(f"| `{study.name}` | {study.runs} | {study.description} |")
    return "\n".join(rows)


def _sources() -> str:
    rows = ["| `--source` | what it is | what it can carry |", "|---|---|---|"]
    for kind in sources.KINDS:
        rows.append(f"| {kind.form} | {kind.text} | {', '.join(kind.carries)} |")
    return "\n".join(rows)


def _with_block(readme: str, name: str, text: str) -> str:
    """Return the text with what stands between a name's two marks replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, between = readme.split(begin)
    _, after = between.split(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _with_tables(readme: str) -> str:
    readme = _with_block(readme, "studies", _studies())
    readme = _with_block(readme, "sources", _sources())
    return _with_block(readme, "flags", _flag_tables())


class ReadmeTest(tf.test.TestCase):
    def test_tables_are_current(self):
        readme = _README.read_text()
        message = "Run `python -m tests.readme_test` to write the tables anew."
        self.assertEqual(readme, _with_tables(readme), message)

    def test_files_it_names_are_there(self):
        readme = _README.read_text()
        for name in ("tools/quickstart.sh", "tools/run_tests.sh", ".assets/faces.png"):
            self.assertIn(name, readme)
            self.assertTrue((_README.parent / name).exists(), name)


if __name__ == "__main__":
    _README.write_text(_with_tables(_README.read_text()))
