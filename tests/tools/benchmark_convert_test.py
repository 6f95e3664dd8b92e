import json
import os

import tensorflow as tf
from absl.testing import parameterized

from tests.pipelines import fixtures
from tests.tools import convert_celeba_test
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
