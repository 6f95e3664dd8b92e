import json
import os
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from pipelines.reading.native import loader
from tests.tools import benchmark_input_test, convert_celeba_test
from tests.tools.benchmarks import in_process
from tests.vae_prod import hardware
from tools import doctor
from tools.benchmarks import doctor_cases, doctor_machine, doctor_report, measuring

_run = convert_celeba_test.run
_TINY = ("--filters=4,6", "--z_dim=3", "--batch_size=4", "--image_size=16")
_MACHINE = {
    "cpu": "CPU",
    "cores": 4,
    "memory_mb": 16000,
    "load_average": 0.1,
    "python": "3.11",
    "packages": {"tensorflow": "2.21.0", "keras": "3.15.1"},
}
_GOOD = {"machine": _MACHINE, "free_mb": 8000.0}


def _case(precision="float32", jit=False, decoder="upsampling"):
    return doctor_report.StepCase(decoder, precision, jit)


def _rates(together, alone=None):
    return doctor_report.StepRates(alone or together, together, 1.0)


def _reading(encoding="jpeg", **augmented):
    return doctor_report.Reading(9e4, augmented, augmented, encoding)


def _judge(reading, steps, shares_cores=True):
    return doctor_report.judge(reading, steps, "upsampling", shares_cores)


class VerdictTest(parameterized.TestCase, tf.test.TestCase):
    def test_step_is_the_bottleneck(self):
        steps = {
            _case(): _rates(190.0, 200.0),
            _case("bfloat16"): _rates(380.0, 400.0),
        }
        found = _judge(_reading(op=7600.0, twin=2000.0), steps)
        self.assertEqual((found.bottleneck, found.factor), ("step", 19.0))
        self.assertEqual(found.case, _case("bfloat16"))
        self.assertEqual(
            found.flags,
            "--mixed_precision=bfloat16 --jit_compile=false --native=auto",
        )
        self.assertEqual(found.images_per_second, 380.0)
        self.assertAllClose(found.epoch_seconds, 162_770 / 380.0)
        self.assertEqual(found.advice[0], "Reading takes 5% of the time.")
        self.assertIn("bfloat16 changes the numbers", found.advice[1])
        text = doctor_report.verdict_text(found)
        self.assertStartsWith(text, "The train step is the bottleneck: reading alone")
        self.assertIn("in 428 s (7.1 minutes)", text)
        self.assertEndsWith(text, f"\nuse: {found.flags}")

    def test_input_is_the_bottleneck(self):
        steps = {_case(): _rates(900.0, 2000.0)}
        found = _judge(_reading(twin=1000.0), steps, shares_cores=False)
        self.assertEqual((found.bottleneck, found.factor), ("input", 2.0))
        self.assertIn("g++", found.advice[0])
        self.assertIn("--encoding=raw", found.advice[1])
        self.assertIn("--cache", found.advice[2])
        self.assertIn("Reading is the bottleneck", doctor_report.verdict_text(found))

    def test_advice_is_of_use(self):
        steps = {_case(): _rates(900.0, 2000.0)}
        (advice,) = _judge(_reading("raw", op=1000.0), steps).advice
        self.assertIn("--cache", advice)
        steps = {_case(): _rates(90.0)}
        self.assertEmpty(_judge(_reading(op=1000.0), steps, False).advice)

    def test_plainer_unless_it_is_worthwhile(self):
        steps = {
            _case(): _rates(100.0),
            _case(jit=True): _rates(300.0),
            _case("bfloat16"): _rates(105.0),
            _case("bfloat16", jit=True): _rates(320.0),
        }
        self.assertEqual(_judge(_reading(op=1e4), steps).case, _case(jit=True))
        steps[_case("bfloat16", jit=True)] = _rates(340.0)
        found = _judge(_reading(op=1e4), steps)
        self.assertEqual(found.case, _case("bfloat16", jit=True))
        self.assertIn("--jit_compile=true", found.flags)

    def test_what_failed_or_is_of_another_decoder_does_not_count(self):
        steps = {
            _case(): _rates(100.0),
            _case("bfloat16"): doctor_report.StepRates(failed="no memory"),
            _case(decoder="conv2d_transpose"): _rates(900.0),
        }
        self.assertEqual(_judge(_reading(op=1e4), steps).case, _case())
        text = doctor_report.steps_table(steps)
        self.assertIn("failed", text)
        self.assertIn("upsampling bfloat16 graph: no memory", text)

    def test_reading_table(self):
        text = doctor_report.reading_table(_reading(op=2e4, twin=5e3))
        rows = [line.split() for line in text.splitlines()]
        self.assertEqual(rows[0][-2:], ["op", "twin"])
        self.assertEqual(rows[1], ["records", "only", "90,000"])
        self.assertEqual(rows[2][-3:], ["(jpeg)", "20,000", "5,000"])


