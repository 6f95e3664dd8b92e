import json
import os

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tools.benchmarks import results, this_machine


class ResultsTest(parameterized.TestCase, tf.test.TestCase):
    def test_spread(self):
        summed = results.spread([3.0, 1.0, 2000.0])
        self.assertEqual(summed, results.Spread(3.0, 1.0, 2000.0))
        self.assertEqual(summed.text(), "3 (1-2,000)")
        self.assertEqual(summed.text(".1f"), "3.0 (1.0-2000.0)")

    def test_table(self):
        text = results.table(["case", "n"], [["a", "10"], ["longer", "1,000"]])
        self.assertEqual(
            text.splitlines(), ["case        n", "a          10", "longer  1,000"]
        )

    def test_json(self):
        path = os.path.join(self.create_tempdir().full_path, "out.json")
        results.check_writable(path)
        facts = this_machine.facts("numpy")
        results.save(path, {"machine": facts, "rate": results.spread([1.0])})
        with open(path) as file:
            values = json.load(file)
        self.assertEqual(values["machine"], facts)
        self.assertGreater(facts["cores"], 0)
        self.assertIn("numpy", facts["packages"])
        self.assertEqual(values["rate"]["median"], 1.0)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["out.json"])

    @parameterized.parameters("", "gone/out.json")
    def test_unwritable(self, name):
        path = os.path.join(self.create_tempdir().full_path, name)
        with self.assertRaisesRegex(files.UserError, "choose another --out"):
            results.check_writable(path)


if __name__ == "__main__":
    tf.test.main()
