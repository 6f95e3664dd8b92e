import contextlib
import io
import json
import os
import re

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as data_config_lib
from tests.tools import benchmark_input_test, convert_celeba_test
from tests.tools.benchmarks import in_process
from tests.vae_prod import hardware, tiny
from tools import benchmark_step, program
from tools.benchmarks import (
    layer_cases,
    layer_report,
    step_cases,
    step_figures,
    step_flops,
    step_report,
)
from vae_prod import config as config_lib

_run = convert_celeba_test.run
_TINY = (
    "--image_size=8",
    "--filters=4,6",
    "--z_dim=3",
    "--batch_size=2",
    "--repetitions=1",
    "--warmup_steps=0",
    "--steps=1",
    "--trace_steps=1",
    "--matmul_sizes=16,8",
)
# Says what a Python without the module says.
_NO_TORCH = "/bin/false"
_MACHINE = {"cores": 2, "cpu": "CPU", "load_average": 0.1}


def _figures(rate, *operations):
    found = tuple(step_figures.Operation(*one) for one in operations)
    return step_figures.Figures(rate, 1.5, 1000.0, 5.0, found)


def _subject(model="ours", mode="graph"):
    return step_report.Subject(model, "upsampling", "float32", mode)


def _results(**figures):
    """Return results: `model_mode` to the figures of its repetitions."""
    subjects = {_subject(*name.split("_")): found for name, found in figures.items()}
    ceilings = [4e9, *[3e9] * (len(next(iter(figures.values()))) - 1)]
    return step_report.Results(
        subjects, {"float32": ceilings}, {"upsampling": 10**7}, 2, (8, 8, 3)
    )


class StepTest(parameterized.TestCase, tf.test.TestCase):
    def _setting(self, **changes):
        setting = step_cases.Setting(
            "ours",
            tiny.config(),
            config_lib.TrainConfig(jit_compile="false"),
            data_config_lib.DataConfig(batch_size=4),
            warmup_steps=1,
            steps=1,
            trace_steps=1,
        )
        return attrs.evolve(setting, **changes)

    def test_measures_with_batches_of_a_data_set(self):
        folder = self.create_tempdir().full_path
        data_dir = benchmark_input_test._convert(folder, "raw")
        found = step_cases.measure(
            self._setting(
                model_config=tiny.config(image_shape=(16, 16, 3)), data_dir=data_dir
            ),
            before_mb=0.0,
        )
        self.assertGreater(found.images_per_second, 0)
        self.assertGreater(found.first_seconds, 0)
        self.assertGreater(found.memory_mb, 0)
        self.assertGreater(found.total_loss, 0)
        self.assertIn("convolutions", {one.group for one in found.operations})

    def test_held_batches_are_always_the_same(self):
        batches = iter(step_cases.make_batches(self._setting()))
        first, second = next(batches)["image"], next(batches)["image"]
        self.assertEqual((first.dtype, first.shape), (tf.uint8, [4, 8, 8, 3]))
        self.assertAllEqual(first, second)

    @parameterized.parameters("float32", "bfloat16", "float16")
    def test_matmul(self, precision):
        self.assertGreater(step_cases.matmul_flops_per_second(precision, (8,)), 0)


class ReportTest(tf.test.TestCase):
    def test_compares_within_a_repetition(self):
        results = _results(
            stock_graph=[_figures(100.0), _figures(50.0), _figures(10.0)],
            ours_graph=[_figures(200.0), _figures(150.0), _figures(40.0)],
            stock_jit=[_figures(10.0), _figures(10.0), _figures(10.0)],
            ours_jit=[_figures(50.0), _figures(50.0), _figures(5.0)],
        )
        self.assertEqual(results.times_stock(_subject()), 3.0)
        self.assertEqual(results.times_stock(_subject(mode="jit")), 0.5)
        self.assertEqual(results.times_stock(_subject(mode="jit"), "jit"), 5.0)
        # 150 images a second of 1e7 operations each, of 4e9 at best.
        self.assertAllClose(results.part_of_ceiling(_subject()), 0.375)

    def test_shares(self):
        first = _figures(1.0, ("convolutions", "Conv2D", 6.0), ("loss", "Mul", 1.0))
        second = _figures(1.0, ("convolutions", "Conv2D", 8.0), ("dense", "Mul", 2.0))
        results = _results(ours_graph=[first, second])
        times = results.operations(_subject())
        self.assertEqual(list(times), [("convolutions", "Conv2D"), ("dense", "Mul"),
                                       ("loss", "Mul")])  # fmt: skip
        self.assertEqual(list(times.values()), [7.0, 1.0, 0.5])
        shares = results.shares(_subject())
        self.assertAllClose(sum(shares.values()), 1.0)
        self.assertAllClose(shares["convolutions"], 7.0 / 8.5)

    def test_text(self):
        operations = [("convolutions", "Conv2D", 3.0), ("loss", "Mul", 1.0)]
        results = _results(
            stock_graph=[_figures(100.0, *operations)],
            ours_graph=[_figures(250.0, *operations)],
        )
        text = step_report.to_text(results, _MACHINE, top=1)
        lines = text.splitlines()
        header, stock, ours = (line.split() for line in lines[:3])
        self.assertEqual(header[:2], ["case", "images/s"])
        name = ["upsampling", "float32", "graph:"]
        speed = ["100", "(100-100)", "1.00", "1.00"]
        self.assertEqual(stock, [*name, "stock", *speed, "1.50", "1,000", "25%"])
        self.assertEqual(ours[3:8], ["ours", "250", "(250-250)", "2.50", "2.50"])
        shares = next(line for line in lines if line.endswith("75.0%  25.0%"))
        self.assertStartsWith(shares, "upsampling float32 graph: stock")
        self.assertIn("upsampling: 0.010 GFLOP for an", text)
        self.assertIn("Conv2D (convolutions)", text)
        self.assertNotIn("Mul (loss)", text)  # Not among the longest.


