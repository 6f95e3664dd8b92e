import tensorflow as tf

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import explanation, leaderboard


class ExplainTest(tf.test.TestCase):
    def _reason(self, *rows, objective=made.DISTANCE):
        return explanation.explain(rows, objective)

    def test_tells_settings_lead_and_places(self):
        text = self._reason(
            made.row(0, 50.0, 45.0, psnr=17.0),
            made.row(1, 40.0, 40.0, psnr=18.5),
            made.row(2, 80.0, 20.0, psnr=19.0),
        )
        self.assertEqual(
            text,
            "Trial 0001 (fact 2, z_dim 32, decoder conv2d_transpose, 9 epochs) has the "
            "lowest frechet, 80.000, 15.8 % ahead of the next settings, 0000 (fact 1, "
            "z_dim 32, decoder conv2d_transpose, 9 epochs) with 95.000. It is number 1 "
            "of 3 in sample_frechet (40.00) and number 2 of 3 in "
            "reconstruction_frechet (40.00) and number 2 of 3 in psnr (18.5).",
        )

    def test_how_sure_the_lead_is(self):
        # Standard errors of 1 each, apart: of the difference about 1.4.
        small = made.row(0, 60.0, error=1.0), made.row(1, 61.9, error=1.0)
        text = self._reason(*small)
        self.assertIn("lowest frechet, 100.000 ± 2, 1.86 % ahead of the next", text)
        self.assertRegex(
            text,
            r"conv2d_transpose, 9 epochs\) with 101.900 ± 2. No difference shown "
            r"between them: the lead is 1.9 ± (2.[5-9]|3) over images. What another "
            r"seed changes isn't in it \(--executions_per_trial\).",
        )
        large = made.row(0, 60.0, error=1.0), made.row(1, 69.0, error=1.0)
        text = self._reason(*large)
        self.assertRegex(text, r"± 2. The lead is 9 ± (2.[5-9]|3) over images. What")
        text = explanation.explain(large, made.DISTANCE, trainings=3)
        self.assertIn("over images and 3 trainings. It is number", text)

    def test_trials_without_replicates_have_a_lead_alone(self):
        text = self._reason(made.row(0, 60.0), made.row(1, 60.1, error=1.0))
        self.assertNotIn("difference", text)

    def test_the_same_settings_are_not_the_next(self):
        same = {"fact": 3.0}
        text = self._reason(
            made.row(0, 50.0, settings=same),
            made.row(1, 49.0, settings=same),
            made.row(2, 60.0, settings={"fact": 4.0}, epochs=3),
        )
        self.assertIn("ahead of the next settings, 0002 (fact 4, 3 epochs)", text)
        self.assertIn("which trained less: part of the lead may be its epochs", text)

    def test_fewer_epochs_are_told(self):
        text = self._reason(
            made.row(0, 50.0, epochs=1), made.row(1, 58.0), made.row(2, 55.0)
        )
        self.assertIn(
            "It trained for 1 epoch, others for 9: they don't compare fairly. Of the "
            "longest, 0002 is best, with frechet 95.000.",
            text,
        )
        self.assertNotIn("compare fairly", self._reason(made.row(0), made.row(1)))

    def test_fact_at_an_edge(self):
        def text(best, *others):
            return self._reason(made.row(best, 50.0), *others)

        others = made.row(1), made.failed(2), made.row(3)
        self.assertIn(
            "Its fact is the lowest that was tried (1 to 4)", text(0, *others)
        )
        self.assertIn(
            "Its fact is the highest that was tried (2 to 9)", text(8, *others)
        )
        self.assertNotIn("Its fact", text(2, *others))
        self.assertNotIn("Its fact", text(0, made.row(1)))

    def test_total_loss_is_no_rank(self):
        objective = leaderboard.Objective("total_loss", minimize=True)
        rows = [made.row(i, total_loss=100.0 + i) for i in range(4)]
        text = self._reason(*rows, objective=objective)
        self.assertIn("total_loss falls with fact by construction, so it doesn't", text)
        self.assertNotIn("widen", text)

    def test_alone_or_none(self):
        text = self._reason(made.row(0), made.failed(1))
        self.assertIn("so nothing compares with it.", text)
        self.assertNotIn("number", text)
        text = self._reason(made.failed(0), made.running(1))
        self.assertEqual(
            text,
            "No trial has a rank: 2 trials: 0 completed, 1 running, 1 failed. failed: "
            "0000: not finite",
        )


if __name__ == "__main__":
    tf.test.main()
