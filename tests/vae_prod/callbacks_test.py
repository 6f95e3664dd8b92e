import os

import keras
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod import callbacks, checkpoints


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
    def _fit(self, every_steps, every_minutes, stop_at=None):
        directory = self.create_tempdir().full_path
        model = tiny.model()
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
