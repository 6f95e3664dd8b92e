import contextlib
import io

import keras
import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.training import bad_steps, execution


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
        callback = bad_steps.BadSteps(every_steps)
        watchers = execution.CallbackList(
            [callback, watcher], add_history=True, model=model, epochs=1, steps=5
        )
        data = tf.data.Dataset.from_tensor_slices({"image": images})
        with contextlib.redirect_stdout(io.StringIO()) as out:
            history = model.fit(data, callbacks=watchers, verbose=0)
        counts = [logs.get("skipped_steps") for logs in shown]
        return counts, history.history["skipped_steps"], out.getvalue()

    def test_tells_when_it_looks(self):
        counts, epoch, output = self._fit([0, 4])
        self.assertEqual(counts, [None, 1, None, 1, 2])
        self.assertEqual(epoch, [2])
        self.assertIn("step 2: 1 skipped since the last look, 1 in all", output)
        self.assertIn("step 5: 1 skipped since the last look, 2 in all", output)
        self.assertLen(output.splitlines(), 2)

    def test_is_silent_where_there_is_nothing_to_tell(self):
        counts, epoch, output = self._fit([])
        self.assertEqual((counts, epoch, output), ([None, 0, None, 0, 0], [0], ""))

    def test_ends_the_run_after_a_streak_that_is_over(self):
        with self.assertRaisesRegex(files.UserError, "from step 2 of epoch 1"):
            self._fit([1, 2], every_steps=4, limit=2)


if __name__ == "__main__":
    tf.test.main()
