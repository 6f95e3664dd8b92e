import contextlib
import io
import os

import tensorflow as tf

from vae_prod.training import event_files


class DropLaterTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.create_tempdir().full_path
        self.log = os.path.join(self.directory, "train")
        writer = tf.summary.create_file_writer(self.log)
        with writer.as_default():
            for step in range(5):
                tf.summary.scalar("loss", float(step), step)
        writer.close()
        (self.name,) = os.listdir(self.log)
        self.path = os.path.join(self.log, self.name)

    def _events(self):
        records = tf.data.TFRecordDataset(self.path)
        return [tf.compat.v1.Event.FromString(r.numpy()) for r in records]

    def _steps(self):
        return [event.step for event in self._events() if event.summary.value]

    def test_keeps_the_step_and_all_before(self):
        before = [e.SerializeToString() for e in self._events()]
        event_files.drop_later(self.directory, 2)
        self.assertEqual(self._steps(), [0, 1, 2])
        after = [e.SerializeToString() for e in self._events()]
        self.assertEqual(after, before[:-2])
        self.assertEqual(os.listdir(self.log), [self.name])

    def test_keeps_only_the_version_of_a_run_that_starts_again(self):
        event_files.drop_later(self.directory, -1)
        (event,) = self._events()
        self.assertTrue(event.file_version)

    def test_drops_a_record_cut_short(self):
        with open(self.path, "r+b") as file:
            file.truncate(os.path.getsize(self.path) - 3)
        event_files.drop_later(self.directory, 9)
        self.assertEqual(self._steps(), [0, 1, 2, 3])

    def test_a_damaged_file_is_kept_aside_and_named(self):
        with open(self.path, "r+b") as file:
            content = bytearray(file.read())
            content[len(content) // 2] ^= 1
            file.seek(0)
            file.write(content)
        for number in (1, 2):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                event_files.drop_later(self.directory, 9)
            if number == 1:
                self.assertLess(self._steps(), [0, 1, 2, 3, 4])
                kept = os.path.join(self.log, "damaged-1")
                self.assertIn(f"kept as {kept}", out.getvalue())
                with open(kept, "rb") as file:
                    self.assertEqual(file.read(), content)
            else:
                self.assertEmpty(out.getvalue())
        self.assertCountEqual(os.listdir(self.log), [self.name, "damaged-1"])

    def test_leaves_other_files_alone(self):
        other = os.path.join(self.log, "notes.txt")
        with open(other, "w") as file:
            file.write("mine")
        event_files.drop_later(self.directory, 1)
        with open(other) as file:
            self.assertEqual(file.read(), "mine")

    def test_there_may_be_none(self):
        event_files.drop_later(os.path.join(self.directory, "none"), 1)


if __name__ == "__main__":
    tf.test.main()
