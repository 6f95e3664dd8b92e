import tensorflow as tf
from absl.testing import parameterized

from vae_prod.reporting import uncertainty


class UncertaintyTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (None, ""),
        (0.0, "± 0"),
        (0.00123, "± 0.0012"),
        (2.34, "± 2.3"),
        (99.6, "± 100"),
        (1234.0, "± 1,200"),
    )
    def test_half_widths_have_two_digits(self, half_width, expected):
        self.assertEqual(uncertainty.plus_minus(half_width), expected)

    def test_a_cell(self):
        cell = uncertainty.Uncertain(1234.56, 12.3)
        self.assertEqual(str(cell), "1,234.6 ± 12")


if __name__ == "__main__":
    tf.test.main()
