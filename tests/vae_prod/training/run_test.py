import contextlib
import os
import shutil
import signal
import tempfile
from unittest import mock

import attrs
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorboard.backend.event_processing import event_accumulator

from pipelines import files
from tests.vae_prod import run_record, tiny
from vae_prod import config as config_lib
from vae_prod.training import (
    checkpointing,
    checkpoints,
    devices,
    history,
    run,
    stopping,
    tensorboard,
    weights,
)

_STEPS = 3


def _batch(index: int) -> dict[str, np.ndarray]:
    return {"image": tiny.images(seed=index)}


def _data(
    stop_at: int | None = None, bad=(), stop_by: int = signal.SIGTERM
) -> run.Data:
    """Return data whose batches are a function of their position alone.

    Args:
        stop_at: Send this process a signal when the batch of this number is read.
        bad: Numbers of batches that aren't finite.
        stop_by: The signal.
    """

    def train(epoch, step, worker=(0, 1)):
        del worker

        def generate():
            index = epoch * _STEPS + step
            while True:
                if index == stop_at:
                    signal.raise_signal(stop_by)
                images = _batch(index)["image"] / np.float32(255)
                yield {"image": images * (np.nan if index in bad else 1)}
                index += 1

        spec = {"image": tf.TensorSpec([4, 8, 8, 3], tf.float32)}
        return tf.data.Dataset.from_generator(generate, output_signature=spec)

    def validation(worker=(0, 1)):
        del worker
        return tf.data.Dataset.from_tensors(_batch(1000))

    return run.Data(train, validation, _STEPS, batch_size=4)


class _Killed(Exception):
    """Stands for SIGKILL: nothing runs after it."""


@contextlib.contextmanager
def _killed_in(owner: type, method: str, step: int):
    """Raise at the first call of a method when so many steps are done."""
    real = getattr(owner, method)

    def killing(self, *args, **kwargs):
        model = getattr(self, "model", None) or self._model
        if model.step.numpy() >= step:
            raise _Killed
        return real(self, *args, **kwargs)

    with mock.patch.object(owner, method, killing):
        yield


class _RunCase(tf.test.TestCase, parameterized.TestCase):
    """Runs tiny trainings in run directories."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Uninterrupted runs and their models, by settings, for all tests of the class.
        cls.finished = {}
        cls.addClassCleanup(cls.finished.clear)
        cls.root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.root)

    def setUp(self):
        super().setUp()
        self.run_dir = self.create_tempdir().full_path

    def _run(
        self,
        data=None,
        run_dir=None,
        model=None,
        init_from=None,
        configuration="",
        **changes,
    ):
        keras.utils.set_random_seed(1)
        settings = {"epochs": 2, "log_every_steps": 1, "checkpoint_every_steps": 1}
        settings["images_every_epochs"] = 99  # They take longer than the steps.
        config = config_lib.TrainConfig(**{**settings, **changes})
        model = model or tiny.config(filters=(4,))
        run_dir = run_dir or self.run_dir
        data = data or _data()
        return run.fit(
            model,
            config,
            data,
            run_dir,
            init_from=init_from,
            configuration=configuration,
        )

    def _finished(self, **settings):
        """Return directory and model of a finished run, which no test may change."""
        key = repr(sorted(settings.items()))
        if key not in self.finished:
            run_dir = os.path.join(self.root, str(len(self.finished)))
            self.finished[key] = run_dir, self._run(run_dir=run_dir, **settings)
        return self.finished[key]

    def _go_on_from(self, **settings):
        """Make this test's run directory a copy of a finished one."""
        shutil.copytree(self._finished(**settings)[0], self.run_dir, dirs_exist_ok=True)

    def _history(self, run_dir=None):
        return run_record.history(run_dir or self.run_dir)


