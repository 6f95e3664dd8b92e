"""Programs killed at changes of the file system: what they leave is whole, and goes on.

Each program is killed in place of its n-th change (see `changes`), in a copy of what it
starts from. Then: what has its final name is whole; the same command goes on; what it
leaves is what an undisturbed one leaves, and nothing lies aside.

A few numbers are tried, seeded; `VAE_PROD_KILLS=200` tries so many of each program, or
all there are:

    VAE_PROD_KILLS=200 python -m pytest tests/attack/kill_test.py
"""

import json
import os
import random
import shutil

import tensorflow as tf
from absl.testing import parameterized

from pipelines import folders, verification
from tests.attack import changes as changes_lib
from tests.attack import programs
from tools import runs
from tools.search import search_directory
from tools.studies import outcome
from vae_prod import config as config_lib
from vae_prod.core import seals

_KILLS = int(os.environ.get("VAE_PROD_KILLS", "0"))
_SEED = 5


def _run(name: str, out: str) -> None:
    """Run a program that must succeed."""
    code, said = programs.JOBS[name].run(out)
    if code:
        raise AssertionError(said)


class KillTest(tf.test.TestCase, parameterized.TestCase):
    def _copy(self) -> str:
        path = self._new()
        shutil.copytree(programs.fixtures()[1], path)
        return path

    def _new(self) -> str:
        return os.path.join(self.create_tempdir().full_path, "new")

    def _attack(self, start, command, check, few: int) -> None:
        """Kill a command at some of its changes.

        Args:
            start: Makes the folder that the command changes.
            command: Takes the folder.
            check: Takes the folder, and whether the command has ended.
            few: Kills, unless the environment says how many.
        """
        folder = start()
        with changes_lib.at(changes_lib.NEVER, folder) as changes:
            command(folder)
        check(folder, True)
        self.assertGreater(changes.count, 3)
        numbers = range(1, changes.count + 1)
        wanted = min(_KILLS or few, len(numbers))
        for number in sorted(random.Random(_SEED).sample(numbers, wanted)):
            with self.subTest(number=number, of=changes.count):
                folder = start()
                with changes_lib.at(number, folder) as killed:
                    command(folder)
                self.assertTrue(killed.reached)
                check(folder, False)
                command(folder)
                check(folder, True)
                self.assertEmpty(programs.asides(folder))

    def _check_sealed(self, path, ended):
        if ended or os.path.exists(path):
            self.assertEqual(seals.damage(path), "")

    @parameterized.parameters(
        ("encode", "encodings/train", 4),
        ("fit_sampler", "samplers/gaussian", 4),
        ("fit_attributes", "attributes/train", 4),
    )
    def test_what_is_made_of_a_run(self, name, made, few):
        def command(run_dir):
            _run(name, run_dir)

        def start():
            # One is there already: it is replaced.
            run_dir = self._copy()
            command(run_dir)
            return run_dir

        def check(run_dir, ended):
            self._check_sealed(os.path.join(run_dir, made), True)

        self._attack(start, command, check, few)

    def test_training(self):
        job = programs.JOBS["train"]

        def check(run_dir, ended):
            for kind in ("best", "last"):
                self._check_sealed(os.path.join(run_dir, "weights", kind), ended)
            if ended:
                job.check(self, run_dir)

        self._attack(self._new, lambda run_dir: _run("train", run_dir), check, 3)

    def test_a_conversion(self):
        def check(out, ended):
            if ended or os.path.exists(os.path.join(out, "manifest.json")):
                self.assertEmpty(verification.verify(out))

        self._attack(self._new, lambda out: _run("convert_celeba", out), check, 3)

    def test_settings_of_a_search(self):
        run = runs.load(programs.fixtures()[1])
        config = config_lib.SearchConfig(search_fact=(1.0, 2.0))

        def command(directory):
            search = search_directory.Search(directory, config, run)
            with search.held():
                search.prepare("")

        def check(directory, ended):
            names = folders.listed(directory)
            if ended:
                self.assertEqual(names, ["flags.txt", "search.json"])
            for name in {"search.json"} & set(names):
                with open(os.path.join(directory, name)) as file:
                    self.assertIn("search", json.load(file))

        self._attack(self._new, command, check, 99)

    def test_a_study(self):
        def check(out, ended):
            names = set(folders.listed(out))
            # The report comes last.
            if ended or outcome.REPORT in names:
                wanted = {outcome.MARK, outcome.REPORT, outcome.FIGURES}
                self.assertContainsSubset(
                    wanted | {outcome.PICTURES, outcome.TENSORBOARD}, names
                )

        self._attack(self._new, lambda out: _run("study", out), check, 2)
