import json
import os
import shutil
import tempfile
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.pipelines import shard_fixtures
from tests.tools import convert_celeba_test, evaluate_test
from tests.tools.benchmarks import in_process
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from tools import benchmark_export, program
from tools.benchmarks import export_cases

_run = convert_celeba_test.run
_FEW = ("--rounds=1", "--calls=2", "--batches=1", "--batch_size=3")
_MACHINE = {"cores": 2, "cpu": "CPU", "load_average": 0.1}


def _figures(decode_ms, rate, load_seconds=0.5):
    differences = {"z_mean": 2e-7, "z_log_var": 0.0, "image": 3e-3}
    return export_cases.Figures(
        (decode_ms, 2 * decode_ms), (1.0, 3.0), rate, load_seconds, 31.5, differences
    )


def _text(results, *argv):
    values = program.parse(benchmark_export, argv)
    return benchmark_export.to_text(results, _MACHINE, values)


class MeasureTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        with tiny_exports.little("generate"):
            export_cases.write(tiny.model(), cls.folder, benchmark_export.FORMATS)

    def test_every_format_answers_as_keras_does(self):
        for name in benchmark_export.FORMATS:
            setting = export_cases.Setting(name, self.folder, 3, calls=2, batches=1)
            with self.subTest(name):
                found = export_cases.measure(setting)
                self.assertCountEqual(
                    found.differences, ["z_mean", "z_log_var", "image"]
                )
                self.assertLess(max(found.differences.values()), 1e-2)
                for middle, high in (found.decode_ms, found.encode_ms):
                    self.assertBetween(middle, 1e-6, high)
                self.assertGreater(found.images_per_second, 0)
                self.assertGreater(found.load_seconds, 0)
                self.assertGreater(found.disk_mb, 0)
                generated = export_cases._open(setting).generate(np.arange(3))
                self.assertAllEqual(generated.shape, (3, 8, 8, 3))

    def test_generates_the_same_images(self):
        seeds = np.array([5, 6])
        own, exported = (
            export_cases._open(export_cases.Setting(name, self.folder, 2, 1, 1))
            for name in ("keras", "saved_model")
        )
        self.assertAllClose(own.generate(seeds), exported.generate(seeds), atol=1e-5)


class ReportTest(tf.test.TestCase):
    def test_compares_within_a_round(self):
        results = {
            "keras": [_figures(2.0, 100.0), _figures(4.0, 50.0), _figures(2.0, 70.0)],
            "saved_model": [
                _figures(1.0, 90.0),
                _figures(4.0, 55.0),
                _figures(2.0, 7.0),
            ],
        }
        facts = benchmark_export.to_json(results)["saved_model"]
        self.assertEqual(facts["decode_times_keras"], 1.0)
        self.assertEqual(facts["generate_times_keras"], 0.9)
        text = _text(results)
        self.assertIn("saved_model: decode 1 times keras, goal 1: holds", text)
        self.assertIn("saved_model: generate 0.9 times keras, goal 1: does NOT", text)

    def test_table(self):
        results = {
            "keras": [_figures(2.0, 100.0), _figures(4.0, 150.0)],
            "onnx": [_figures(1.0, 50.0, 0.1), _figures(1.0, 75.0, 0.3)],
        }
        header, keras, onnx = _text(results, "--threads=1").splitlines()[:3]
        self.assertStartsWith(header, "format ")
        decode = ["3.00", "(2.00-4.00)", "6.00", "1.00"]
        encode = ["1.00", "(1.00-1.00)", "3.00"]
        rest = ["125", "(100-150)", "1.00", "31.5", "0.50", "2e-07", "3e-03"]
        self.assertEqual(keras.split(), ["keras", *decode, *encode, *rest])
        self.assertEqual(onnx.split()[4], "3.00")  # The median of 2 and 4.
        self.assertEqual(onnx.split()[-4:-2], ["31.5", "0.20"])
        self.assertIn("On 1 of 2 cores", _text(results, "--threads=1"))

    def test_without_keras(self):
        text = _text({"onnx": [_figures(1.0, 50.0)]})
        self.assertNotIn("goal", text)
        self.assertLen(text.splitlines()[1].split(), 13)  # Without the two ratios.


class BenchmarkExportTest(parameterized.TestCase, tf.test.TestCase):
    def test_measures_in_a_process_of_its_own(self):
        path = os.path.join(self.create_tempdir().full_path, "out.json")
        with mock.patch.object(benchmark_export, "_model", return_value=tiny.model()):
            code, out, _ = _run(
                benchmark_export, "--formats=onnx", f"--out={path}", *_FEW
            )
        self.assertEqual(code, 0)
        self.assertIn("\nonnx ", out)
        with open(path) as file:
            values = json.load(file)
        (found,) = values["formats"]["onnx"]["rounds"]
        self.assertGreater(found["images_per_second"], 0)
        self.assertEqual(values["settings"]["batch_size"], 3)

    def test_measures_the_weights_that_are_asked_for(self):
        root = self.create_tempdir().full_path
        manifest, _ = shard_fixtures.write(root, {"train": (9,)}, shape=(8, 8, 3))
        run_dir = os.path.join(root, "run")
        evaluate_test.write_run(run_dir, root, manifest.digest())
        measured = []
        for flag in ("--weights=best", "--weights=last", "--recompute_batch_norm=1"):
            with mock.patch.object(export_cases, "write") as write:
                in_process.planned(benchmark_export, f"--run_dir={run_dir}", flag)
            model = write.call_args.args[0]
            measured.append([weight.numpy() for weight in model.weights])
        best, last, recomputed = measured
        self.assertAllClose(1.5 * best[0], last[0])
        self.assertAllEqual(best[0], recomputed[0])
        pairs = zip(best, recomputed, strict=True)
        self.assertTrue(any(np.any(one != two) for one, two in pairs))

    @parameterized.parameters(
        ("--formats=jax", "must be out of keras, saved_model"),
        ("--formats=", "expected one value at least"),
        ("--rounds=0", "expected numbers from"),
        ("--calls=0", "expected numbers from"),
        ("--batch_size=-1", "expected numbers from"),
        ("--threads=-1", "expected numbers from 0"),
    )
    def test_bad_flags(self, flag, message):
        code, out, err = _run(benchmark_export, flag)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(message, err)
        self.assertEqual(err.count("\n"), 1)

    def test_no_run(self):
        folder = self.create_tempdir().full_path
        code, _, err = _run(benchmark_export, f"--run_dir={folder}")
        self.assertEqual(code, 1)
        self.assertIn("Expected a run directory", err)


if __name__ == "__main__":
    tf.test.main()
