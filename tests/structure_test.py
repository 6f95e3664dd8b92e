"""The import law, and what every room and program must be like."""

import ast
import contextlib
import importlib
import io
import pathlib
import subprocess
import sys
from importlib import metadata

import tensorflow as tf
from absl.testing import parameterized

import tools
from tools import program

_ROOT = pathlib.Path(__file__).parents[1]
# The rooms of each package, from the bottom up: an import points to a lower one, or
# stays in its room. A name is a folder, or a file at the package's top.
_ORDER = {
    "pipelines": (
        *("failures", "asides", "files", "folders", "trust", "settings", "crops"),
        *("documents", "npy", "protocols", "config"),
        *("fingerprints", "duplicates", "examples", "records", "shards"),
        *("verification", "reading", "integrity", "converting", "faces", "sources"),
        "api",
    ),
    "vae_prod": (
        *("core", "config", "optim", "model", "latent", "reporting", "training"),
        *("evaluation", "serving", "tuning", "api"),
    ),
    "tools": (
        *("flags", "output", "program", "progress", "runs", "models", "evaluating"),
        *("benchmarks", "exporting", "search", "studies", "reproduction"),
    ),
}
# What no room below the other's may import although the order has it lower.
_APART = {
    ("pipelines.converting", "pipelines.reading"),
    ("vae_prod.evaluation", "vae_prod.training"),
    ("vae_prod.serving", "vae_prod.training"),
    ("vae_prod.tuning", "vae_prod.serving"),
}
# The modules at the very bottom, for all rooms: what a machine refuses, files, folders,
# trust, settings, crops, JSON and arrays in files.
_SHARED_BY_ALL = {
    *("pipelines.failures", "pipelines.files", "pipelines.folders", "pipelines.trust"),
    *("pipelines.settings", "pipelines.documents", "pipelines.npy"),
    "pipelines.crops",
}
_FORBIDDEN = {
    "pipelines": {"vae_prod", "tools", "tests"},
    "vae_prod": {"pipelines", "tools", "tests"},
    "tools": {"tests"},
}
_UNPICKLERS = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_CALLS_OF_FILES = {
    *("os.replace", "os.rename", "os.renames", "os.fsync", "os.fdatasync"),
    *("fcntl.flock", "fcntl.lockf", "shutil.move", "shutil.rmtree"),
    *("gfile.rename", "tf.io.gfile.rename"),
}

# What takes a path for a pattern, or believes a list of what there should be.
_PATTERNS = {"glob", "iglob", "latest_checkpoint", "CheckpointManager", "list_files"}


def _modules(package: str) -> dict[str, pathlib.Path]:
    """Return all modules of a package by dotted name."""
    paths = (_ROOT / package).rglob("*.py")
    return {
        ".".join(path.relative_to(_ROOT).with_suffix("").parts): path for path in paths
    }


