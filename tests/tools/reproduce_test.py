import contextlib
import io
import json
import os
from unittest import mock

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import protocols, shards
from tests.pipelines import fixtures
from tools import program as program_lib
from tools import reproduce
from tools.reproduction import rows
from vae_prod.training import history

_IMAGES = 96
# A row whose model is small; its images are those of a small CelebA.
_TINY = attrs.evolve(
    rows.ROWS["rae_vae_mixture"], recipe="quickstart", images=_IMAGES, epochs=2
)


def _run(*argv):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program_lib.run(reproduce, argv)
    return code, out.getvalue(), err.getvalue()


def _write_celeba(root):
    """A CelebA of 96 images for training, 8 for validation and 8 for tests."""
    names = fixtures.names(_IMAGES + 16)
    fixtures.write_images(os.path.join(root, "img_align_celeba"), names)
    parts = [0] * _IMAGES + [1] * 8 + [2] * 8
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    fixtures.write_text(root, "list_eval_partition.txt", lines)
    return root


class ReproduceTest(parameterized.TestCase, tf.test.TestCase):
    def test_list_has_every_row(self):
        code, out, err = _run("--list")
        self.assertEqual((code, err), (0, ""))
        for name, row in rows.ROWS.items():
            self.assertRegex(out, rf"(?m)^{name} +{row.value:,.1f} ")

    def test_rows_name_what_there_is(self):
        for name, row in rows.ROWS.items():
            self.assertIn(row.protocol, protocols.PROTOCOLS)
            self.assertIn(row.recipe, program_lib.recipe_names(), name)
            has_stage = row.figure == rows.FID_SECOND_STAGE
            self.assertEqual(bool(row.second_stage_epochs), has_stage, name)
            self.assertGreater(row.spread, 0)

    @parameterized.parameters(
        (["--source=x", "--out=y"], "--row is required"),
        (["--row=cake", "--source=x", "--out=y"], "--row takes two_stage_vae"),
        (["--row=rae_vae", "--out=y"], "--source is required"),
        (
            ["--row=rae_vae", "--source=x", "--out=y", "--fraction=0"],
            "share above 0",
        ),
        (
            ["--row=rae_vae", "--source=x", "--out=y", "--fraction=2"],
            "share above 0",
        ),
        (["--row=rae_vae", "--source=x", "--out=y", "--epochs=-1"], "--epochs"),
    )
    def test_mistakes_are_one_sentence(self, argv, fragment):
        code, out, err = _run(*argv)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)

    def test_a_row_is_converted_trained_measured_and_judged(self):
        folder = self.create_tempdir().full_path
        source, out = _write_celeba(f"{folder}/source"), f"{folder}/out"
        argv = ["--row=tiny", f"--source={source}", f"--out={out}", "--judge=gradients"]
        argv += ["--fraction=0.7", "--epochs=1", "--measured_images=7"]
        with mock.patch.dict(rows.ROWS, tiny=_TINY):
            code, text, err = _run(*argv)
            self.assertEqual(code, 0, err)
            manifest = shards.load_manifest(f"{out}/records")
            self.assertEqual(manifest.settings["protocol"], "rae_64")
            self.assertEqual(manifest.split("train").num_examples, 68)
            self.assertLen(history.read(f"{out}/run/history.csv"), 1)
            with open(f"{out}/reproduction.json") as file:
                facts = json.load(file)
            with open(f"{out}/study/figures.json") as file:
                found = json.load(file)["found"]
            self.assertEqual(facts["value"], found["distances"]["run, fitted mixture"])
            self.assertEqual(facts["verdict"], "can't tell")
            self.assertIn("epochs: 1, published 2", facts["because"])
            self.assertIn("images behind the figure: 7", text)
            with open(f"{out}/report.html") as file:
                self.assertIn("a level below the published one", file.read())
            # The same command finds all of it done; another one is refused.
            self.assertEqual(_run(*argv)[0], 0)
            code, _, err = _run(*argv, "--epochs=2")
            self.assertEqual(code, 1)
            self.assertIn("choose another --out", err)

    def test_a_step_that_fails_ends_it(self):
        folder = self.create_tempdir().full_path
        argv = ["--row=rae_vae", f"--source={folder}/none", f"--out={folder}/out"]
        code, text, err = _run(*argv)
        self.assertEqual(code, 1)
        self.assertIn("step 1 of 3: python -m tools.convert_celeba", text)
        self.assertNotIn("step 2", text)
        self.assertIn("found nothing at", err)
        self.assertNotIn("report.html", os.listdir(f"{folder}/out"))


if __name__ == "__main__":
    tf.test.main()
