import os

import tensorflow as tf

from vae_prod.training import history


class HistoryTest(tf.test.TestCase):
    def test_keeps_earlier_rows_and_drops_later_ones(self):
        path = os.path.join(self.create_tempdir().full_path, "history.csv")
        first = history.HistoryFile(path, first_epoch=0)
        for epoch in range(3):
            first.on_epoch_end(epoch, {"total_loss": float(epoch)})
        second = history.HistoryFile(path, first_epoch=1)
        second.on_epoch_end(1, {"total_loss": 9.0, "extra": 1})
        rows = history.read(path)
        self.assertEqual(
            rows,
            [
                {"epoch": "1", "total_loss": "0.0", "extra": ""},
                {"epoch": "2", "total_loss": "9.0", "extra": "1"},
            ],
        )


if __name__ == "__main__":
    tf.test.main()
