import attrs
import tensorflow as tf
from absl.testing import parameterized

from tools.reproduction import judgement, rows

_ROW = rows.ROWS["two_stage_vae"]  # 53.3, with a deviation of 0.6: 52.1 to 54.5.


def _measured(value, half_width=0.3, **changes):
    alike = {"images": _ROW.images, "epochs": _ROW.epochs}
    alike |= {"extractor": _ROW.extractor, "count": _ROW.count}
    return judgement.Measured(value, half_width, **{**alike, **changes})


class JudgeTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        (53.0, 0.3, judgement.WITHIN),
        (52.3, 0.1, judgement.WITHIN),
        (52.3, 0.3, judgement.UNKNOWN),
        (53.3, 3.0, judgement.UNKNOWN),
        (50.0, 0.3, judgement.OUTSIDE),
        (60.0, 5.0, judgement.OUTSIDE),
        (60.0, 5.6, judgement.UNKNOWN),
    )
    def test_intervals_decide(self, value, half_width, verdict):
        judged = judgement.judge(_ROW, _measured(value, half_width))
        self.assertEqual(judged.verdict, verdict)
        self.assertIn("52.1 to 54.5 (the spread of 10 trainings)", judged.sentence)

    @parameterized.parameters(
        ({"images": 2000}, "training images: 2,000, published 162,770"),
        ({"epochs": 3}, "epochs: 3, published 70"),
        ({"extractor": "gradients"}, "extractor: gradients, published ttur"),
        ({"count": 500}, "images behind the figure: 500, published 10,000"),
    )
    def test_figures_that_were_not_taken_alike_tell_nothing(self, changes, reason):
        judged = judgement.judge(_ROW, _measured(53.3, 0.1, **changes))
        self.assertEqual(judged.verdict, judgement.UNKNOWN)
        self.assertIn(reason, judged.sentence)

    def test_a_split_that_is_hardly_smaller_counts_as_alike(self):
        row = rows.ROWS["study_total"]
        measured = judgement.Measured(5020.0, 0.0, 162_770, row.epochs)
        self.assertEqual(judgement.judge(row, measured).verdict, judgement.WITHIN)
        less = attrs.evolve(measured, images=150_000)
        self.assertEqual(judgement.judge(row, less).verdict, judgement.UNKNOWN)


if __name__ == "__main__":
    tf.test.main()
