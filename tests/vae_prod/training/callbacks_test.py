import contextlib
import io
import os

import keras
import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.training import callbacks, checkpoints, execution


class HistoryTest(tf.test.TestCase):
    def test_keeps_earlier_rows_and_drops_later_ones(self):
        path = os.path.join(self.create_tempdir().full_path, "history.csv")
        first = callbacks.History(path, first_epoch=0)
        for epoch in range(3):
            first.on_epoch_end(epoch, {"total_loss": float(epoch)})
        second = callbacks.History(path, first_epoch=1)
        second.on_epoch_end(1, {"total_loss": 9.0, "extra": 1})
        rows = callbacks.read_history(path)
        self.assertEqual(
            rows,
            [
                {"epoch": "1", "total_loss": "0.0", "extra": ""},
                {"epoch": "2", "total_loss": "9.0", "extra": "1"},
            ],
        )


class WeightsTest(tf.test.TestCase):
    def test_best_is_the_lowest_validation_loss(self):
        run_dir = self.create_tempdir().full_path
        state = checkpoints.Progress()
        model = tiny.model()
        keeper = callbacks.Weights(run_dir, state, patience=2)
        keeper.set_model(model)
        keeper.on_train_begin()
        for epoch, loss in enumerate((3.0, 2.0, 2.5, 4.0)):
            model.step.assign(epoch)
            keeper.on_epoch_end(epoch, {"val_total_loss": loss, "total_loss": -loss})
            self.assertEqual(state.has_stalled(2), epoch == 3)
        self.assertEqual((state.best, state.best_epoch), (2.0, 2))
        for kind, step in (("best", 1), ("last", 3)):
            copy = tiny.model()
            path = os.path.join(run_dir, "weights", kind, "vae.weights.h5")
            copy.with_precision("float32").load_weights(path)
            plain = copy.with_precision("float32")
            plain.load_weights(path)
            self.assertEqual(plain.step.numpy(), step)

    def test_saved_weights_hold_no_optimizer(self):
        run_dir = self.create_tempdir().full_path
        model = tiny.model()
        model.fit(tiny.batches(), verbose=0)
        keeper = callbacks.Weights(run_dir, checkpoints.Progress(), patience=0)
        keeper.set_model(model)
        keeper.on_train_begin()
        keeper.on_epoch_end(0, {"total_loss": 1.0})
        path = os.path.join(run_dir, "weights", "last", "vae.weights.h5")
        other = tiny.model(learning_rate=0.5)
        other.with_precision("float32").load_weights(path)
        self.assertAllClose(other.optimizer.learning_rate, 0.5)


