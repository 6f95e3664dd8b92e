"""Training killed with SIGKILL, in a process of its own, and resumed.

A run is killed at random (seeded) steps and places and resumed until it is through.
It must leave the bits that an uninterrupted run leaves. `RESUME_KILLS=10` kills each
run ten times instead of once and tries all variants instead of two:

    RESUME_KILLS=10 python -m pytest tests/tools/resume_test.py

tests/vae_prod/training_test.py tries more places, within one process.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.tools import train_test
from tests.vae_prod import run_record
from tools import convert_celeba, train

_ROOT = pathlib.Path(__file__).parents[2]
_KILLS = int(os.environ.get("RESUME_KILLS", "0"))
# Trains as its arguments say, but dies at the first call of METHOD after STEP steps.
_CHILD = """
import os, signal, sys
from tools import train
from vae_prod.training import (
    checkpointing, checkpoints, history, tensorboard, weights
)

step, place = int(sys.argv.pop(1)), sys.argv.pop(1)
modules = checkpointing, checkpoints, history, tensorboard, weights
owners = {name: value for module in modules for name, value in vars(module).items()}
owner, method = owners[place.split(".")[0]], place.split(".")[1]
real = getattr(owner, method)

def killing(self, *args, **kwargs):
    model = getattr(self, "model", None) or self._model
    if model.step.numpy() >= step:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *args, **kwargs)

setattr(owner, method, killing)
train.run()
"""
_PLACES = (
    "Checkpointing.on_train_batch_end",
    "Checkpointing.on_epoch_end",
    "Checkpoints.save",
    "HistoryFile.on_epoch_end",
    "SavedWeights.on_epoch_end",
    "SavedWeights._save",
    "TensorBoard.on_epoch_end",
)
_STEPS, _EPOCHS = 4, 3
_SEED = 3
# Of float16 the large weight makes gradients overflow, so that steps are skipped.
_FLOAT16 = ("--mixed_precision=float16", "--reconstruction_weight=10000")
_VARIANTS = {
    "graph": ("--jit_compile=false", "--gradient_accumulation=2", "--ema=0.9"),
    "jit": ("--jit_compile=true", *_FLOAT16, "--early_stopping=1"),
}
_MORE_VARIANTS = {
    "plain": ("--jit_compile=false",),
    "plain_jit": ("--jit_compile=true", "--dropout=0.1"),
    "jit_accumulation": ("--jit_compile=true", *_VARIANTS["graph"][1:]),
    "float16": ("--jit_compile=false", *_FLOAT16, *_VARIANTS["graph"][1:]),
    "early_stopping": ("--learning_rate=1e-30", "--early_stopping=1"),
    "schedule": (
        "--learning_rate_schedule=cosine",
        "--learning_rate_warmup_steps=3",
        "--gradient_clip_norm=0.5",
        "--steps_per_execution=3",
    ),
}


@pytest.mark.slow
class ResumeTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, root)
        cls.data_dir = os.path.join(root, "data")
        argv = ("--source=faces", "--limit=50", "--image_size=16", "--encoding=raw")
        code, _, err = train_test.run_program(
            convert_celeba, f"--out={cls.data_dir}", "--workers=1", *argv
        )
        if code:
            raise AssertionError(err)

    def _argv(self, run_dir, settings) -> tuple[str, ...]:
        return (
            f"--data_dir={self.data_dir}",
            f"--run_dir={run_dir}",
            "--filters=4,6",
            "--z_dim=3",
            "--batch_size=8",
            f"--epochs={_EPOCHS}",
            "--checkpoint_every_steps=3",
            "--log_every_steps=1",
            "--images_every_epochs=2",
            "--resume",
            *settings,
        )

    def _train(self, run_dir, settings) -> None:
        """Train, or resume, in this process."""
        argv = self._argv(run_dir, settings)
        code, _, err = train_test.run_program(train, *argv)
        self.assertEqual(code, 0, err)

    def _kill(self, run_dir, settings, step, place) -> int:
        """Train, or resume, in a process that is to be killed; return its exit code."""
        argv = self._argv(run_dir, settings)
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(step), place, *argv],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn(child.returncode, (0, -signal.SIGKILL), child.stderr)
        return child.returncode

    @parameterized.parameters(*_VARIANTS, *(_MORE_VARIANTS if _KILLS else ()))
    def test_killed_runs_leave_the_same(self, variant):
        settings = (_VARIANTS | _MORE_VARIANTS)[variant]
        straight, run_dir = (
            os.path.join(self.create_tempdir().full_path, name)
            for name in ("straight", "killed")
        )
        self._train(straight, settings)
        draw = random.Random(f"{variant} {_SEED}")
        killed = 0
        for _ in range(_KILLS or 1):
            step = draw.randint(_STEPS - 1, _STEPS * _EPOCHS)
            killed += self._kill(run_dir, settings, step, draw.choice(_PLACES)) != 0
        self.assertGreater(killed, 0)
        self._train(run_dir, settings)
        run_record.assert_same(self, straight, run_dir)


if __name__ == "__main__":
    tf.test.main()
