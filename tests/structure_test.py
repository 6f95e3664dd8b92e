"""The import law, and what every room and program must be like."""

import ast
import importlib
import pathlib
import subprocess
import sys

import tensorflow as tf
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).parents[1]
_ROOMS = ("pipelines", "vae_prod", "tools", "tests")
_FORBIDDEN = {
    "pipelines": {"vae_prod", "tools", "tests"},
    "vae_prod": {"pipelines", "tools", "tests"},
    "tools": {"tests"},
}
_SHARED = {"flags", "models", "runs", "progress"}
_SHARED_ROOMS = {"benchmarks", "exporting", "search", "studies"}
_PROGRAMS = sorted(
    path.stem
    for path in (_ROOT / "tools").glob("*.py")
    if path.stem not in _SHARED | {"__init__"}
)


def _imports(path: pathlib.Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


class ImportLawTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_FORBIDDEN)
    def test_rooms_keep_apart(self, room):
        for path in (_ROOT / room).rglob("*.py"):
            rooms = {name.split(".")[0] for name in _imports(path)}
            self.assertEmpty(rooms & _FORBIDDEN[room], str(path))

    @parameterized.parameters(*_PROGRAMS)
    def test_programs_share_only_what_is_shared(self, program):
        names = _imports(_ROOT / "tools" / f"{program}.py")
        used = {name.split(".")[1] for name in names if name.startswith("tools.")}
        self.assertContainsSubset(used, _SHARED | _SHARED_ROOMS)

    @parameterized.parameters("pipelines", "vae_prod", "tools")
    def test_no_room_for_odds_and_ends(self, room):
        names = {path.stem for path in (_ROOT / room).rglob("*.py")}
        self.assertEmpty(names & {"utils", "util", "helpers", "common", "misc"})


class ProgramTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_PROGRAMS)
    def test_is_a_program(self, program):
        module = importlib.import_module(f"tools.{program}")
        self.assertNotEmpty(module.__doc__)
        for name in ("define", "main", "run"):
            self.assertTrue(callable(getattr(module, name)), name)

    @parameterized.parameters(*_PROGRAMS)
    def test_help_does_not_wait_for_tensorflow(self, program):
        code = (
            f"import sys; from tools import flags, {program}; "
            f"flags.run({program}, ['--help']); "
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"Flags:", done.stdout)


class PackagingTest(tf.test.TestCase):
    def test_every_program_has_a_console_script(self):
        text = (_ROOT / "pyproject.toml").read_text()
        for program in _PROGRAMS:
            script = f'vae-prod-{program.replace("_", "-")} = "tools.{program}:run"'
            self.assertIn(script, text)


if __name__ == "__main__":
    tf.test.main()
