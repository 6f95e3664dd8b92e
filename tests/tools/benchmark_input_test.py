import json
import os
from unittest import mock

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import shards, sources
from pipelines.converting import conversion, plan
from pipelines.reading.native import loader
from tests.tools import convert_celeba_test
from tests.tools.benchmarks import in_process
from tools import benchmark_input
from tools.benchmarks import input_cases, input_report

_run = convert_celeba_test.run
_BRIEF = ("--repetitions=1", "--seconds=0.01", "--warmup_seconds=0", "--batch_size=4")


def _convert(folder, encoding, num=20):
    config = config_lib.ConvertConfig(
        encoding=encoding, limit=num, image_size=16, shards=2
    )
    planned = plan.make_plan(sources.open_source("faces", config), config)
    out = os.path.join(folder, encoding)
    conversion.convert(planned, out)
    return out


def _setting(pipeline, data_dir, **changes):
    arguments = {"dtype": "uint8", "augment": False, "batch_size": 4}
    brief = {"shuffle_buffer": 8, "warmup_seconds": 0.0, "seconds": 0.01}
    return input_cases.Setting(pipeline, data_dir, **(arguments | brief | changes))


def _figures(rate, memory=10.0):
    return input_cases.Figures(rate, 0.1, memory, 0.3, 0.2, 0.2)