class FindingsTest(parameterized.TestCase, tf.test.TestCase):
    def _bad(self, **changes):
        facts = doctor_machine.Facts(**(_GOOD | changes))
        return [one.text for one in doctor_machine.findings(facts) if not one.good]

    def test_nothing_to_do(self):
        self.assertEmpty(self._bad())

    @parameterized.parameters(
        ({"no_native": "Expected a compiler."}, "not to be had.*Expected a compiler"),
        ({"quota_cores": 1.5}, "1.5 of 4 cores: try --cpu_threads=2"),
        ({"free_mb": 1000.0}, "lower --batch_size"),
        ({"driver": True}, r"pip install 'tensorflow\[and-cuda\]"),
        ({"onednn_off": True}, "unset TF_ENABLE_ONEDNN_OPTS"),
        ({"machine": _MACHINE | {"load_average": 3.0}}, "figures below are too low"),
        (
            {"machine": _MACHINE | {"packages": {"tensorflow": "2.9", "keras": "3"}}},
            "made for TensorFlow 2.21",
        ),
    )
    def test_something_to_do(self, changes, pattern):
        (text,) = self._bad(**changes)
        self.assertRegex(text, pattern)

    @parameterized.parameters(
        ({}, r"no GPU; emulates\s+bfloat16, at about 8\s+times"),
        ({"cpu_flags": ["avx512_bf16"]}, r"computes\s+bfloat16"),
        ({"accelerators": ["A100"], "driver": True}, "device: A100"),
    )
    def test_device(self, changes, pattern):
        facts = doctor_machine.Facts(**(_GOOD | changes))
        text = "\n".join(one.line() for one in doctor_machine.findings(facts))
        self.assertRegex(text, pattern)
        self.assertNotIn("note", text)


class DoctorTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        for name in ("_READ_SECONDS", "_WARMUP_SECONDS", "_STEP_SECONDS"):
            self.enter_context(mock.patch.object(doctor_cases, name, 0.0))
        self.enter_context(mock.patch.object(doctor, "_NUM_FACES", 20))
        self.enter_context(mock.patch.object(measuring, "run", self._measured_here))
        self.enter_context(hardware.on_processor("avx512_bf16"))
        self.failing = ()

    def _measured_here(self, case):
        if case.name in self.failing:
            raise files.UserError("its process ended abruptly")
        return in_process.run(case)

    def test_examines(self):
        path = os.path.join(self.folder, "out.json")
        code, out, _ = _run(doctor, "--recipe=quickstart", *_TINY, f"--out={path}")
        self.assertEqual(code, 0)
        self.assertStartsWith(out, "this machine\n")
        self.assertIn("conv2d_transpose float32 graph", out)
        self.assertIn("slower on this processor: jit, float16 (--all does)", out)
        self.assertRegex(out.splitlines()[-1], r"^use: --mixed_precision=(bf|f)loat")
        with open(path) as file:
            values = json.load(file)
        self.assertLen(values["steps"], 2)
        for step in values["steps"]:
            self.assertGreater(step["images_per_second"], 0)
            self.assertGreater(step["with_reading"], 0)
            self.assertGreater(step["first_seconds"], 0)
        names = ["op", "twin"] if loader.available() else ["twin"]
        self.assertEqual(list(values["reading"]["decoded"]), names)
        self.assertEqual(list(values["reading"]["augmented"]), names)
        self.assertIn(values["verdict"]["bottleneck"], ("input", "step"))

    def test_goes_on_with_what_can_be_had(self):
        data_dir = benchmark_input_test._convert(self.folder, "raw")
        self.failing = ("conv2d_transpose bfloat16 graph",)
        flags = (f"--data_dir={data_dir}", "--native=false", "--cpu_only", *_TINY)
        code, out, _ = _run(doctor, *flags)
        self.assertEqual(code, 0)
        self.assertIn("conv2d_transpose bfloat16 graph: its process ended", out)
        self.assertIn("decoded (raw)", out)
        self.assertNotIn("op ", out.split("reading, images/s")[1].splitlines()[0])
        self.assertIn("use: --mixed_precision=float32", out)

    def test_everything(self):
        found = []
        for argv in ((), ("--all",), ("--all", "--deterministic")):
            enough = files.UserError("enough")
            with mock.patch.object(doctor, "_measure", side_effect=enough) as measure:
                _run(doctor, "--decoder=upsampling", "--cpu_only", *_TINY, *argv)
            found.append(list(measure.call_args.args[-1]))
        plain, everything, deterministic = found
        self.assertEqual(plain, [_case(), _case("bfloat16")])
        self.assertLen(set(everything), 2 * 3 * 2)
        self.assertEqual(everything[0], _case())
        self.assertLen(set(deterministic), 2 * 3)
        self.assertFalse(any(case.jit for case in deterministic))

    def test_what_is_emulated_is_left_out(self):
        enough = files.UserError("enough")
        with (
            hardware.on_processor("avx2"),
            mock.patch.object(doctor, "_measure", side_effect=enough) as measure,
        ):
            _run(doctor, "--decoder=upsampling", *_TINY)
        self.assertEqual(list(measure.call_args.args[-1]), [_case()])

    def test_nothing_runs(self):
        steps = {_case(): doctor_report.StepRates(failed="no memory")}
        with self.assertRaisesRegex(files.UserError, "none did: no memory"):
            doctor._check_any_ran(steps, "upsampling")

    @parameterized.parameters(
        (2, "--image_size=-1", "expected numbers from 1"),
        (2, "--z_dim=0", "must be >= 1"),
        (2, "--strides=3", "divisible by 9"),
        (1, "--data_dir=missing", "Expected a converted data set"),
        (1, "--out=missing/out.json", "choose another --out"),
    )
    def test_mistakes(self, expected, flag, message):
        code, _, err = _run(doctor, *_TINY, flag)
        self.assertEqual(code, expected)
        self.assertIn(message, err)


if __name__ == "__main__":
    tf.test.main()
