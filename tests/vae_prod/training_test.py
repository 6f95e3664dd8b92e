import csv
import os
import signal
from unittest import mock

import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorboard.backend.event_processing import event_accumulator

from tests.vae_prod import tiny
from vae_prod import callbacks, errors, training
from vae_prod import config as config_lib

_STEPS = 3
# Columns of history.csv that say how fast it went, not what came out.
_TIMING = ("seconds", "images_per_second")


def _batch(index: int) -> dict[str, np.ndarray]:
    return {"image": tiny.images(seed=index)}


def _data(stop_at: int | None = None) -> training.Data:
    """Return data whose batches are a function of their position alone.

    Args:
        stop_at: Send this process SIGTERM when the batch of this number is read.
    """

    def train(epoch, step):
        def generate():
            index = epoch * _STEPS + step
            while True:
                if index == stop_at:
                    signal.raise_signal(signal.SIGTERM)
                yield _batch(index)
                index += 1

        spec = {"image": tf.TensorSpec([4, 8, 8, 3], tf.uint8)}
        return tf.data.Dataset.from_generator(generate, output_signature=spec)

    def validation():
        return tf.data.Dataset.from_tensors(_batch(1000))

    return training.Data(train, validation, _STEPS, batch_size=4)


class RunTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.run_dir = self.create_tempdir().full_path

    def _run(self, data=None, run_dir=None, model=None, init_from=None, **changes):
        keras.utils.set_random_seed(1)
        settings = {"epochs": 2, "log_every_steps": 1, "checkpoint_every_steps": 1}
        config = config_lib.TrainConfig(**{**settings, **changes})
        model = model or tiny.config()
        run_dir = run_dir or self.run_dir
        data = data or _data()
        return training.run(model, config, data, run_dir, init_from=init_from)

    def _history(self, run_dir=None):
        with open(os.path.join(run_dir or self.run_dir, "history.csv")) as file:
            rows = list(csv.DictReader(file))
        return [{k: v for k, v in r.items() if k not in _TIMING} for r in rows]

    def test_leaves_what_a_run_directory_holds(self):
        model = self._run()
        self.assertEqual([row["epoch"] for row in self._history()], ["1", "2"])
        for kind in ("best", "last"):
            for part in ("vae", "encoder", "decoder"):
                name = f"weights/{kind}/{part}.weights.h5"
                self.assertTrue(os.path.isfile(os.path.join(self.run_dir, name)), name)
        copy = tiny.model()
        training.load_weights(
            copy, os.path.join(self.run_dir, "weights/last/vae.weights.h5")
        )
        for one, two in zip(model.weights, copy.weights, strict=True):
            self.assertAllEqual(one, two)

    def test_stopped_run_goes_on_as_if_it_had_not(self):
        straight = self.create_tempdir().full_path
        expected = self._run(run_dir=straight, model=tiny.config(dropout=0.1))
        with self.assertRaises(callbacks.Stopped):
            self._run(_data(stop_at=4), model=tiny.config(dropout=0.1))
        resumed = self._run(model=tiny.config(dropout=0.1))
        self.assertEqual(resumed.step.numpy(), 2 * _STEPS)
        for one, two in zip(expected.weights, resumed.weights, strict=True):
            self.assertAllEqual(one, two)
        self.assertEqual(self._history(straight), self._history())

    def test_more_epochs_continue_a_finished_run(self):
        straight = self.create_tempdir().full_path
        self._run(run_dir=straight, epochs=3)
        self._run(epochs=2)
        self._run(epochs=3)
        self.assertEqual(self._history(straight), self._history())

    def test_history_of_lost_steps_is_rewritten(self):
        self._run(epochs=3)
        path = os.path.join(self.run_dir, "history.csv")
        before = self._history()
        for name in os.listdir(os.path.join(self.run_dir, "checkpoints")):
            if name.startswith(f"ckpt-{3 * _STEPS}."):
                os.remove(os.path.join(self.run_dir, "checkpoints", name))
        state = os.path.join(self.run_dir, "checkpoints", "checkpoint")
        with open(state, "w") as file:
            name = f"ckpt-{3 * _STEPS - 1}"
            file.write(f'model_checkpoint_path: "{name}"\n')
            file.write(f'all_model_checkpoint_paths: "{name}"\n')
        self._run(epochs=3)
        self.assertTrue(os.path.isfile(path))
        self.assertEqual(before, self._history())

    def test_early_stopping_stops_and_stays_stopped(self):
        # Nothing can improve at a learning rate of next to nothing, with noise that
        # doesn't change between epochs.
        model = self._run(epochs=9, early_stopping=2, learning_rate=1e-30)
        done = int(model.step.numpy())
        self.assertLess(done, 9 * _STEPS)
        again = self._run(epochs=9, early_stopping=2, learning_rate=1e-30)
        self.assertEqual(again.step.numpy(), done)

    def test_init_from_takes_weights_only(self):
        first = self._run()
        other = self.create_tempdir().full_path
        path = os.path.join(self.run_dir, "weights/last/vae.weights.h5")
        second = self._run(run_dir=other, init_from=path, learning_rate=1e-30)
        self.assertEqual(second.step.numpy(), 2 * _STEPS)
        for one, two in zip(
            first.trainable_weights, second.trainable_weights, strict=True
        ):
            self.assertAllClose(one, two, atol=1e-6)

    def test_weights_of_another_architecture_are_refused(self):
        self._run()
        path = os.path.join(self.run_dir, "weights/last/vae.weights.h5")
        for changes in (
            {"z_dim": 5},
            {"mode": "ae"},
            {"batch_norm": False},
            {"blocks": "residual"},
            {"decoder": "upsampling", "filters": (4, 6, 6)},
        ):
            with self.assertRaisesRegex(errors.RunError, "this model's architecture"):
                training.load_weights(tiny.model(**changes), path)
        with self.assertRaisesRegex(errors.RunError, "found no such file"):
            training.load_weights(tiny.model(), path + ".missing")

    def test_damaged_checkpoint_is_named(self):
        self._run()
        path = os.path.join(self.run_dir, "checkpoints", f"ckpt-{2 * _STEPS}.index")
        with open(path, "wb") as file:
            file.write(b"damaged")
        with self.assertRaisesRegex(errors.RunError, f"ckpt-{2 * _STEPS}, it can't"):
            self._run(epochs=3)

    def test_recomputed_validation_leaves_training_alone(self):
        plain = self.create_tempdir().full_path
        expected = self._run(run_dir=plain)
        model = self._run(recompute_batch_norm=2)
        for one, two in zip(expected.weights, model.weights, strict=True):
            self.assertAllEqual(one, two)
        row = self._history()[-1]
        self.assertIn("val_recomputed_total_loss", row)
        self.assertNotEqual(row["val_recomputed_total_loss"], row["val_total_loss"])

    def test_tensorboard_shows_the_run(self):
        self._run()
        seen = {}
        for part in ("train", "validation"):
            log = os.path.join(self.run_dir, "tensorboard", part)
            accumulator = event_accumulator.EventAccumulator(log)
            accumulator.Reload()
            seen[part] = set(accumulator.Tags()["tensors"])
        self.assertContainsSubset(
            {"step/total_loss", "step/learning_rate", "step/fact"}, seen["train"]
        )
        self.assertContainsSubset(
            {"epoch/total_loss", "epoch/learning_rate", "epoch/images_per_second"},
            seen["train"],
        )
        expected = ("z_mean", "z_log_var", "radius", "kl_per_dimension", "kl_by_rank")
        self.assertContainsSubset(
            {f"latent/{name}" for name in expected}
            | {"images/prior_samples", "epoch/total_loss"},
            seen["validation"],
        )

    def test_replicas_run_and_resume(self):
        names = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
        strategy = tf.distribute.MirroredStrategy(names)
        model = tiny.config(reconstruction="gaussian_sigma")
        with mock.patch.object(training, "make_strategy", return_value=strategy):
            self._run(epochs=1, model=model, strategy="mirrored")
            resumed = self._run(epochs=2, model=model, strategy="mirrored")
        self.assertEqual(resumed.step.numpy(), 2 * _STEPS)
        self.assertEqual([row["epoch"] for row in self._history()], ["1", "2"])

    def test_without_validation_the_training_loss_decides(self):
        data = attrs.evolve(_data(), validation=None)
        self._run(data)
        self.assertNotIn("val_total_loss", self._history()[0])
        path = os.path.join(self.run_dir, "weights/best/vae.weights.h5")
        self.assertTrue(os.path.isfile(path))


class JitTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("true", False, True),
        ("false", False, False),
        ("true", True, False),
    )
    def test_resolves(self, flag, deterministic, expected):
        config = config_lib.TrainConfig(jit_compile=flag, deterministic=deterministic)
        self.assertEqual(training.resolve_jit(config), expected)

    def test_auto_is_on_for_accelerators_alone(self):
        config = config_lib.TrainConfig(jit_compile="auto")
        self.assertEqual(training.resolve_jit(config), training.has_accelerator())

    def test_refused_combination_is_refused_before_building(self):
        if training.has_accelerator():
            self.skipTest("refused on CPU only")
        model = tiny.config(decoder="upsampling", upsampling="bilinear")
        config = config_lib.TrainConfig(jit_compile="true", mixed_precision="bfloat16")
        with self.assertRaisesRegex(errors.RunError, "can't be compiled on CPU"):
            training.build(model, config)


if __name__ == "__main__":
    tf.test.main()
