import keras
import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.training import checkpointing, checkpoints, stopping


class CheckpointingTest(tf.test.TestCase):
    def _fit(self, every_steps, every_minutes, stop_at=None, at_once=1):
        directory = self.create_tempdir().full_path
        model = tiny.model()
        model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=at_once)
        saved = checkpoints.Checkpoints(directory, model, keep=9)
        callback = checkpointing.Checkpointing(
            saved,
            every_steps,
            every_minutes,
            lambda: stop_at is not None and model.step.numpy() >= stop_at,
        )
        try:
            model.fit(tiny.batches(5), callbacks=[callback], verbose=0)
        except stopping.Stopped:
            self.assertIsNotNone(stop_at)
        return saved.steps()

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
        callback = checkpointing.Checkpointing(saved, 1, 0.0, lambda: False)
        model.guard.limit = 2
        images = tiny.images(5 * 4).astype("float32").reshape(5, 4, 8, 8, 3) / 255
        images[2:] = float("nan")
        data = tf.data.Dataset.from_tensor_slices({"image": images})
        with self.assertRaises(files.UserError):
            model.fit(data, callbacks=[callback], verbose=0)
        # The third step alone was bad then: what is saved is what the second left.
        self.assertEqual(saved.steps()[-1], 3)

    def test_nothing_is_saved_between_the_last_step_and_the_epochs_end(self):
        model = tiny.model()
        saved = checkpoints.Checkpoints(self.create_tempdir().full_path, model, keep=9)
        callback = checkpointing.Checkpointing(saved, 1, 0.0, lambda: False)
        at_end = []
        watcher = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: at_end.append(saved.steps()[-1])
        )
        model.fit(tiny.batches(3), callbacks=[watcher, callback], verbose=0)
        self.assertEqual((at_end, saved.steps()[-1]), ([2], 3))

    def test_a_request_to_stop_saves_and_stops(self):
        self.assertEqual(self._fit(0, 0.0, stop_at=3), [3])


if __name__ == "__main__":
    tf.test.main()
