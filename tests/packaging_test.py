"""What is installed: the packages' files, what they need, and on which Python."""

import importlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata

import tensorflow as tf
from absl.testing import parameterized
from packaging import requirements, specifiers, version

import tools
from vae_prod.core import nvidia

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGES = ("pipelines", "tools", "vae_prod")
_FILES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE")
_BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # Building changes it.
build_meta.build_sdist(folder)
build_meta.build_wheel(folder)
"""


def _project() -> dict:
    with open(_ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)


def _pinned() -> dict[str, str]:
    """Return the version of each package in constraints.txt."""
    text = (_ROOT / "constraints.txt").read_text()
    entry = r"^([a-z0-9-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$"
    pinned = dict(re.findall(entry, text, re.MULTILINE))
    if len(pinned) != text.count("=="):
        raise AssertionError("an entry without a version and a hash")
    return pinned


def _own_files() -> set[str]:
    """Return the files of the packages, but for what running them leaves."""
    return {
        path.relative_to(_ROOT).as_posix()
        for package in _PACKAGES
        for path in (_ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".sh", ".so")
    }


class ProjectTest(tf.test.TestCase, parameterized.TestCase):
    def test_constraints_satisfy_what_is_required(self):
        project, pinned = _project(), _pinned()
        needed = [*project["build-system"]["requires"]]
        needed += project["project"]["dependencies"]
        for text in needed:
            wanted = requirements.Requirement(text)
            self.assertIn(pinned[wanted.name], wanted.specifier, text)

    def test_cuda_is_of_the_tensorflow_that_is_pinned(self):
        extra = _project()["project"]["optional-dependencies"]["cuda"]
        self.assertEqual(extra, [nvidia.WITH_CUDA])
        wanted = requirements.Requirement(nvidia.WITH_CUDA)
        self.assertIn(_pinned()["tensorflow"], wanted.specifier)
        self.assertIn(nvidia.WITH_CUDA, nvidia.unused(True, 0))

    def test_pythons_are_those_that_are_told(self):
        project = _project()["project"]
        told = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
        allowed = specifiers.SpecifierSet(project["requires-python"])
        minors = [f"3.{minor}" for minor in range(9, 20)]
        self.assertEqual(told, [m for m in minors if version.Version(m) in allowed])

    def test_every_program_has_a_console_script(self):
        wanted = {
            f"vae-prod-{program.replace('_', '-')}": f"tools.{program}:run"
            for program in tools.PROGRAMS
        }
        self.assertEqual(_project()["project"]["scripts"], wanted)


class BuildTest(tf.test.TestCase):
    """Wheel and source distribution, built offline by the project's backend."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (wanted,) = _project()["build-system"]["requires"]
        installed = metadata.version("setuptools")
        if installed not in requirements.Requirement(wanted).specifier:
            cls.skipTest(cls, f"{wanted} builds, {installed} is installed")
        cls.folder = pathlib.Path(cls.get_temp_dir(cls()), "build_test")
        shutil.rmtree(cls.folder, ignore_errors=True)
        source = cls.folder / "source"
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        for package in _PACKAGES:
            shutil.copytree(_ROOT / package, source / package, ignore=ignored)
        for name in _FILES:
            shutil.copy(_ROOT / name, source)
        command = [sys.executable, "-c", _BUILD, cls.folder]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        (cls.wheel,) = cls.folder.glob("*.whl")
        (cls.sdist,) = cls.folder.glob("*.tar.gz")

    def test_wheel_holds_all_of_the_packages(self):
        with zipfile.ZipFile(self.wheel) as archive:
            names = {n for n in archive.namelist() if ".dist-info/" not in n}
        self.assertEqual(names, _own_files())

    def test_a_wheel_can_be_built_of_the_source_distribution(self):
        with tarfile.open(self.sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        self.assertContainsSubset(_own_files() | set(_FILES), names)

    def test_installed_it_runs(self):
        target = self.folder / "installed"
        with zipfile.ZipFile(self.wheel) as archive:
            archive.extractall(target)
        code = "from tools import program, train; print(program.__file__); train.run()"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, "--recipe=celeba_96", "--version"],
            env=os.environ | {"PYTHONPATH": str(target)},
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        path, told = done.stdout.splitlines()
        self.assertStartsWith(path, str(target))
        self.assertStartsWith(told, "vae_prod ")


class TypedTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters("pipelines", "vae_prod")
    def test_says_that_it_is_typed(self, package):
        folder = pathlib.Path(importlib.import_module(package).__file__).parent
        self.assertTrue((folder / "py.typed").exists())


if __name__ == "__main__":
    tf.test.main()
