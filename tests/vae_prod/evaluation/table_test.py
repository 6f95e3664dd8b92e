import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod.evaluation import evaluations
from vae_prod.evaluation import table


class TableTest(tf.test.TestCase, parameterized.TestCase):
    def test_table(self):
        text = table.text(evaluations.evaluation())
        for words in ("weighted bound, K = 3", "z against z_mean", "What to do: "):
            self.assertIn(words, text)
        self.assertLess(max(map(len, text.splitlines())), 89)

    @parameterized.parameters(
        (None, "n/a"),
        (1234, "1,234"),
        (12345.67, "12,345.7"),
        (23.456, "23.46"),
        (0.12345, "0.1235"),
        (-0.000123, "-1.23e-04"),
        (0.0, "0.00"),
    )
    def test_numbers(self, value, expected):
        self.assertEqual(table.number(value), expected)


if __name__ == "__main__":
    tf.test.main()
