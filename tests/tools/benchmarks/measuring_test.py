import io
import sys
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.tools.benchmarks import measuring_cases as cases_lib
from tools.benchmarks import measuring


class RunTest(parameterized.TestCase, tf.test.TestCase):
    def test_result_and_cores(self):
        case = measuring.Case("sum", cases_lib.add, {"numbers": [1, 2]}, cores=1)
        run = measuring.run(case)
        self.assertEqual(run.result, {"sum": 3, "cores": 1})
        self.assertGreater(run.start_seconds, 0)
        self.assertGreater(run.wall_seconds, 0)
        self.assertGreaterEqual(run.cpu_seconds, 0)
        self.assertEqual(run.worker_peak_mb, 0)

    def test_memory_is_its_own(self):
        small, large = (
            measuring.run(
                measuring.Case("fill", cases_lib.fill, {"megabytes": megabytes})
            )
            for megabytes in (1, 101)
        )
        self.assertAllClose(large.peak_mb - small.peak_mb, 100, atol=10)

    def test_memory_of_workers(self):
        case = measuring.Case("fill", cases_lib.fill_worker, {"megabytes": 100})
        run = measuring.run(case)
        self.assertBetween(run.worker_peak_mb, 100, 140)

    def test_processor_time_includes_workers(self):
        run = measuring.run(measuring.Case("spin", cases_lib.spin, {"seconds": 0.5}))
        # The kernel counts in ticks of 0.01 s, rounded down.
        self.assertGreaterEqual(run.cpu_seconds, 0.48)

    def test_mistake_keeps_its_kind(self):
        with self.assertRaisesRegex(files.UserError, "^Expected that"):
            measuring.run(measuring.Case("refuse", cases_lib.refuse))

    @parameterized.parameters(
        (cases_lib.be_killed, "was killed by SIGKILL; it said last: nothing"),
        (cases_lib.abort, "was killed by SIGABRT; it said last: Fatal: no more"),
        (cases_lib.exit_with_7, "ended with exit code 7; it said last: giving up"),
        (
            cases_lib.raise_what_cannot_be_sent,
            "exit code 1; it said last: .*Unsendable",
        ),
    )
    def test_a_crash_is_told_as_what_it_is(self, case, how):
        with self.assertRaisesRegex(
            files.UserError,
            f"^Expected the case 'crash' to finish, its process .*{how}",
        ):
            measuring.run(measuring.Case("crash", case))

    def test_what_a_case_says_is_passed_on(self):
        with mock.patch.object(sys, "stderr", io.StringIO()) as stderr:
            measuring.run(measuring.Case("speak", cases_lib.speak))
        self.assertEqual(stderr.getvalue(), "hello\n")

    def test_cases_take_turns(self):
        cases = [measuring.Case(n, cases_lib.add, {"numbers": [int(n)]}) for n in "12"]
        steps = []
        runs = measuring.interleave(cases, 2, lambda *step: steps.append(step))
        self.assertEqual(list(runs), ["1", "2"])
        self.assertEqual([run.result["sum"] for run in runs["2"]], [2, 2])
        self.assertEqual(steps, [(done, 4) for done in range(5)])


if __name__ == "__main__":
    tf.test.main()
