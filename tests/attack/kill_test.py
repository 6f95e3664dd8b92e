"""Programs killed at changes of the file system: what they leave is whole, and goes on.

Each program is killed in place of its n-th change (see `kills`), in a copy of what it
starts from. Then: what has its final name is whole; the same command goes on; what it
leaves is what an undisturbed one leaves, and nothing lies aside.

A few numbers are tried, seeded; `VAE_PROD_KILLS=200` tries so many of each program, or
all there are:

    VAE_PROD_KILLS=200 python -m pytest tests/attack/kill_test.py
"""

import contextlib
import io
import json
import os
import random
import shutil
import tempfile

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import folders, verification
from tests.attack import kills
from tests.pipelines import shard_fixtures
from tests.vae_prod import run_record
from tools import (
    convert_celeba,
    encode,
    fit_attributes,
    fit_sampler,
    program,
    runs,
    study,
    train,
)
from tools.search import search_directory
from tools.studies import outcome
from vae_prod import config as config_lib
from vae_prod.core import seals

_KILLS = int(os.environ.get("VAE_PROD_KILLS", "0"))
_SEED = 5
_TINY = ("--filters=4", "--z_dim=2", "--batch_size=8", "--jit_compile=false")
_TRAINING = (*_TINY, "--epochs=2", "--images_every_epochs=99", "--resume")


def _run(tool, *argv) -> None:
    """Run a program that must succeed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program.run(tool, argv)
    if code:
        raise AssertionError(err.getvalue())


def _asides(root: str) -> list[str]:
    """Return what lies aside under a folder: unfinished, replaced, locks."""
    return [
        os.path.join(folder, name)
        for folder, inner, names in os.walk(root)
        for name in (*inner, *names)
        if name not in folders.listed(folder)
    ]


class KillTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.data_dir = os.path.join(cls.root, "data")
        os.makedirs(cls.data_dir)
        sizes = {"train": (12, 8), "validation": (5,), "test": (8,)}
        shard_fixtures.write(cls.data_dir, sizes, shape=(8, 8, 3))
        cls.run_dir = os.path.join(cls.root, "run")
        cls._train(cls.run_dir)
        _run(encode, f"--run_dir={cls.run_dir}")

    @classmethod
    def _train(cls, run_dir):
        _run(train, f"--data_dir={cls.data_dir}", f"--run_dir={run_dir}", *_TRAINING)

    def _copy(self) -> str:
        path = os.path.join(self.create_tempdir().full_path, "run")
        shutil.copytree(self.run_dir, path)
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
        with kills.at(kills.NEVER, folder) as changes:
            command(folder)
        check(folder, True)
        self.assertGreater(changes.count, 3)
        numbers = range(1, changes.count + 1)
        wanted = min(_KILLS or few, len(numbers))
        for number in sorted(random.Random(_SEED).sample(numbers, wanted)):
            with self.subTest(number=number, of=changes.count):
                folder = start()
                with kills.at(number, folder) as killed:
                    command(folder)
                self.assertTrue(killed.killed)
                check(folder, False)
                command(folder)
                check(folder, True)
                self.assertEmpty(_asides(folder))

    def _check_sealed(self, path, ended):
        if ended or os.path.exists(path):
            self.assertEqual(seals.damage(path), "")

    @parameterized.parameters(
        (encode, "encodings/train", 4),
        (fit_sampler, "samplers/gaussian", 4),
        (fit_attributes, "attributes/train", 4),
    )
    def test_what_is_made_of_a_run(self, tool, made, few):
        def command(run_dir):
            _run(tool, f"--run_dir={run_dir}")

        def start():
            # One is there already: it is replaced.
            run_dir = self._copy()
            command(run_dir)
            return run_dir

        def check(run_dir, ended):
            self._check_sealed(os.path.join(run_dir, made), True)

        self._attack(start, command, check, few)

    def test_training(self):
        def check(run_dir, ended):
            for kind in ("best", "last"):
                self._check_sealed(os.path.join(run_dir, "weights", kind), ended)
            if ended:
                run_record.assert_same(self, self.run_dir, run_dir)

        self._attack(self._new, self._train, check, 3)

    def test_a_conversion(self):
        def command(out):
            argv = ("--source=faces", "--limit=12", "--image_size=8", "--shards=2")
            _run(convert_celeba, f"--out={out}", "--workers=1", *argv)

        def check(out, ended):
            if ended or os.path.exists(os.path.join(out, "manifest.json")):
                self.assertEmpty(verification.verify(out))

        self._attack(self._new, command, check, 3)

    def test_settings_of_a_search(self):
        run = attrs.evolve(runs.load(self.run_dir), data_dir=self.data_dir)
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
        def command(run_dir):
            _run(
                study,
                "--study=generation",
                f"--run_dir={run_dir}",
                "--rows=1",
                "--columns=2",
                "--recompute_batch_norm=0",
            )

        def check(run_dir, ended):
            out = os.path.join(run_dir, "studies", "generation")
            names = set(folders.listed(out))
            # The report comes last.
            if ended or outcome.REPORT in names:
                wanted = {outcome.MARK, outcome.REPORT, outcome.FIGURES}
                self.assertContainsSubset(
                    wanted | {outcome.PICTURES, outcome.TENSORBOARD}, names
                )

        self._attack(self._copy, command, check, 2)
