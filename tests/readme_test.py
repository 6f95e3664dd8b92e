"""The README's flag tables are those of the programs.

`python -m tests.readme_test` writes them anew.
"""

import importlib
import pathlib

import tensorflow as tf

from tools import flags

_README = pathlib.Path(__file__).parents[1] / "README.md"
_PROGRAMS = (
    "make_faces",
    "convert_celeba",
    "verify_shards",
    "train",
    "tune",
    "generate",
    "encode",
    "fit_sampler",
    "fit_attributes",
    "evaluate",
    "study",
    "export",
    "verify_export",
    "serve_client",
    "build_ops",
    "benchmark_input",
    "benchmark_convert",
    "benchmark_step",
    "benchmark_export",
    "doctor",
)
# Programs that take another one's flags beside their own.
_FLAGS_OF = {"doctor": "train", "tune": "train", "study": "train"}
_BEGIN, _END = "<!-- flags: begin -->", "<!-- flags: end -->"


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


def _with_tables(readme: str) -> str:
    before, rest = readme.split(_BEGIN)
    _, after = rest.split(_END)
    tables = "\n\n".join(_table(program) for program in _PROGRAMS)
    return f"{before}{_BEGIN}\n\n{tables}\n\n{_END}{after}"


class ReadmeTest(tf.test.TestCase):
    def test_flag_tables_are_current(self):
        readme = _README.read_text()
        message = "Run `python -m tests.readme_test` to write the flag tables anew."
        self.assertEqual(readme, _with_tables(readme), message)

    def test_every_program_is_listed(self):
        scripts = (_README.parent / "pyproject.toml").read_text()
        for program in _PROGRAMS:
            self.assertIn(f'"tools.{program}:run"', scripts)
        self.assertEqual(scripts.count(':run"'), len(_PROGRAMS))

    def test_files_it_names_are_there(self):
        readme = _README.read_text()
        for name in ("tools/quickstart.sh", "tools/run_tests.sh", ".assets/faces.png"):
            self.assertIn(name, readme)
            self.assertTrue((_README.parent / name).exists(), name)


if __name__ == "__main__":
    _README.write_text(_with_tables(_README.read_text()))