class PipelinesTest(parameterized.TestCase, tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls().create_tempdir().full_path
        cls.data_dirs = {name: _convert(folder, name) for name in ("jpeg", "raw")}

    @parameterized.product(encoding=("jpeg", "raw"), dtype=("uint8", "float32"))
    def test_all_give_the_same_images(self, encoding, dtype):
        data_dir = self.data_dirs[encoding]
        num = shards.load_manifest(data_dir).split("train").num_examples
        names = ["stock", "stock_batched", "twin"] + ["op"] * loader.available()
        found = []
        for name in names:
            setting = _setting(name, data_dir, dtype=dtype, batch_size=num)
            images = next(iter(input_cases.make(setting)))["image"]
            self.assertEqual(images.dtype, dtype)
            images = tf.cast(images, tf.float32) / (255 if dtype == "uint8" else 1)
            # Stock pipelines may take the shards by turns.
            found.append(sorted(images.numpy(), key=np.mean))
        for other in found[1:]:
            # Stock pipelines decode JPEG by a faster method that is less exact.
            self.assertLess(np.mean(np.abs(np.subtract(found[0], other))), 0.02)

    @parameterized.parameters("stock", "twin")
    def test_begins_later(self, pipeline):
        first, second = (
            iter(input_cases.make(_setting(pipeline, self.data_dirs["raw"]), step))
            for step in (0, 1)
        )
        next(first)
        self.assertAllEqual(next(first)["image"], next(second)["image"])

    @parameterized.product(
        encoding=("jpeg", "raw"), pipeline=("stock", "stock_batched")
    )
    def test_stock_shuffles_and_mirrors(self, encoding, pipeline):
        setting = _setting(pipeline, self.data_dirs[encoding], augment=True)
        batch = next(iter(input_cases.make(setting)))
        self.assertEqual(batch["image"].shape, [4, 16, 16, 3])
        self.assertEqual(batch["image"].dtype, tf.uint8)

    def test_records_are_all_there(self):
        data_dir = self.data_dirs["raw"]
        num = shards.load_manifest(data_dir).split("train").num_examples
        setting = _setting("records", data_dir, batch_size=num)
        once, again = input_cases.make(setting).take(2).as_numpy_iterator()
        self.assertLen(set(once), num)
        self.assertCountEqual(once, again)

    def test_figures(self):
        figures = input_cases.measure(_setting("stock", self.data_dirs["raw"]), 1.0)
        self.assertGreater(figures.images_per_second, 0)
        self.assertGreater(figures.memory_mb, 0)
        self.assertGreater(figures.first_seconds, 0)
        self.assertGreater(figures.late_seconds, 0)


class ReportTest(tf.test.TestCase):
    def test_ratios_are_those_within_a_repetition(self):
        op = input_report.Subject("op", "raw", 2, "uint8", True)
        results = {
            op.beside("records"): [_figures(100.0), _figures(10.0)],
            op.beside("stock"): [_figures(20.0), _figures(2.0)],
            op: [_figures(80.0), _figures(6.0, memory=400.0)],
        }
        *_, found = input_report.to_json(results)
        self.assertAlmostEqual(found["times_stock"], 3.5)
        self.assertAlmostEqual(found["times_stock_by_cpu"], 1.0)
        self.assertAlmostEqual(found["part_of_records"], 0.7)
        self.assertEqual(found["images_per_second"].highest, 80)
        goals = input_report.find_goals(results)
        self.assertEqual([goal.holds for goal in goals], [True, True, False])
        text = goals[0].text()
        self.assertEndsWith(text, "3.5 times stock per-example, goal 3: holds")
        self.assertIn("does NOT hold", goals[2].text())

    def test_what_was_not_measured_is_left_out(self):
        op = input_report.Subject("op", "jpeg", 1, "uint8")
        (found,) = input_report.to_json({op: [_figures(1.0)]})
        self.assertIsNone(found["times_stock"])
        self.assertLen(input_report.find_goals({op: [_figures(1.0)]}), 1)
        self.assertEqual(op.name, "jpeg uint8 1 core in order: our op")


class BenchmarkInputTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.out = os.path.join(self.folder, "out.json")

    def test_table_and_figures(self):
        data_dir = _convert(self.folder, "raw")
        pipeline = "op" if loader.available() else "twin"
        with in_process.benchmarks():
            code, out, _ = _run(
                benchmark_input,
                f"--data_dir={data_dir}",
                f"--cases=stock,{pipeline}",
                f"--out={self.out}",
                "--threads=1",
                *_BRIEF,
            )
        self.assertEqual(code, 0)
        header, stock, ours = out.splitlines()[:3]
        self.assertStartsWith(header, "case ")
        self.assertStartsWith(stock, "raw uint8 1 core: stock per-example ")
        self.assertStartsWith(ours, "raw uint8 1 core: our ")
        with open(self.out) as file:
            values = json.load(file)
        self.assertEqual(list(values), ["machine", "settings", "cases", "goals"])
        self.assertEqual(values["settings"]["threads"], [1])
        self.assertEqual([c["pipeline"] for c in values["cases"]], ["stock", pipeline])
        for case in values["cases"]:
            self.assertGreater(case["images_per_second"]["median"], 0)
            self.assertLen(case["repetitions"], 1)

    def test_draws_its_own_faces(self):
        with mock.patch.object(benchmark_input, "_NUM_FACES", 12):
            code, out, _ = _run(
                benchmark_input, "--cases=records", "--encodings=raw", *_BRIEF
            )
        self.assertEqual(code, 0)
        self.assertIn(": records only", out)
        self.assertNotIn("goal", out)

    def test_stock_pipelines_shuffle_in_the_buffer_that_is_given(self):
        argv = (f"--data_dir={_convert(self.folder, 'raw')}", "--cases=stock", *_BRIEF)
        batches = []
        for size in (1, 20):
            flag = f"--shuffle_buffer={size}"
            (setting,) = in_process.planned(benchmark_input, *argv, flag).values()
            setting = input_cases.Setting(**{**setting, "batch_size": 8})
            (images,) = input_cases.make(setting).take(1).as_numpy_iterator()
            # Whether an image is mirrored is of chance; its brightness isn't.
            batches.append(images["image"].mean((1, 2, 3)))
        in_order = attrs.evolve(setting, augment=False, shuffle_buffer=1)
        (images,) = input_cases.make(in_order).take(1).as_numpy_iterator()
        self.assertAllClose(batches[0], images["image"].mean((1, 2, 3)))
        self.assertNotAllClose(batches[1], batches[0])

    @parameterized.parameters(
        ("--augment=off", "augment", False),
        ("--dtypes=float32", "dtype", "float32"),
        ("--batch_size=3", "batch_size", 3),
        ("--seconds=0.5", "seconds", 0.5),
        ("--warmup_seconds=0.25", "warmup_seconds", 0.25),
    )
    def test_measures_what_is_asked_for(self, flag, name, value):
        argv = (f"--data_dir={_convert(self.folder, 'raw')}", "--cases=stock", *_BRIEF)
        for setting in in_process.planned(benchmark_input, *argv, flag).values():
            self.assertEqual(setting[name], value)

    @parameterized.parameters(
        ("--cases=op,fast", "must be out of records"),
        ("--encodings=", "expected one value at least"),
        ("--dtypes=int8", "must be out of uint8"),
        ("--augment=yes", "must be out of on, off"),
        ("--threads=100000", "--threads must be out of 0, 1"),
        ("--threads=a", "an integer such as 12"),
        ("--repetitions=0", "expected numbers from"),
        ("--seconds=0", "expected numbers from"),
        ("--warmup_seconds=-1", "expected numbers from 0"),
    )
    def test_bad_flags(self, flag, message):
        code, out, err = _run(benchmark_input, flag)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(message, err)
        self.assertEqual(err.count("\n"), 1)

    def test_bad_data(self):
        data_dir = _convert(self.folder, "raw", num=3)
        for flag, message in (
            (f"--data_dir={self.folder}", "Expected a converted data set"),
            (f"--data_dir={data_dir},{data_dir}", "different encodings"),
            (f"--data_dir={data_dir}", "at least one batch of 128"),
            (f"--out={self.folder}", "choose another --out"),
        ):
            code, out, err = _run(benchmark_input, "--cases=twin", flag)
            self.assertEqual((code, out), (1, ""), flag)
            self.assertIn(message, err)
        flag = f"--data_dir={data_dir}"
        code, _, err = _run(benchmark_input, flag, "--encodings=png")
        self.assertEqual(code, 1)
        self.assertIn("Expected a data set of png images", err)


if __name__ == "__main__":
    tf.test.main()
