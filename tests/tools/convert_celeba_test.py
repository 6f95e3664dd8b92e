import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import config as config_lib
from pipelines import converting as convert_lib
from pipelines import protocols, shards
from pipelines.converting import conversion, journal
from pipelines.reading import dataset
from tests.pipelines import fixtures
from tests.pipelines.sources import kinds_test, layouts_fixtures
from tools import convert_celeba, verify_shards
from tools import program as program_lib

# Box, size and filter as each protocol's source gives them.
_BILINEAR, _LANCZOS = Image.Resampling.BILINEAR, Image.Resampling.LANCZOS
_PROTOCOLS = {
    "seed_96": ((0, 20, 178, 198), 96, _LANCZOS),
    "two_stage_64": ((25, 45, 153, 173), 64, _BILINEAR),
    "wae_64": ((19, 39, 159, 179), 64, _LANCZOS),
    "rae_64": ((19, 39, 159, 179), 64, _BILINEAR),
    "pytorch_vae_64": ((15, 35, 163, 183), 64, _BILINEAR),
    "nvae_64": ((15, 40, 163, 188), 64, _BILINEAR),
}


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

    def test_dry_run_tells_of_boxes_that_are_kept(self):
        source = layouts_fixtures.wild(self.folder)
        code, out, _ = self._run(f"--source={source}", "--dry_run")
        self.assertEqual(code, 0)
        self.assertIn("10 landmark coordinates, boxes, identity", out)

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

    def test_columns_are_listed_and_what_is_not_used_is_named(self):
        source = layouts_fixtures.celeba_hq(self.folder)
        code, out, err = self._run(f"--source={source}", "--dry_run")
        self.assertEqual(code, 0)
        listed = "CelebAMask-HQ-attribute-anno.txt: Male, Smiling, Young -> attributes"
        ignored = "Yaw -> ignored ('0.5' is no whole number)"
        self.assertIn(listed, out)
        self.assertIn(ignored, out)
        self.assertStartsWith(err, "warning: 1 images are left out, being maps of")
        code, out, _ = self._run(f"--source={source}", "--workers=1")
        self.assertEqual(code, 0)
        self.assertNotIn(listed, out)
        self.assertIn(ignored, out)

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

    @parameterized.parameters(*_PROTOCOLS)
    def test_protocols_prepare_images_as_papers_did(self, name):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        arguments = f"--source={root}", f"--out={self.out}", "--workers=1"
        code, out, err = run(convert_celeba, *arguments, f"--protocol={name}")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"protocol {name}: image_size", out)
        manifest = shards.load_manifest(self.out)
        self.assertEqual(manifest.settings["protocol"], name)
        box, size, resample = _PROTOCOLS[name]
        config = config_lib.DataConfig(batch_size=9)
        for batch in dataset.eval_batches(
            self.out, manifest, "train", config, fields=("key",), dtype=tf.float32
        ):
            keys = batch["key"].numpy()
            for key, image in zip(keys, batch["image"].numpy(), strict=True):
                path = os.path.join(root, "img_align_celeba", key.decode())
                with Image.open(path) as picture:
                    wanted = picture.crop(box).resize((size, size), resample)
                # A filter may reach beyond the box here, as it can't after Pillow's
                # crop.
                inner = np.s_[3:-3, 3:-3]
                wanted = np.asarray(wanted, np.float32)[inner]
                self.assertAllClose(image[inner] * 255, wanted, atol=1.01)

    def test_splits_by_person_have_nobody_in_two(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"), 40)
        lines = [f"{name} {n % 8}" for n, name in enumerate(fixtures.names(40))]
        fixtures.write_text(root, "identity_CelebA.txt", lines)
        more = (f"--source={root}", "--workers=1", "--split_ratios=0.5,0.25,0.25")
        persons, told = {}, {}
        for by in ("source", "key", "identity"):
            out = os.path.join(self.folder, f"by_{by}")
            argv = (f"--out={out}", "--image_size=16", *more, f"--split_by={by}")
            code, told[by], err = run(convert_celeba, *argv)
            self.assertEqual(code, 0, err)
            manifest = shards.load_manifest(out)
            persons[by] = {
                split: np.concatenate(
                    [
                        batch["identity"]
                        for batch in dataset.eval_batches(
                            out,
                            manifest,
                            split,
                            config_lib.DataConfig(),
                            fields=("identity",),
                        )
                    ]
                )
                for split in manifest.splits
            }
        self.assertLen(persons["source"]["train"], 37)  # The partition file's.
        self.assertLess(len(persons["key"]["train"]), 30)
        found = [set(of_split.tolist()) for of_split in persons["identity"].values()]
        self.assertEqual(sum(map(len, found)), len(set.union(*found)))
        self.assertIn("persons are in more than one split", told["key"])
        self.assertNotIn("persons are in more than one split", told["identity"])
        argv = (*self._quiet(root), "--check_splits=false", "--split_by=key")
        self.assertNotIn("persons", run(convert_celeba, *argv)[1])

    def _quiet(self, root):
        return f"--source={root}", f"--out={self.out}", "--workers=1", "--image_size=16"

    def test_protocols_name_what_they_set(self):
        self.assertCountEqual(_PROTOCOLS, set(protocols.PROTOCOLS) - {"none"})
        for name in _PROTOCOLS:
            code, _, err = self._run("--source=digits", f"--protocol={name}")
            self.assertEqual(code, 2)
            self.assertIn(f"'protocol' {name} sets 'image_size'", err)

    def test_protocols_with_splits_of_their_own(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"), 40)
        argv = (f"--source={root}", f"--out={self.out}", "--dry_run")
        _, out, _ = run(convert_celeba, *argv, "--protocol=wae_64")
        self.assertIn("split_by key", out)
        self.assertNotIn("validation:", out)

    def test_protocol_of_other_pictures_is_told(self):
        source = os.path.join(self.folder, "source")
        os.makedirs(source)
        Image.new("RGB", (170, 200)).save(os.path.join(source, "a.png"))
        arguments = f"--source={source}", f"--out={self.out}", "--dry_run"
        _, out, _ = run(convert_celeba, *arguments, "--protocol=rae_64")
        self.assertIn(
            "one of pictures of 178 x 218 pixels, the first here has 170", out
        )
        self.assertIn("stated nowhere: the filter", out)

    @parameterized.parameters(
        (["--source=/no/such/place"], 1, "found nothing at /no/such/place"),
        ([], 2, "--source is required"),
        (["--source=digits", "--quality=101"], 2, "quality"),
        (["--source=digits", "--encoding=bmp"], 2, "encoding"),
        (["--source=digits", "--crop=-3"], 2, "received '-3'"),
        (["--source=digits", "--crop=9"], 1, "at least 9 x 9"),
        (["--source=digits", "--image_size=-1"], 2, "image_size"),
        (["--source=digits", "--image_size=0", "--pad"], 2, "needs the size to pad to"),
        (["--source=digits", "--split_by=key"], 1, "which is divided as it is"),
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

    def test_channels_and_where_data_sets_of_tfds_lie(self):
        folder = os.path.join(self.folder, "prepared")
        argv = (f"--source={kinds_test._tfds(folder)}", "--dry_run")
        code, _, err = self._run(*argv)
        self.assertEqual(code, 1)
        self.assertIn("a TFDS data set, received", err)
        argv += (f"--tfds_data_dir={folder}",)
        for more, channels in (((), 1), (("--channels=3",), 3)):
            code, out, err = self._run(*argv, *more)
            self.assertEqual(code, 0, err)
            self.assertIn(f"images: 16 x 16 x {channels}, jpeg", out)

    @parameterized.parameters(
        ("--encoding=raw",),
        ("--quality=50",),
        ("--resample=nearest",),
        ("--crop=60",),
        ("--pad", "--image_size=200"),
    )
    def test_pictures_are_stored_as_asked(self, flag, *beside):
        root = self.create_tempdir().full_path
        fixtures.write_celeba(root, 3)
        stored = []
        for more in ((), (flag,)):
            out = f"--out={self.out}{len(stored)}"
            code, _, err = run(convert_celeba, *self._quiet(root), out, *beside, *more)
            self.assertEqual(code, 0, err)
            stored.append(fixtures.read_all(out.removeprefix("--out=")))
        (name,) = (name for name in stored[0] if "train.tfrecord" in name)
        self.assertNotEqual(*(files[name] for files in stored))

    def test_the_seed_divides_images(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        divided = []
        for seed in (1, 2):
            out = os.path.join(self.folder, str(seed))
            split = ("--split_by=key", "--split_ratios=0.5,0.25,0.25")
            argv = (*self._quiet(root), *split, f"--seed={seed}", f"--out={out}")
            code, _, err = run(convert_celeba, *argv)
            self.assertEqual(code, 0, err)
            config = config_lib.DataConfig(batch_size=10)
            (batch,) = dataset.eval_batches(
                out, shards.load_manifest(out), "train", config, fields=("key",)
            )
            divided.append(set(batch["key"].numpy()))
        self.assertNotEqual(*divided)

    def test_beam_gets_its_options(self):
        given = []

        def convert(planned, open_source, out, options):
            given.append(options)
            return conversion.convert(planned, out, 1)

        on_beam = mock.Mock(convert=convert)
        for more in ("", "--runner=FlinkRunner --parallelism=3"):
            out = os.path.join(self.folder, f"out_{len(given)}")
            argv = ("--source=digits", "--limit=5", "--workers=7", f"--out={out}")
            argv += ("--runner=beam", f"--beam_options={more}")
            with (
                mock.patch.dict(sys.modules, {"pipelines.converting.on_beam": on_beam}),
                mock.patch.object(convert_lib, "on_beam", on_beam, create=True),
            ):
                code, _, err = self._run(*argv)
            self.assertEqual(code, 0, err)
            self.assertTrue(os.path.exists(os.path.join(out, "manifest.json")))
        self.assertIn("--direct_num_workers=7", given[0])
        self.assertEqual(given[1], ["--runner=FlinkRunner", "--parallelism=3"])

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
            "pipelines.converting.conversion.convert", side_effect=KeyboardInterrupt
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
