import contextlib
import io
import os

import tensorflow as tf
from absl.testing import parameterized

from tools import make_faces, program


def run(*argv):
    """Run the program; return its exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program.run(make_faces, argv)
    return code, out.getvalue(), err.getvalue()


class MakeFacesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.create_tempdir().full_path, "faces")

    def test_writes_a_tree_and_keeps_it(self):
        arguments = (f"--out={self.out}", "--num_images=3", "--workers=1")
        self.assertEqual(run(*arguments), (0, f"3 faces written to {self.out}\n", ""))
        self.assertLen(os.listdir(os.path.join(self.out, "img_align_celeba")), 3)
        code, printed, _ = run(*arguments)
        self.assertEqual((code, printed), (0, f"3 faces already there: {self.out}\n"))

    def test_the_seed_draws_other_faces(self):
        drawn = []
        for seed in ("--seed=1", "--seed=2"):
            out = os.path.join(self.out, seed)
            code, _, err = run(f"--out={out}", "--num_images=1", "--workers=1", seed)
            self.assertEqual(code, 0, err)
            folder = os.path.join(out, "img_align_celeba")
            with open(os.path.join(folder, *os.listdir(folder)), "rb") as file:
                drawn.append(file.read())
        self.assertNotEqual(*drawn)

    def test_help_names_the_flags(self):
        code, printed, _ = run("--help")
        self.assertEqual(code, 0)
        for flag in ("--out", "--num_images", "--seed", "--workers"):
            self.assertIn(flag, printed)

    def test_out_is_required(self):
        code, _, message = run("--num_images=3")
        self.assertEqual(code, 2)
        self.assertStartsWith(message, "error: --out is required")

    @parameterized.parameters(
        ("--num_images=0", "--num_images=0: expected numbers from 1 to"),
        ("--workers=-1", "--workers=-1: expected numbers from 0 to"),
    )
    def test_numbers_out_of_range_are_one_sentence(self, flag, expected):
        code, printed, message = run(f"--out={self.out}", flag)
        self.assertEqual((code, printed), (2, ""))
        self.assertIn(expected, message)


if __name__ == "__main__":
    tf.test.main()
