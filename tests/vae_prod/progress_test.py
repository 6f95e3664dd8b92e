import contextlib
import io

import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod import progress


class ClockTest(tf.test.TestCase):
    def test_the_compiling_step_is_not_in_the_rate(self):
        model = tiny.model()
        clock = progress.Clock(batch_size=4)
        history = model.fit(tiny.batches(1), callbacks=[clock], verbose=0).history
        self.assertNotIn("images_per_second", history)
        self.assertIn("seconds", history)
        history = model.fit(tiny.batches(3), callbacks=[clock], verbose=0).history
        self.assertGreater(history["images_per_second"][0], 0)
        self.assertAllClose(history["learning_rate"], [1e-2])


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
        self.assertLen(lines, 4)
        expected = r"^epoch 1/3: 8 of 12 images, total_loss .* images/s, \d+ s left$"
        self.assertRegex(lines[1], expected)


if __name__ == "__main__":
    tf.test.main()
