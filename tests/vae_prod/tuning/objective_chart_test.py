import math

import tensorflow as tf

from vae_prod.tuning import objective_chart


class BestSoFarTest(tf.test.TestCase):
    def test_keeps_the_best(self):
        values = [None, 3.0, 4.0, None, 2.0]
        lowest = objective_chart.best_so_far(values, minimize=True)
        self.assertAllEqual(lowest, [math.nan, 3.0, 3.0, 3.0, 2.0])
        highest = objective_chart.best_so_far(values, minimize=False)
        self.assertAllEqual(highest, [math.nan, 3.0, 4.0, 4.0, 4.0])


if __name__ == "__main__":
    tf.test.main()