def _imports(path: pathlib.Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _calls(path: pathlib.Path) -> set[str]:
    """Return what a file calls, as it is written there: `os.replace`."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def _texts(path: pathlib.Path) -> set[str]:
    """Return the strings in a file, parts of f-strings included."""
    nodes = ast.walk(ast.parse(path.read_text()))
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def _room(name: str) -> str:
    """Return the first two parts of a dotted name: package and room."""
    return ".".join(name.split(".")[:2])


class ImportLawTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_FORBIDDEN)
    def test_rooms_keep_apart(self, room):
        for path in (_ROOT / room).rglob("*.py"):
            rooms = {
                name.split(".")[0]
                for name in _imports(path)
                if _room(name) not in _SHARED_BY_ALL
            }
            self.assertEmpty(rooms & _FORBIDDEN[room], str(path))

    @parameterized.parameters(*_ORDER)
    def test_imports_point_down(self, package):
        order = {
            f"{package}.{room}": place for place, room in enumerate(_ORDER[package])
        }
        for module, path in _modules(package).items():
            own = _room(module)
            if own not in order:
                continue  # The package's own __init__, and programs.
            for name in _imports(path):
                room = _room(name)
                if room == own or name.split(".")[0] != package:
                    continue
                self.assertLess(
                    order.get(room, len(order)),
                    order[own],
                    f"{module} imports {name}: {room} is not below {own}",
                )
                self.assertNotIn((own, room), _APART, f"{module} imports {name}")

    @parameterized.parameters(*_ORDER)
    def test_every_room_has_its_place(self, package):
        rooms = {
            entry.stem
            for entry in (_ROOT / package).iterdir()
            if entry.suffix == ".py" or any(entry.glob("*.py"))
        }
        unplaced = rooms - set(_ORDER[package]) - {"__init__"}
        self.assertEqual(unplaced, set(tools.PROGRAMS) if package == "tools" else set())
        self.assertContainsSubset(_ORDER[package], rooms)

    @parameterized.parameters(*tools.PROGRAMS)
    def test_programs_share_only_what_is_shared(self, program):
        names = _imports(_ROOT / "tools" / f"{program}.py")
        used = {name.split(".")[1] for name in names if name.startswith("tools.")}
        self.assertContainsSubset(used, set(_ORDER["tools"]))

    @parameterized.parameters("pipelines", "vae_prod", "tools")
    def test_no_room_for_odds_and_ends(self, room):
        names = {path.stem for path in (_ROOT / room).rglob("*.py")}
        self.assertEmpty(names & {"utils", "util", "helpers", "common", "misc"})


class FilesTest(tf.test.TestCase, parameterized.TestCase):
    """Files are written, replaced, synced and locked by `pipelines.files` alone."""

    @parameterized.parameters("pipelines", "vae_prod", "tools")
    def test_nobody_else_does(self, package):
        callers = {
            f"{module}: {call}"
            for module, path in _modules(package).items()
            for call in _calls(path)
            if call in _CALLS_OF_FILES and module != "pipelines.files"
        }
        self.assertEmpty(callers)

    @parameterized.parameters("pipelines", "vae_prod", "tools")
    def test_paths_are_literal(self, package):
        for module, path in _modules(package).items():
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                name = ast.unparse(node.func)
                # Within a folder, by a pattern of our own.
                within = any(k.arg == "root_dir" for k in node.keywords)
                if name.startswith("glob.") and within:
                    continue
                self.assertNotIn(name.split(".")[-1], _PATTERNS, f"{module}: {name}")

    def test_no_other_names_of_files_written_aside(self):
        for package in ("pipelines", "vae_prod", "tools"):
            for module, path in _modules(package).items():
                if module != "pipelines.asides":
                    for text in _texts(path):
                        self.assertNotEndsWith(text, ".tmp", module)


class PickleTest(tf.test.TestCase, parameterized.TestCase):
    """What is read is data: nothing that is read can bring code."""

    @parameterized.parameters("pipelines", "vae_prod", "tools")
    def test_nothing_unpickles(self, package):
        for module, path in _modules(package).items():
            names = {name.split(".")[0] for name in _imports(path)}
            self.assertEmpty(names & _UNPICKLERS, module)
            text = path.read_text()
            self.assertNotRegex(text, r"allow_pickle|\beval\(|\bexec\(", module)
            self.assertNotRegex(text, r"safe_mode=False|unsafe_deserial|yaml", module)


class ProgramTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*tools.PROGRAMS)
    def test_is_a_program(self, program):
        module = importlib.import_module(f"tools.{program}")
        self.assertNotEmpty(module.__doc__)
        for name in ("define", "main", "run"):
            self.assertTrue(callable(getattr(module, name)), name)

    @parameterized.parameters(*tools.PROGRAMS)
    def test_help_does_not_wait_for_tensorflow(self, program):
        code = (
            f"import sys; from tools import program, {program}; "
            f"program.run({program}, ['--help']); "
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"Flags, beside", done.stdout)

    @parameterized.parameters(*tools.PROGRAMS)
    def test_version(self, name):
        module = importlib.import_module(f"tools.{name}")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(program.run(module, ["--version"]), 0)
        version = metadata.version("vae_prod")
        self.assertStartsWith(out.getvalue(), f"vae_prod {version}, tensorflow ")


if __name__ == "__main__":
    tf.test.main()
