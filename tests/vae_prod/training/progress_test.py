import contextlib
import io

import keras
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod.training import progress


class ClockTest(tf.test.TestCase):
    def test_the_compiling_step_is_not_in_the_rate(self):
        model = tiny.model()
        clock = progress.Clock(batch_size=4)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            history = model.fit(tiny.batches(1), callbacks=[clock], verbose=0).history
        self.assertRegex(out.getvalue(), r"^first step: \d+\.\d s, with compiling\n$")
        self.assertNotIn("images_per_second", history)
        self.assertLess(history["first_step_seconds"][0], history["seconds"][0])
        history = model.fit(tiny.batches(3), callbacks=[clock], verbose=0).history
        self.assertGreater(history["images_per_second"][0], 0)
        self.assertNotIn("first_step_seconds", history)
        self.assertAllClose(history["learning_rate"], [1e-2])

    def test_several_steps_in_a_call_all_count(self):
        model = tiny.model()
        model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=2)
        clock = progress.Clock(batch_size=4)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            model.fit(tiny.batches(5), callbacks=[clock], verbose=0)
        self.assertStartsWith(out.getvalue(), "first 2 steps: ")
        self.assertEqual(clock.steps, 3)


class ProgressTest(tf.test.TestCase):
    def _fit(self, line_seconds):
        shown = progress.Progress(3, batch_size=4, line_seconds=line_seconds)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            tiny.model().fit(tiny.batches(3), callbacks=[shown], verbose=0)
        return out.getvalue().splitlines()

    def test_a_line_an_epoch_away_from_a_terminal(self):
        lines = self._fit(line_seconds=1000.0)
        self.assertLen(lines, 1)
        self.assertRegex(lines[0], r"^epoch 1/3: total_loss \S+, reco_loss .*kl_loss")

    def test_plain_lines_within_a_long_epoch(self):
        lines = self._fit(line_seconds=0.0)
        # None after the first step, whose time says nothing of the others'.
        self.assertLen(lines, 3)
        expected = r"^epoch 1/3: 8 of 12 images, total_loss .* images/s, \d+ s left$"
        self.assertRegex(lines[0], expected)


if __name__ == "__main__":
    tf.test.main()
