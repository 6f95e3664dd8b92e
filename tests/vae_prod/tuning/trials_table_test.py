import tensorflow as tf

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import trials_table


class TableTest(tf.test.TestCase):
    def test_shows_the_best_and_what_runs(self):
        rows = [made.row(i, sample=60.0 - i) for i in range(4)]
        rows += [made.running(4), *(made.failed(i) for i in (5, 6))]
        lines = trials_table.table(rows, made.DISTANCE, top=2).split("\n")
        self.assertEqual(
            lines[0],
            "7 trials: 4 completed, 1 running, 2 failed; ranked by frechet, lower is "
            "better",
        )
        expected = (
            "rank trial epochs fact z_dim decoder Fréchet sample recon PSNR KL active",
            "1 0003 9 4 32 transpose 97.000 57.00 40.00 18.0 100.0 20",
            "2 0002 9 3 32 transpose 98.000 58.00 40.00 18.0 100.0 20",
            "0004 2 5 32 transpose running",
            "and 2 more completed",
            "failed: 0005, 0006: not finite",
        )
        self.assertEqual([" ".join(line.split()) for line in lines[1:]], [*expected])
        ends = [
            line.index(cell) + len(cell)
            for line, cell in zip(
                lines[1:4], ("Fréchet", "97.000", "98.000"), strict=True
            )
        ]
        self.assertEqual(ends, ends[:1] * 3)

    def test_marks_what_is_not_shown_to_differ(self):
        rows = [made.row(i, sample=60.0 + i**2, error=1.0) for i in range(4)]
        lines = trials_table.table(rows, made.DISTANCE).split("\n")
        cells = [" ".join(line.split()[:2]) for line in lines[2:]]
        expected = ["1 0000", "2 =", "3 0002", "4 0003", "=: no"]
        self.assertEqual(cells, expected)
        self.assertIn("  101.000 ± 2  ", lines[3])
        self.assertEqual(lines[-1], "=: no difference from trial 0000 shown")

    def test_keeps_its_width(self):
        long = {"learning_rate": 0.000123456, "filters": "32-64-128-256"}
        settings = {**made.row(0).settings, **long}
        rows = [made.row(i, settings=settings) for i in range(3)]
        rows += [made.failed(i, "word " * 50) for i in range(3, 20)]
        lines = trials_table.table(rows, made.DISTANCE).split("\n")
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertIn("Fréchet  sample", lines[1])
        self.assertNotIn("active", lines[1])
        self.assertIn(
            "failed: 0003, 0004, 0005, 0006, 0007 and 12 more: word", lines[5]
        )

    def test_names_the_most_frequent_reasons(self):
        rows = [made.failed(i, reason) for i, reason in enumerate("abbbccddde")]
        text = trials_table.table(rows, made.DISTANCE)
        self.assertEqual(
            text.split("\n")[1:],
            [
                "failed: 0001, 0002, 0003: b",
                "failed: 0006, 0007, 0008: d",
                "failed: 0004, 0005: c",
                "failed for other reasons: 2",
            ],
        )


if __name__ == "__main__":
    tf.test.main()
