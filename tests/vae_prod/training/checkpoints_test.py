import contextlib
import io
import os
import shutil

import keras
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.core import seals
from vae_prod.training import checkpoints


class CheckpointsTest(tf.test.TestCase):
    def test_everything_comes_back(self):
        directory = self.create_tempdir().full_path
        model = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        model.fit(tiny.batches(), verbose=0)
        saved = checkpoints.Checkpoints(directory, model, keep=1)
        saved.early_stopping.best = 12.5
        saved.save()
        keras.utils.set_random_seed(99)
        other = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        restored = checkpoints.Checkpoints(directory, other, keep=1)
        self.assertTrue(restored.restore())
        self.assertEqual(restored.early_stopping, saved.early_stopping)
        for kind in ("variables", "metrics_variables"):
            pairs = zip(getattr(model, kind), getattr(other, kind), strict=True)
            for one, two in pairs:
                self.assertAllEqual(one, two)
        pairs = zip(model.optimizer.variables, other.optimizer.variables, strict=True)
        for one, two in pairs:
            self.assertAllEqual(one, two)

    def test_nothing_to_restore(self):
        saved = checkpoints.Checkpoints(
            self.create_tempdir().full_path, tiny.model(), keep=1
        )
        self.assertFalse(saved.restore())


class DamageTest(tf.test.TestCase, parameterized.TestCase):
    """Of a model at steps 1, 2 and 3, in a path full of patterns."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = os.path.join(cls.get_temp_dir(cls()), "damage")
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.model = tiny.model()
        saved = checkpoints.Checkpoints(os.path.join(cls.root, "run"), cls.model, 3)
        for step in (1, 2, 3):
            cls._set(step)
            saved.save()

    @classmethod
    def _set(cls, step):
        cls.model.step.assign(step)
        cls.model.calls.assign(10 * step)

    def setUp(self):
        super().setUp()
        self.run_dir = os.path.join(self.create_tempdir().full_path, "[a-b]*?")
        shutil.copytree(os.path.join(self.root, "run"), self.run_dir)
        self.saved = checkpoints.Checkpoints(self.run_dir, self.model, 2)
        self._set(9)

    def _damage(self, step, kind):
        folder = os.path.join(self.run_dir, "checkpoints", f"step-{step}")
        (data,) = (n for n in os.listdir(folder) if ".data-" in n)
        path = os.path.join(folder, data)
        if kind == "flipped":
            with open(path, "r+b") as file:
                file.seek(os.path.getsize(path) // 2)
                byte = file.read(1)[0]
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 1]))
        elif kind == "cut":
            os.truncate(path, 100)
        elif kind == "missing":
            os.remove(path)
        elif kind == "gone":
            shutil.rmtree(folder)
        else:
            with open(os.path.join(folder, seals.NAME), "w") as file:
                file.write("garbage")

    def _restored(self) -> tuple[bool, int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            restored = self.saved.restore()
        self.assertEqual(self.model.calls.numpy(), 10 * self.model.step.numpy())
        return restored, int(self.model.step.numpy()), out.getvalue()

    def test_the_newest(self):
        self.assertEqual(self._restored(), (True, 3, ""))

    @parameterized.parameters("flipped", "cut", "missing", "gone", "unsealed")
    def test_the_one_before_a_damaged_one(self, kind):
        self._damage(3, kind)
        restored, step, said = self._restored()
        self.assertEqual((restored, step), (True, 2))
        if kind != "gone":
            self.assertRegex(said, "damaged: .*step-3 .*: going on from .*step-2")
        # Training comes to the same step again, and replaces what is damaged.
        self._set(3)
        self.saved.save()
        self.assertEqual(self.saved.steps(), [2, 3])
        self.assertEqual(self._restored(), (True, 3, ""))

    def test_damaged_ones_of_later_steps_make_room(self):
        for step in (2, 3):
            self._damage(step, "cut")
        self.assertEqual(self._restored()[:2], (True, 1))
        self._set(2)
        self.saved.save()
        self.assertEqual(self.saved.steps(), [1, 2])

    def test_never_from_the_beginning_where_all_are_damaged(self):
        for step in (1, 2, 3):
            self._damage(step, "flipped")
        with self.assertRaisesRegex(files.UserError, "a whole checkpoint .*step-1 "):
            self.saved.restore()
        self.assertEqual(self.model.step.numpy(), 9)

    def test_never_from_the_beginning_over_something_else(self):
        shutil.rmtree(os.path.join(self.run_dir, "checkpoints"))
        os.makedirs(os.path.join(self.run_dir, "checkpoints"))
        files.write(os.path.join(self.run_dir, "checkpoints", "ckpt-3.index"), "")
        with self.assertRaisesRegex(files.UserError, "found none .there is ckpt-3"):
            self.saved.restore()

    def test_of_another_configuration(self):
        other = checkpoints.Checkpoints(self.run_dir, self.model, 2, "other")
        with self.assertRaisesRegex(files.UserError, "configuration 'other' in"):
            other.restore()


if __name__ == "__main__":
    tf.test.main()
