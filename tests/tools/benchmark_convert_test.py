import json
import os

import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files, shards
from pipelines.reading import dataset
from tests.pipelines import fixtures
from tests.tools import convert_celeba_test
from tests.tools.benchmarks import in_process
from tools import benchmark_convert

_CASES = (
    *("plain loop, 1 process", "conversion, 1 process"),
    *("plain loop, 2 processes", "conversion, 2 processes"),
)


def _run(*argv):
    return convert_celeba_test.run(benchmark_convert, *argv)


class BenchmarkConvertTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def test_table_and_json(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        path = os.path.join(self.folder, "results.json")
        arguments = ("--image_size=16", "--num_images=9", "--repetitions=1")
        with in_process.benchmarks():
            code, out, _ = _run(
                f"--source={root}", f"--out={path}", "--workers=2", *arguments
            )
        self.assertEqual(code, 0)
        lines = out.splitlines()
        self.assertLen(lines, 5)
        self.assertStartsWith(lines[0], "case ")
        with open(path) as file:
            results = json.load(file)
        self.assertEqual(tuple(results["cases"]), _CASES)
        self.assertEqual(results["settings"]["convert"]["image_size"], 16)
        self.assertGreater(results["machine"]["cores"], 0)
        for name, figures in results["cases"].items():
            self.assertEqual(figures["images"], 9)
            self.assertGreater(figures["images_per_second"]["median"], 0)
            self.assertGreater(figures["cpu_seconds_per_1000"]["median"], 0)
            self.assertGreater(figures["start_seconds"]["median"], 0)
            self.assertGreater(figures["peak_mb"], 0)
            # Those of one process have no workers.
            self.assertEqual(figures["worker_peak_mb"] > 0, "2" in name)
            for ratio in ("ratio_to_plain", "ratio_to_one", "cpu_ratio_to_plain"):
                self.assertGreater(figures[ratio], 0)
        digests = {results["runs"][n][0]["result"]["digest"] for n in _CASES[1::2]}
        self.assertLen(digests, 1)

    def _converted(self, *argv):
        """Return what the conversion that is measured makes: manifest and images."""
        root = os.path.join(self.folder, "source")
        if not os.path.exists(root):
            fixtures.write_celeba(root)
        argv = (f"--source={root}", "--image_size=16", "--workers=1", *argv)
        cases = in_process.planned(benchmark_convert, *argv)
        out = self.create_tempdir().full_path
        benchmark_convert.conversion(**cases[_CASES[1]] | {"folder": out})()
        (name,) = os.listdir(out)
        out = os.path.join(out, name)
        manifest = shards.load_manifest(out)
        config = config_lib.DataConfig(batch_size=99)
        (batch,) = dataset.eval_batches(out, manifest, "train", config, fields=("key",))
        return manifest, batch["key"].numpy(), batch["image"].numpy()

    def test_converts_as_its_flags_say(self):
        plain, keys, images = self._converted("--protocol=none")
        split = ("--split_by=key", "--split_ratios=0.5,0.25,0.25")
        given, split_keys, _ = self._converted(
            *("--channels=1", "--encoding=raw", "--shards=2", *split)
        )
        self.assertEqual(
            (plain.record.encoding, given.record.encoding), ("jpeg", "raw")
        )
        self.assertEqual(plain.record.image_shape, (16, 16, 3))
        self.assertEqual(given.record.image_shape, (16, 16, 1))
        self.assertLen(given.splits["train"].shards, 2)
        self.assertLen(plain.splits["train"].shards, 1)
        _, few, _ = self._converted("--limit=2")
        self.assertLen(few, 2)
        self.assertGreater(len(keys), 2)
        self.assertNotAllEqual(set(keys), set(split_keys))
        _, other_keys, _ = self._converted("--seed=9", *split)
        self.assertNotAllEqual(set(split_keys), set(other_keys))
        for flag in ("--crop=60", "--resample=nearest"):
            _, again, changed = self._converted(flag)
            self.assertAllEqual(again, keys)
            self.assertNotAllClose(changed, images, msg=flag)

    def test_protocols_and_bad_images(self):
        root = fixtures.write_celeba(os.path.join(self.folder, "source"))
        argv = ("--protocol=rae_64", "--image_size=16")
        code, _, err = _run(f"--source={root}", *argv)
        self.assertEqual(code, 2)
        self.assertIn("'protocol' rae_64 sets 'image_size'", err)
        with open(os.path.join(root, "img_align_celeba", "000003.jpg"), "w") as file:
            file.write("hello")
        with self.assertRaisesRegex(files.UserError, "000003.jpg: not an image"):
            self._converted()
        manifest, *_ = self._converted("--max_bad_images=1")
        self.assertEqual(sum(s.num_examples for s in manifest.splits.values()), 9)

    def test_draws_its_own_images(self):
        code, out, _ = _run("--num_images=4", "--repetitions=1", "--workers=1")
        self.assertEqual(code, 0)
        self.assertLen(out.splitlines(), 3)

    @parameterized.parameters(
        (["--source=/no/such/place"], 1, "received /no/such/place; unpack it"),
        (["--source=digits"], 1, "to be a folder of images, received digits"),
        (["--num_images=0"], 2, "expected numbers from 1"),
        (["--repetitions=0"], 2, "expected numbers from 1"),
        (["--workers=0,1"], 2, "expected numbers from 1"),
        (["--workers="], 2, "workers"),
        (["--pad"], 2, "no plain loop"),
        (["--quality=101"], 2, "quality"),
        (["--out=/no/such/place/results.json"], 1, "choose another --out"),
    )
    def test_mistakes_are_one_sentence(self, argv, expected, fragment):
        code, out, err = _run(*argv)
        self.assertEqual((code, out), (expected, ""))
        self.assertStartsWith(err, "error: ")
        self.assertIn(fragment, err)
        self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
    tf.test.main()
