import contextlib
import io

import tensorflow as tf

from tools import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _shown(stream, steps, **options):
    with contextlib.redirect_stderr(stream), progress.Progress(**options) as show:
        for done in steps:
            show(done, 1000)
    return stream.getvalue()


class ProgressTest(tf.test.TestCase):
    def test_plain_lines_elsewhere(self):
        lines = _shown(io.StringIO(), (100, 600, 1000), line_seconds=0).splitlines()
        self.assertRegex(
            lines[-1], r"^1,000 of 1,000 images, [\d,]+ images/s, 0 s left"
        )

    def test_lines_are_rare(self):
        self.assertEqual(_shown(io.StringIO(), range(1000), line_seconds=999), "")

    def test_bar_on_a_terminal(self):
        text = _shown(_Terminal(), (250, 1000))
        self.assertIn("1000/1000", text)
        self.assertIn("images", text)


if __name__ == "__main__":
    tf.test.main()