class BenchmarkStepTest(parameterized.TestCase, tf.test.TestCase):
    def test_tables_and_figures(self):
        path = os.path.join(self.create_tempdir().full_path, "out.json")
        with in_process.benchmarks():
            code, out, _ = _run(
                benchmark_step,
                "--decoders=upsampling",
                "--precisions=float32",
                "--modes=graph",
                f"--out={path}",
                "--top=2",
                "--layers",
                *_TINY,
            )
        self.assertEqual(code, 0)
        header, stock, ours = out.splitlines()[:3]
        self.assertStartsWith(header, "case ")
        self.assertStartsWith(stock, "upsampling float32 graph: stock ")
        self.assertStartsWith(ours, "upsampling float32 graph: ours ")
        with open(path) as file:
            values = json.load(file)
        self.assertEqual([case["model"] for case in values["cases"]], ["stock", "ours"])
        for case in values["cases"]:
            self.assertGreater(case["images_per_second"]["median"], 0)
            self.assertGreater(case["part_of_ceiling"], 0)
            self.assertGreater(case["times_stock"], 0)
            self.assertAllClose(sum(case["shares"].values()), 1.0)
            (repetition,) = case["repetitions"]
            self.assertContainsSubset(
                ["group", "type", "milliseconds"], repetition["operations"][0]
            )
        self.assertLen(values["matmul_flops_per_second"]["float32"], 1)
        self.assertGreater(values["flops_per_image"]["upsampling"], 0)
        self.assertIn("keras", values["machine"]["packages"])
        ((name, layers),) = values["layers"].items()
        self.assertEqual(name, "layers of upsampling float32")
        names = ["down1_conv", "down2_conv", "z_log_var", "z_mean", "dense"]
        names += ["up1_conv", "logits_conv"]
        self.assertEqual([layer["name"] for layer in layers], names)
        self.assertIsNone(layers[0]["by_input"])
        for layer in layers:
            self.assertIn(f"\n{layer['name']} ", out)
            self.assertGreater(layer["part_of_ceiling"], 0)

    def test_layers(self):
        quick = layer_cases.LayerFigures("a", 8_000_000_000, 0.5, None, 1.0, 0.25)
        slow = attrs.evolve(quick, by_weights=3.0)
        text = layer_report.to_text({"model": [[quick], [slow], [slow]]})
        header, row = text.splitlines()[:2]
        self.assertStartsWith(header, "model  forward  by input  by weights")
        # By the median, 8 GFLOP in 3 s; two products of 0.25 s beside 3.5 s.
        self.assertEqual(row.split(), ["a", "16.0", "2.7", "32.0", "14%"])

    def test_a_peer(self):
        folder = self.create_tempdir().full_path
        python, told = os.path.join(folder, "python"), os.path.join(folder, "told")
        figures = {"images_per_second": 7.0, "first_seconds": 2.0}
        printed = json.dumps(figures | {"total_loss": 1.0, "memory_mb": 9.0})
        with open(python, "w") as file:  # Stands in for one with the library.
            file.write(f"#!/bin/sh\n[ $1 = -c ] || cat > {told}\necho '{printed}'\n")
        os.chmod(python, 0o755)
        argv = ("--decoders=upsampling", "--precisions=float32", "--modes=jit", *_TINY)
        argv += ("--peer=torch", f"--peer_python={python}")
        with in_process.benchmarks():
            code, out, err = _run(benchmark_step, *argv, "--models=stock")
        self.assertEqual(code, 0, err)
        row = next(line for line in out.splitlines() if "jit: torch" in line)
        self.assertIn("7 (7-7)", row)
        with open(told) as file:
            settings = json.load(file)
        self.assertEqual(settings["levels"], [[4, 3, 2], [6, 3, 2]])
        self.assertEqual(settings["decoder_filters"], [4])
        self.assertEqual(settings["batch_size"], 2)
        self.assertTrue(settings["compiled"])
        with open(python, "w") as file:
            file.write("#!/bin/sh\n[ $1 = -c ] || (echo no memory >&2; exit 1)\n")
        with in_process.benchmarks():
            code, _, err = _run(benchmark_step, *argv, "--models=stock")
        self.assertEqual(code, 1)
        self.assertIn("Expected torch to take a step, it failed: no memory.", err)

    @parameterized.parameters(
        ("--peer=jax", 2, "--peer must be torch"),
        ("--peer=torch --peer_python=/dev/null/no", 1, "as --peer_python, received"),
        (f"--peer=torch --peer_python={_NO_TORCH}", 1, "that has torch as"),
    )
    def test_a_peer_that_is_not_there_is_refused(self, argv, code, message):
        found, out, err = _run(benchmark_step, *argv.split())
        self.assertEqual((found, out), (code, ""))
        self.assertIn(message, err)
        self.assertLen(err.splitlines(), 1)

    @parameterized.parameters("--kernel_sizes=5", "--strides=1")
    def test_shapes_of_the_model_are_measured(self, flag):
        argv = ("--precisions=float32", "--modes=graph", *_TINY)
        plain, given = (
            [
                step_flops.per_image(setting["model_config"])
                for setting in in_process.planned(benchmark_step, *argv, *more).values()
                if "model_config" in setting
            ]
            for more in ((), (flag,))
        )
        self.assertNotEmpty(plain)
        for one, two in zip(plain, given, strict=True):
            self.assertGreater(two, one)

    def test_measures_what_is_asked_for(self):
        argv = ("--precisions=bfloat16", "--modes=jit", "--models=ours", *_TINY)
        argv += ("--decoders=upsampling", "--steps=5", "--warmup_steps=3")
        cases = in_process.planned(benchmark_step, *argv, "--trace_steps=4")
        settings = [each for each in cases.values() if "trace_steps" in each]
        self.assertNotEmpty(settings)
        for setting in settings:
            steps = [setting[f"{name}steps"] for name in ("", "warmup_", "trace_")]
            self.assertEqual((setting["model"], *steps), ("ours", 5, 3, 4))
            self.assertEqual(setting["model_config"].decoder, "upsampling")
            self.assertEqual(setting["train_config"].mixed_precision, "bfloat16")
            self.assertEqual(setting["train_config"].jit_compile, "true")

    @parameterized.parameters(
        ("--decoders=linear", "must be out of conv2d_transpose, upsampling"),
        ("--precisions=", "expected one value at least"),
        ("--precisions=int8", "must be out of float32"),
        ("--modes=eager", "must be out of graph, jit"),
        ("--models=theirs", "must be out of stock, ours"),
        ("--threads=100000", "--threads must be from 0 to"),
        ("--repetitions=0", "expected numbers from"),
        ("--trace_steps=0", "expected numbers from"),
        ("--matmul_sizes=", "expected one value at least"),
        ("--matmul_sizes=8,0", "expected numbers from"),
        ("--warmup_steps=-1", "expected numbers from 0"),
        ("--image_size=90", "need an image size divisible by 16"),
    )
    def test_bad_flags(self, flag, message):
        code, out, err = _run(benchmark_step, flag)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(message, err)
        self.assertEqual(err.count("\n"), 1)

    def test_bad_data(self):
        folder = self.create_tempdir().full_path
        for flag, message in (
            (f"--data_dir={folder}", "Expected a converted data set"),
            (f"--out={folder}", "choose another --out"),
        ):
            code, out, err = _run(benchmark_step, flag)
            self.assertEqual((code, out), (1, ""), flag)
            self.assertIn(message, err)

    @parameterized.parameters(
        ("--batch_size=2", "avx512_bf16", ["float32", "bfloat16"], ["float16"]),
        ("--batch_size=2", "avx2", ["float32"], ["bfloat16", "float16"]),
        ("--precisions=float16", "avx2", ["float16"], ["float16"]),
    )
    def test_what_is_emulated_only_where_it_is_asked_for(
        self, flag, there, expected, told
    ):
        values = program.parse(benchmark_step, [flag])
        out = io.StringIO()
        with hardware.on_processor(there), contextlib.redirect_stdout(out):
            self.assertEqual(benchmark_step._that_make_sense(values), expected)
        self.assertEqual(re.findall(r"emulates (\w+)", out.getvalue()), told)


if __name__ == "__main__":
    tf.test.main()
