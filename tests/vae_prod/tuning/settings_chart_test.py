import attrs
import numpy as np
import tensorflow as tf

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import settings_chart


class CoordinatesTest(tf.test.TestCase):
    def test_an_axis_a_setting_and_the_objective_last(self):
        rows = [
            made.row(i, sample, settings={"fact": fact, "z_dim": z_dim})
            for i, (sample, fact, z_dim) in enumerate(
                [(50.0, 1.0, 64), (60.0, 10.0, 32), (90.0, 100.0, 256)]
            )
        ]
        names, axes = settings_chart.coordinates(rows, made.DISTANCE)
        self.assertEqual(names[:2], ["fact", "z_dim"])
        self.assertStartsWith(names[2], "frechet\n(lower is better")
        self.assertAllClose(axes[0].places, [0.0, 0.5, 1.0])
        self.assertAllClose(axes[1].places, [0.5, 0.0, 1.0], atol=0.05)
        self.assertAllClose(axes[2].places, [0.0, 0.25, 1.0])

    def test_epochs_where_they_differ(self):
        rows = [made.row(0, epochs=1), made.row(1, epochs=9)]
        names, axes = settings_chart.coordinates(rows, made.DISTANCE)
        self.assertEqual(names[3], "epochs")
        self.assertEqual([*axes[3].ticks.values()], ["1", "9"])

    def test_lines_through_one_choice_are_told_apart(self):
        equal = [attrs.evolve(made.row(0), trial=f"{i:04d}") for i in range(3)]
        _, axes = settings_chart.coordinates(equal, made.DISTANCE)
        self.assertAllGreater(np.diff(axes[1].places), 0.0)
        self.assertAllClose(axes[1].places, [0.5] * 3, atol=0.05)
        self.assertAllEqual(axes[0].places, [0.5] * 3)


if __name__ == "__main__":
    tf.test.main()
