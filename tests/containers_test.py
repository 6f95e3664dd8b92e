"""The container files and those of clusters name what is there.

Files, targets, extras, commands, flags. Nothing builds an image or starts a job.
"""

import importlib
import json
import re
import tomllib

import tensorflow as tf
from absl.testing import parameterized

from tests import pages
from tools import program as program_lib
from tools import train


def _project() -> dict:
    return tomllib.loads(pages.read("pyproject.toml"))["project"]


def _instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions: name and arguments."""
    lines = pages.read("Dockerfile").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in whole if line.strip()]


def _commands() -> list[list[str]]:
    """Return the commands of both files, which they have as lists of words."""
    lines = (
        pages.read("compose.yaml").splitlines() + pages.read("Dockerfile").splitlines()
    )
    found = (re.search(r"(?:command:|CMD) (\[.*\])$", line) for line in lines)
    return [json.loads(match[1]) for match in found if match]


class ContainersTest(tf.test.TestCase):
    def test_copies_what_is_there_and_not_ignored(self):
        kept = re.findall(r"^!(.+)$", pages.read(".dockerignore"), re.MULTILINE)
        copied = set()
        for name, arguments in _instructions():
            if name == "COPY":
                copied |= set(arguments.split()[:-1])
        self.assertCountEqual(copied, kept)
        for path in copied:
            self.assertTrue((pages.ROOT / path).exists(), path)

    def test_installs_extras_that_there_are(self):
        extras = re.findall(r"/opt/vae_prod\[(\w+)\]", pages.read("Dockerfile"))
        self.assertContainsSubset(extras, _project()["optional-dependencies"])

    def test_targets_are_those_that_are_named(self):
        targets = {a.split()[-1] for name, a in _instructions() if name == "FROM"}
        self.assertEqual(targets, {"base", "cpu", "gpu"})
        named = pages.read("compose.yaml") + pages.read("docs/containers.md")
        named = re.findall(r"(?:TARGET:-|TARGET=|--target )(\w+)", named)
        self.assertContainsSubset(named, targets)

    def test_commands_are_programs_with_their_flags(self):
        scripts = _project()["scripts"]
        built = re.findall(r"RUN (vae-prod\S+)", pages.read("Dockerfile"))
        for command in [*_commands(), *([name] for name in built)]:
            if command[0].startswith("vae-prod"):
                program = importlib.import_module(
                    scripts[command[0]].removesuffix(":run")
                )
                argv = [flag for flag in command[1:] if flag != "--help"]
                program_lib.parse(program, argv)
        self.assertEqual([c[0] for c in _commands()].count("vae-prod-train"), 2)

    def test_python_is_the_one_of_the_pinned_versions(self):
        (version,) = re.findall(r"FROM python:(\d\.\d+)", pages.read("Dockerfile"))
        self.assertIn(f"CPython {version}", pages.read("constraints.txt"))


class ClusterTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("train.sbatch", r"tools\.train (.*?[^\\])\n"),
        ("jobset.yaml", r"exec vae-prod-train (.*?)\n +ports:"),
    )
    def test_starts_workers_with_flags_of_training(self, name, command):
        content = pages.read(f"docs/cluster/{name}")
        (arguments,) = re.findall(command, content, re.DOTALL)
        arguments = arguments.replace("\\\n", " ").replace("$JOB_COMPLETION_INDEX", "1")
        values = program_lib.parse(train, arguments.split())
        self.assertEqual(values.strategy, "multi_worker")
        self.assertTrue(values.resume)


if __name__ == "__main__":
    tf.test.main()
