import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines.convert import journal
from tests.pipelines import fixtures
from tools import convert_celeba, verify_shards
from tools import program as program_lib


def run(program, *argv):
    """Run a program in this process; return (exit code, output, errors)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program_lib.run(program, argv)
    return code, out.getvalue(), err.getvalue()


class ConvertCelebaTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.out = os.path.join(self.folder, "out")

    def _run(self, *argv):
        return run(convert_celeba, f"--out={self.out}", "--image_size=16", *argv)

    def test_converts_says_so_and_is_done(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        code, out, err = self._run(f"--source={root}", "--workers=2")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("images: 16 x 16 x 3, jpeg", out)
        self.assertIn("40 attributes, 10 landmark coordinates, identity", out)
        self.assertRegex(out, r"\n10 images in .* images/s, .* MB in .*out\n$")
        self.assertEqual(run(verify_shards, f"--data_dir={self.out}")[0], 0)
        before = fixtures.read_all(self.out)
        code, out, _ = self._run(f"--source={root}")
        self.assertEqual(code, 0)
        self.assertIn("complete; nothing to do", out)
        self.assertEqual(fixtures.read_all(self.out), before)

    def test_dry_run_writes_nothing_and_is_right(self):
        arguments = ("--source=digits", "--limit=40", "--shards=2")
        code, out, _ = self._run(*arguments, "--dry_run")
        self.assertEqual(code, 0)
        self.assertIn("validation: 40 images in 2 shards", out)
        self.assertIn("images: 16 x 16 x 1, jpeg", out)
        self.assertIn("10 label classes", out)
        self.assertFalse(os.path.exists(self.out))
        estimate = float(re.search(r"about ([\d.]+) MB", out)[1])
        self.assertEqual(self._run(*arguments)[0], 0)
        written = sum(
            len(data)
            for name, data in fixtures.read_all(self.out).items()
            if "tfrecord" in name
        )
        self.assertAllClose(written / 1e6, estimate, atol=0.06)  # Printed as x.x MB.

    def test_skipped_images_are_listed(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        with open(os.path.join(root, "img_align_celeba", "000003.jpg"), "w") as file:
            file.write("hello")
        code, out, err = self._run(f"--source={root}", "--workers=1")
        self.assertEqual(code, 1)
        self.assertIn("found 1 so far: 000003.jpg: not an image", err)
        code, out, _ = self._run(f"--source={root}", "--max_bad_images=1")
        self.assertEqual(code, 0)
        self.assertIn("skipped 000003.jpg: not an image", out)

    @parameterized.parameters(
        (["--source=/no/such/place"], 1, "found nothing at /no/such/place"),
        ([], 2, "--source is required"),
        (["--source=digits", "--quality=101"], 2, "quality"),
        (["--source=digits", "--encoding=bmp"], 2, "encoding"),
        (["--source=digits", "--crop=-3"], 2, "received '-3'"),
        (["--source=digits", "--crop=9"], 1, "at least 9 x 9"),
        (["--source=digits", "--image_size=-1"], 2, "image_size"),
        (["--source=digits", "--image_size=0", "--pad"], 2, "needs the size to pad to"),
        (["--source=digits", "--workers=-1"], 2, "workers"),
        (["--source=digits", "--split_ratios=0.5,0.5"], 2, "three fractions"),
        (["--source=tfds:nothing_such"], 1, "a TFDS data set"),
        (["--source=digits", "--nonsense=1"], 2, "nonsense"),
    )
    def test_mistakes_are_one_sentence(self, argv, expected, fragment):
        code, out, err = self._run(*argv)
        self.assertEqual((code, out), (expected, ""))
        self.assertStartsWith(err, "error: ")
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)
        self.assertFalse(os.path.exists(self.out))

    def test_output_is_required(self):
        code, _, err = run(convert_celeba, "--source=digits")
        self.assertEqual(code, 2)
        self.assertIn("--out is required", err)

    def test_manifest_of_another_version(self):
        self._run("--source=digits", "--limit=5")
        path = os.path.join(self.out, "manifest.json")
        with open(path) as file:
            text = file.read().replace('"schema_version": 1', '"schema_version": 2')
        with open(path, "w") as file:
            file.write(text)
        code, _, err = self._run("--source=digits", "--limit=5")
        self.assertEqual(code, 1)
        self.assertIn("received version 2", err)

    def test_help_does_without_tensorflow(self):
        code = "import sys; from tools import convert_celeba, program, verify_shards; "
        code += "program.run(convert_celeba, ['--help']); "
        code += "program.run(verify_shards, ['--help']); "
        code += "sys.exit('tensorflow' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        for flag in ("--source=", "--resample={nearest,", "--dry_run=", "--data_dir="):
            self.assertIn(flag, done.stdout)

    def test_ctrl_c(self):
        with mock.patch(
            "pipelines.convert.conversion.convert", side_effect=KeyboardInterrupt
        ):
            code, _, err = self._run("--source=digits", "--limit=5")
        self.assertEqual((code, err), (130, "interrupted\n"))

    def test_sigterm_ends_cleanly(self):
        command = [sys.executable, "-m", "tools.convert_celeba", "--source=faces"]
        command += ["--limit=200", "--shards=50", "--image_size=16", "--workers=2"]
        process = subprocess.Popen(
            [*command, f"--out={self.out}"], stderr=subprocess.PIPE, text=True
        )
        noted = os.path.join(self.out, journal.FOLDER, "train-00000.json")
        while not os.path.exists(noted) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        _, err = process.communicate()
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        self.assertIn("terminated; run the same command to continue", err)
        self.assertNotIn("Traceback", err)


if __name__ == "__main__":
    tf.test.main()
