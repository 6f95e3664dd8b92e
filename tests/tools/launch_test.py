import contextlib
import io
import os
import subprocess

import h5py
import tensorflow as tf
from absl.testing import parameterized

from tests.pipelines import shard_fixtures
from tools import launch, train
from tools import program as program_lib
from vae_prod.training import history

_FLAGS = (
    *("--filters=4", "--z_dim=2", "--batch_size=8", "--epochs=2", "--dropout=0.1"),
    *("--microbatches=2", "--images_every_epochs=99"),
    "--recompute_batch_norm=2",
)


def _run(program, *argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program_lib.run(program, argv)
    return code, out.getvalue(), err.getvalue()


def _weights(run_dir):
    arrays = []
    with h5py.File(os.path.join(run_dir, "weights", "last", "vae.weights.h5")) as file:
        file.visititems(
            lambda _, item: arrays.append(item[()] if hasattr(item, "shape") else None)
        )
    return [array for array in arrays if array is not None]


class LaunchTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ([], "--command is required"),
        (["--command=tools.tune --epochs=3"], "tools.train as the program"),
        (["--command=tools.train", "--workers=0"], "--workers=0"),
        (["--command=tools.train", "--gpus=1"], "a GPU for each; received 1"),
    )
    def test_mistakes_are_one_sentence(self, argv, fragment):
        code, out, err = _run(launch, *argv)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)

    def test_two_workers_give_the_weights_and_losses_of_one(self):
        folder = self.create_tempdir().full_path
        data_dir = os.path.join(folder, "data")
        os.makedirs(data_dir)
        # The second worker's last batch of validation isn't there.
        splits = {"train": (24,), "validation": (13,)}
        shard_fixtures.write(data_dir, splits, (8, 8, 3))
        runs = {name: os.path.join(folder, name) for name in ("alone", "together")}
        flags = [f"--data_dir={data_dir}", *_FLAGS]
        code, _, err = _run(train, *flags, f"--run_dir={runs['alone']}")
        self.assertEqual(code, 0, err)
        command = [*program_lib.PYTHON, "-m", "tools.launch", "--workers=2"]
        command += [f"--logs={folder}", "train", *flags]
        ran = subprocess.run(
            [*command, f"--run_dir={runs['together']}"],
            env=program_lib.environment(CUDA_VISIBLE_DEVICES="-1"),
            capture_output=True,
            text=True,
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn(f"trained: {runs['together']}", ran.stdout)
        self.assertIn("worker_1.log", os.listdir(folder))
        alone, together = map(_weights, runs.values())
        for got, wanted in zip(together, alone, strict=True):
            self.assertAllEqual(got, wanted)
        rows = [history.read(os.path.join(run, "history.csv")) for run in runs.values()]
        for name in ("total_loss", "val_total_loss", "val_recomputed_kl"):
            self.assertEqual(*([row[name] for row in read] for read in rows), name)

    def test_workers_end_with_a_launcher_that_is_killed(self):
        folder = self.create_tempdir().full_path
        data_dir, run_dir = (os.path.join(folder, name) for name in ("data", "run"))
        os.makedirs(data_dir)
        shard_fixtures.write(data_dir, {"train": (24,)}, (8, 8, 3))
        flags = [*_FLAGS, f"--data_dir={data_dir}", f"--run_dir={run_dir}"]
        command = [*program_lib.PYTHON, "-m", "tools.launch", "--workers=1", "train"]
        launcher = subprocess.Popen(
            [*command, *flags, "--epochs=100000"],
            env=program_lib.environment(CUDA_VISIBLE_DEVICES="-1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        with launcher:
            for line in launcher.stdout:
                if line.startswith("epoch 1"):
                    launcher.kill()
            # The worker has it, too: it has ended.
            self.assertStartsWith(line, "stopped")
        self.assertNotEmpty(os.listdir(os.path.join(run_dir, "checkpoints")))


if __name__ == "__main__":
    tf.test.main()