class RunTest(_RunCase):
    def test_leaves_what_a_run_directory_holds(self):
        run_dir, model = self._finished(images_every_epochs=1)
        self.assertEqual([row["epoch"] for row in self._history(run_dir)], ["1", "2"])
        for kind in ("best", "last"):
            for part in ("vae", "encoder", "decoder"):
                name = f"weights/{kind}/{part}.weights.h5"
                self.assertTrue(os.path.isfile(os.path.join(run_dir, name)), name)
        copy = tiny.model(filters=(4,))
        weights.load(copy, os.path.join(run_dir, "weights/last/vae.weights.h5"))
        for one, two in zip(model.weights, copy.weights, strict=True):
            self.assertAllEqual(one, two)

    @parameterized.named_parameters(
        ("within", 4, signal.SIGTERM), ("at_the_end_of", _STEPS - 1, signal.SIGHUP)
    )
    def test_stopped_an_epoch_goes_on_as_if_it_had_not(self, stop_at, stop_by):
        straight, _ = self._finished()
        # The tests may run under nohup, which has it ignored.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        with self.assertRaises(stopping.Stopped):
            self._run(_data(stop_at=stop_at, stop_by=stop_by))
        resumed = self._run()
        self.assertEqual(resumed.step.numpy(), 2 * _STEPS)
        run_record.assert_same(self, straight, self.run_dir)

    def test_a_signal_that_is_ignored_stays_so(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        with stopping.stop_requests() as stop_requested:
            signal.raise_signal(signal.SIGHUP)
            self.assertFalse(stop_requested())

    def test_more_epochs_continue_a_finished_run(self):
        straight, _ = self._finished(epochs=3)
        self._go_on_from()
        self._run(epochs=3)
        self.assertEqual(self._history(straight), self._history())

    def test_history_of_lost_steps_is_rewritten(self):
        self._go_on_from(epochs=3)
        path = os.path.join(self.run_dir, "history.csv")
        before = self._history()
        shutil.rmtree(os.path.join(self.run_dir, f"checkpoints/step-{3 * _STEPS}"))
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
        run_dir, first = self._finished()
        path = os.path.join(run_dir, "weights/last/vae.weights.h5")
        second = self._run(init_from=path, learning_rate=1e-30)
        self.assertEqual(second.step.numpy(), 2 * _STEPS)
        for one, two in zip(
            first.trainable_weights, second.trainable_weights, strict=True
        ):
            self.assertAllClose(one, two, atol=1e-6)

    def test_averages_begin_at_the_weights_given(self):
        path = os.path.join(self._finished()[0], "weights/last/vae.weights.h5")
        settings = {"learning_rate": 1e-30, "ema": 0.9, "epochs": 1}
        model = self._run(init_from=path, **settings)
        pairs = zip(model.trainable_variables, model.optimizer.averages, strict=True)
        for weight, average in pairs:
            self.assertAllClose(weight, average, atol=1e-6)

    def test_saved_and_validated_are_the_averages(self):
        model = self._run(ema=0.9)
        saved = tiny.model(filters=(4,))
        path = os.path.join(self.run_dir, "weights", "last", "vae.weights.h5")
        weights.load(saved, path)
        averages = model.optimizer.averages
        for one, two in zip(saved.trainable_variables, averages, strict=True):
            self.assertAllEqual(one, two)
        self.assertNotAllEqual(saved.trainable_weights[0], model.trainable_weights[0])
        saved = saved.with_precision("float32")
        saved.seed = 1
        saved.compile()
        values = saved.evaluate(_data().validation(), verbose=0, return_dict=True)
        row = self._history()[-1]
        self.assertAllClose(values["total_loss"], float(row["val_total_loss"]))

    def test_weights_of_another_architecture_are_refused(self):
        path = os.path.join(self._finished()[0], "weights/last/vae.weights.h5")
        for changes in (
            {"z_dim": 5},
            {"mode": "ae"},
            {"batch_norm": False},
            {"blocks": "residual"},
            {"decoder": "upsampling", "filters": (4, 6, 6)},
        ):
            with self.assertRaisesRegex(files.UserError, "this model's architecture"):
                weights.load(tiny.model(**changes), path)
        with self.assertRaisesRegex(files.UserError, "found no such file"):
            weights.load(tiny.model(), path + ".missing")

    def test_goes_on_from_the_one_before_a_damaged_checkpoint(self):
        straight, _ = self._finished(epochs=3)
        self._go_on_from()
        newest = os.path.join(self.run_dir, "checkpoints", f"step-{2 * _STEPS}")
        for name in os.listdir(newest):
            if ".data-" in name:
                os.truncate(os.path.join(newest, name), 100)
        self._run(epochs=3)
        run_record.assert_same(self, straight, self.run_dir)

    def test_never_begins_anew_over_a_history(self):
        self._go_on_from()
        before = self._history()
        shutil.rmtree(os.path.join(self.run_dir, "checkpoints"))
        with self.assertRaisesRegex(files.UserError, "a checkpoint in .* 2 epochs"):
            self._run(epochs=3)
        self.assertEqual(self._history(), before)

    def test_recomputed_validation_leaves_training_alone(self):
        _, expected = self._finished()
        model = self._run(recompute_batch_norm=2)
        for one, two in zip(expected.weights, model.weights, strict=True):
            self.assertAllEqual(one, two)
        row = self._history()[-1]
        self.assertIn("val_recomputed_total_loss", row)
        self.assertNotEqual(row["val_recomputed_total_loss"], row["val_total_loss"])

    def test_tensorboard_shows_the_run(self):
        run_dir, _ = self._finished(images_every_epochs=1)
        seen = {}
        for part in ("train", "validation"):
            log = os.path.join(run_dir, "tensorboard", part)
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

    def test_what_a_checkpoint_follows_is_in_tensorboard(self):
        real, shown = checkpoints.Checkpoints.save, []

        def saving(saved):
            tags = [record[2] for record in run_record.tensorboard(self.run_dir)]
            shown.append(sum(tag.startswith("step/") for tag in tags))
            return real(saved)

        with mock.patch.object(checkpoints.Checkpoints, "save", saving):
            model = self._run(epochs=1)
        per_step = len(model.means) + 3  # fact, learning rate, skipped steps
        self.assertEqual(shown, [per_step * step for step in range(1, _STEPS + 1)])

    def test_replicas_run_and_resume(self):
        strategy = tiny.mirrored()
        model = tiny.config(reconstruction="gaussian_sigma")
        # Replicas of CPUs: with a GPU beside them, jit would be for that.
        settings = {"model": model, "strategy": "mirrored", "jit_compile": "false"}
        with mock.patch.object(devices, "make_strategy", return_value=strategy):
            self._run(epochs=1, **settings)
            resumed = self._run(epochs=2, **settings)
        self.assertEqual(resumed.step.numpy(), 2 * _STEPS)
        self.assertEqual([row["epoch"] for row in self._history()], ["1", "2"])

    def test_without_validation_the_training_loss_decides(self):
        data = attrs.evolve(_data(), validation=None)
        self._run(data)
        self.assertNotIn("val_total_loss", self._history()[0])
        path = os.path.join(self.run_dir, "weights/best/vae.weights.h5")
        self.assertTrue(os.path.isfile(path))


class SkippedStepTest(_RunCase):
    def test_a_few_are_skipped_and_told(self):
        model = self._run(_data(bad=(1, 3, 4)), max_bad_steps=3)
        self.assertAllEqual(model.guard.counts, [3, 0, 0])
        self.assertEqual([r["skipped_steps"] for r in self._history()], ["1", "3"])
        tags = {record[2] for record in run_record.tensorboard(self.run_dir)}
        self.assertContainsSubset({"step/skipped_steps", "epoch/skipped_steps"}, tags)
        for row in self._history():
            self.assertTrue(np.isfinite(float(row["total_loss"])))

    @parameterized.parameters(1, 2)
    def test_too_many_end_the_run(self, at_once):
        settings = {"log_every_steps": 50, "steps_per_execution": at_once}
        bad = _data(bad=range(4, 99))
        with self.assertRaisesRegex(files.UserError, "from step 5 of epoch 2 on"):
            self._run(bad, max_bad_steps=4, epochs=9, **settings)
        self.assertEqual([row["epoch"] for row in self._history()], ["1", "2"])
        # Saved last before the limit was seen, at the end of a call.
        done = 7 if at_once == 1 else 6
        saved = os.listdir(os.path.join(self.run_dir, "checkpoints"))
        self.assertIn(f"step-{done}", saved)
        self.assertNotIn(f"step-{done + 1}", saved)
        # Of its bad steps it holds nothing but the number.
        mended = _data(bad=range(4, done))
        settings |= {"epochs": 4, "max_bad_steps": 0}
        expected = self._run(mended, self.create_tempdir().full_path, **settings)
        resumed = self._run(mended, **settings)
        for one, two in zip(expected.variables, resumed.variables, strict=True):
            self.assertAllEqual(one, two)

    def test_a_streak_goes_on_over_a_stop(self):
        data = _data(stop_at=5, bad=(3, 4, 5, 6))
        with self.assertRaises(stopping.Stopped):
            self._run(data, max_bad_steps=4)
        with self.assertRaisesRegex(files.UserError, "from step 4 of epoch 2 on"):
            self._run(_data(bad=(3, 4, 5, 6)), max_bad_steps=4, epochs=3)


class StepsPerExecutionTest(_RunCase):
    def test_leaves_what_single_steps_leave(self):
        settings = {"epochs": 3, "gradient_accumulation": 2, "ema": 0.9}
        straight = self.create_tempdir().full_path
        self._run(run_dir=straight, **settings)
        model = self._run(steps_per_execution=2, **settings)
        self.assertEqual(model.step.numpy(), 3 * _STEPS)
        self.assertEqual(self._history(straight), self._history())
        one, two = run_record.weights(straight), run_record.weights(self.run_dir)
        for name in one:
            self.assertEqual(one[name].tobytes(), two[name].tobytes(), name)

    def test_resumes_within_an_epoch(self):
        settings = {"epochs": 3, "steps_per_execution": 2}
        straight = self.create_tempdir().full_path
        self._run(run_dir=straight, **settings)
        with self.assertRaises(stopping.Stopped):
            self._run(_data(stop_at=_STEPS), **settings)
        self._run(**settings)
        run_record.assert_same(self, straight, self.run_dir)


class ResumeTest(_RunCase):
    """A run that is killed and resumed leaves what an uninterrupted one leaves.

    tests/tools/resume_test.py kills real processes.
    """

    def _check(self, kill, model=None, **changes):
        """Compare with a run killed within `kill` and resumed; return the latter."""
        settings = {"checkpoint_every_steps": 2, "images_every_epochs": 2, **changes}
        run_dir, expected = self._finished(model=model, **settings)
        with kill, self.assertRaises(_Killed):
            self._run(model=model, **settings)
        resumed = self._run(model=model, **settings)
        for kind in ("variables", "metrics_variables"):
            pairs = zip(getattr(expected, kind), getattr(resumed, kind), strict=True)
            for one, two in pairs:
                self.assertAllEqual(one, two)
        run_record.assert_same(self, run_dir, self.run_dir)
        return resumed

    def test_killed_between_checkpoints(self):
        kill = _killed_in(checkpointing.Checkpointing, "on_train_batch_end", 5)
        model = tiny.config(dropout=0.1, reconstruction="gaussian_sigma")
        settings = {"gradient_accumulation": 2, "ema": 0.9}
        self._check(kill, model, **settings)

    def test_killed_on_a_schedule(self):
        kill = _killed_in(checkpointing.Checkpointing, "on_train_batch_end", 5)
        settings = {
            "learning_rate_schedule": "cosine",
            "learning_rate_warmup_steps": 2,
            "gradient_clip_norm": 0.5,
            "steps_per_execution": 2,
        }
        self._check(kill, **settings)
        rates = [float(row["learning_rate"]) for row in self._history()]
        self.assertGreater(rates[0], 0)
        self.assertAllClose(rates[-1], 0.0)
        tags = {record[2] for record in run_record.tensorboard(self.run_dir)}
        self.assertIn("step/gradient_norm", tags)

    def test_killed_among_skipped_steps(self):
        kill = _killed_in(checkpointing.Checkpointing, "on_train_batch_end", 5)
        # Gradients that overflow float16 at the first loss scales.
        large = tiny.config(reconstruction_weight=1e4)
        settings = {"gradient_accumulation": 2, "ema": 0.9, "epochs": 4}
        model = self._check(kill, large, mixed_precision="float16", **settings)
        self.assertBetween(model.optimizer.iterations.numpy(), 1, 2 * _STEPS - 1)
        self.assertLess(model.optimizer.dynamic_scale.numpy(), 2.0**15)

    @parameterized.named_parameters(
        ("before_history", history.HistoryFile, "on_epoch_end"),
        ("before_weights", weights.SavedWeights, "on_epoch_end"),
        ("before_tensorboard", tensorboard.TensorBoard, "on_epoch_end"),
        ("before_the_checkpoint", checkpoints.Checkpoints, "save"),
    )
    def test_killed_at_the_end_of_the_last_epoch(self, owner, method):
        # Without gain, early stopping ends the run after its second epoch.
        settings = {"epochs": 9, "early_stopping": 1, "learning_rate": 1e-30}
        model = self._check(_killed_in(owner, method, 2 * _STEPS), **settings)
        self.assertEqual(model.step.numpy(), 2 * _STEPS)

    def test_killed_between_last_and_best_weights(self):
        kill = _killed_in(weights.SavedWeights, "_keep_as_best", 1)
        self._check(kill, epochs=9, early_stopping=1, learning_rate=1e-30)

    def test_killed_before_the_first_checkpoint(self):
        kill = _killed_in(checkpointing.Checkpointing, "on_train_batch_end", 2)
        self._check(kill, checkpoint_every_steps=0, epochs=1)

    def test_checkpoint_of_other_settings_is_refused(self):
        self._run(configuration="one")
        with self.assertRaisesRegex(files.UserError, "'two' in .*, received .* 'one'"):
            self._run(configuration="two", epochs=3)

    def test_more_patience_goes_on_where_less_had_stopped(self):
        still = {"epochs": 9, "learning_rate": 1e-30}
        straight = self.create_tempdir().full_path
        self._run(run_dir=straight, early_stopping=3, **still)
        self._run(early_stopping=2, **still)
        self._run(early_stopping=3, **still)
        run_record.assert_same(self, straight, self.run_dir)


if __name__ == "__main__":
    tf.test.main()