class CheckpointingTest(tf.test.TestCase):
    def _fit(self, every_steps, every_minutes, stop_at=None, at_once=1):
        directory = self.create_tempdir().full_path
        model = tiny.model()
        model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=at_once)
        saved = checkpoints.Checkpoints(directory, model, keep=9)
        callback = callbacks.Checkpointing(
            saved,
            every_steps,
            every_minutes,
            lambda: stop_at is not None and model.step.numpy() >= stop_at,
        )
        try:
            model.fit(tiny.batches(5), callbacks=[callback], verbose=0)
        except callbacks.Stopped:
            self.assertIsNotNone(stop_at)
        names = os.listdir(os.path.join(directory, "checkpoints"))
        steps = [n.split("-")[1].split(".")[0] for n in names if n.endswith(".index")]
        return sorted(map(int, steps))

    def test_cadences(self):
        self.assertEqual(self._fit(2, 0.0), [2, 4, 5])
        self.assertEqual(self._fit(5, 0.0), [5])
        self.assertEqual(self._fit(0, 0.0), [5])
        self.assertEqual(self._fit(0, 1e-9), [1, 2, 3, 4, 5])

    def test_cadences_wait_for_the_end_of_a_call(self):
        self.assertEqual(self._fit(3, 0.0, at_once=2), [4, 5])
        self.assertEqual(self._fit(1, 0.0, at_once=2), [2, 4, 5])
        self.assertEqual(self._fit(0, 0.0, at_once=2, stop_at=1), [2])

    def test_nothing_is_saved_of_a_failed_run(self):
        model = tiny.model()
        directory = self.create_tempdir().full_path
        saved = checkpoints.Checkpoints(directory, model, keep=9)
        callback = callbacks.Checkpointing(saved, 1, 0.0, lambda: False)
        model.guard.limit = 2
        images = tiny.images(5 * 4).astype("float32").reshape(5, 4, 8, 8, 3) / 255
        images[2:] = float("nan")
        data = tf.data.Dataset.from_tensor_slices({"image": images})
        with self.assertRaises(files.UserError):
            model.fit(data, callbacks=[callback], verbose=0)
        # The third step alone was bad then: what is saved is what the second left.
        self.assertEndsWith(saved.latest, "-3")

    def test_nothing_is_saved_between_the_last_step_and_the_epochs_end(self):
        model = tiny.model()
        saved = checkpoints.Checkpoints(self.create_tempdir().full_path, model, keep=9)
        callback = callbacks.Checkpointing(saved, 1, 0.0, lambda: False)
        at_end = []
        watcher = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: at_end.append(saved.latest[-1])
        )
        model.fit(tiny.batches(3), callbacks=[watcher, callback], verbose=0)
        self.assertEqual((at_end, saved.latest[-1]), (["2"], "3"))

    def test_a_request_to_stop_saves_and_stops(self):
        self.assertEqual(self._fit(0, 0.0, stop_at=3), [3])


class BadStepsTest(tf.test.TestCase):
    def _fit(self, bad, every_steps=2, limit=0):
        """Train for five steps, of which some are bad; return logs and output."""
        model = tiny.model()
        model.guard.limit, model.guard.steps_per_epoch = limit, 5
        images = tiny.images(5 * 4).astype("float32").reshape(5, 4, 8, 8, 3) / 255
        images[bad] = float("nan")
        shown = []
        watcher = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: shown.append(logs)
        )
        bad_steps = callbacks.BadSteps(every_steps)
        watchers = execution.CallbackList(
            [bad_steps, watcher], add_history=True, model=model, epochs=1, steps=5
        )
        data = tf.data.Dataset.from_tensor_slices({"image": images})
        with contextlib.redirect_stdout(io.StringIO()) as out:
            history = model.fit(data, callbacks=watchers, verbose=0)
        counts = [logs.get("skipped_steps") for logs in shown]
        return counts, history.history["skipped_steps"], out.getvalue()

    def test_tells_when_it_looks(self):
        counts, epoch, told = self._fit([0, 4])
        self.assertEqual(counts, [None, 1, None, 1, 2])
        self.assertEqual(epoch, [2])
        self.assertIn("step 2: 1 skipped since the last look, 1 in all", told)
        self.assertIn("step 5: 1 skipped since the last look, 2 in all", told)
        self.assertLen(told.splitlines(), 2)

    def test_is_silent_where_there_is_nothing_to_tell(self):
        counts, epoch, told = self._fit([])
        self.assertEqual((counts, epoch, told), ([None, 0, None, 0, 0], [0], ""))

    def test_ends_the_run_after_a_streak_that_is_over(self):
        with self.assertRaisesRegex(files.UserError, "from step 2 of epoch 1"):
            self._fit([1, 2], every_steps=4, limit=2)


class CheckpointsTest(tf.test.TestCase):
    def test_everything_comes_back(self):
        directory = self.create_tempdir().full_path
        model = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        model.fit(tiny.batches(), verbose=0)
        saved = checkpoints.Checkpoints(directory, model, keep=1)
        saved.progress.best = 12.5
        saved.save()
        keras.utils.set_random_seed(99)
        other = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        restored = checkpoints.Checkpoints(directory, other, keep=1)
        self.assertTrue(restored.restore())
        self.assertEqual(restored.progress, saved.progress)
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


if __name__ == "__main__":
    tf.test.main()
