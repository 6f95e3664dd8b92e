import csv
import json
import math
import os

import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod.tuning import rows as made
from vae_prod.tuning import leaderboard

_PSNR = leaderboard.Objective("psnr", minimize=False)


def _trials(rows) -> list[str]:
    return [row.trial for row in rows]


class RankedTest(tf.test.TestCase, parameterized.TestCase):
    def test_completed_then_running_then_failed(self):
        rows = [
            made.failed(5),
            made.row(4, sample=50.0),
            made.running(3),
            made.row(2, sample=70.0),
            made.failed(1),
            made.row(0, sample=60.0),
        ]
        ranked = leaderboard.ranked(rows, made.DISTANCE)
        expected = ["0004", "0000", "0002", "0003", "0001", "0005"]
        self.assertEqual(_trials(ranked), expected)
        done = leaderboard.completed(rows, made.DISTANCE)
        self.assertEqual(_trials(done), expected[:3])

    def test_higher_may_be_better_and_ties_go_by_id(self):
        rows = [made.row(2, psnr=20.0), made.row(1, psnr=20.0), made.row(0, psnr=19.0)]
        ranked = leaderboard.ranked(rows, _PSNR)
        self.assertEqual(_trials(ranked), ["0001", "0002", "0000"])

    @parameterized.parameters(None, math.nan, math.inf, -math.inf)
    def test_without_a_figure_it_failed(self, value):
        rows = [made.row(0, frechet=value), made.row(1)]
        ranked = leaderboard.ranked(rows, made.DISTANCE)
        self.assertEqual(_trials(ranked), ["0001", "0000"])
        self.assertEqual(ranked[1].status, "failed")
        self.assertEqual(ranked[1].message, f"its frechet is {value}")


class WriteTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(self.create_tempdir().full_path, "search")

    def _write(self, *rows):
        leaderboard.write(rows, made.DISTANCE, self.directory)
        with open(os.path.join(self.directory, "leaderboard.json")) as file:
            value = json.load(file)
        with open(os.path.join(self.directory, "leaderboard.csv"), newline="") as file:
            return value, list(csv.DictReader(file))

    def test_both_hold_every_trial_by_rank(self):
        value, lines = self._write(
            made.failed(0, 'a "quoted", long\nreason'),
            made.row(1, sample=60.5),
            made.row(2, sample=50.25, psnr=math.nan),
            made.running(3),
        )
        self.assertEqual((value["objective"], value["direction"]), ("frechet", "min"))
        for table in (value["rows"], lines):
            trials = [line["trial"] for line in table]
            self.assertEqual(trials, ["0002", "0001", "0003", "0000"])
            self.assertEqual(table[3]["message"], 'a "quoted", long\nreason')
        self.assertEqual([row["rank"] for row in value["rows"]], [1, 2, None, None])
        self.assertEqual([line["rank"] for line in lines], ["1", "2", "", ""])
        self.assertEqual([line["fact"] for line in lines], ["3.0", "2.0", "4.0", "1.0"])
        self.assertEqual(lines[0]["decoder"], "conv2d_transpose")
        self.assertEqual(lines[1]["frechet"], "100.5")
        self.assertEqual(lines[2]["frechet"], "")
        self.assertEqual((lines[0]["elbo"], lines[0]["psnr"]), ("", ""))
        self.assertEqual(lines[1]["psnr"], "18.0")
        first = value["rows"][0]
        self.assertEqual(first["settings"]["fact"], 3.0)
        self.assertEqual(first["figures"]["frechet"], 90.25)
        self.assertIsNone(first["figures"]["elbo"])
        self.assertIsNone(first["figures"]["psnr"])

    def test_intervals_of_the_objective(self):
        value, lines = self._write(
            made.row(0, error=1.0),
            made.row(1, 61.0, error=1.0),
            made.row(2, 70.0, error=1.0),
            made.row(3, 80.0),
        )
        rows = value["rows"]
        self.assertEqual([row["alike"] for row in rows], [False, True, False, None])
        self.assertAllClose((rows[0]["low"], rows[0]["high"]), (98.04, 101.96))
        self.assertIsNone(rows[3]["low"])
        self.assertNotIn("replicates", rows[0])
        self.assertEqual([line["alike"] for line in lines][1:], ["True", "False", ""])

    def test_is_written_over_whole(self):
        self._write(made.row(0), made.row(1), made.row(2))
        value, lines = self._write(made.row(0))
        self.assertLen(value["rows"], 1)
        self.assertLen(lines, 1)
        files = ["leaderboard.csv", "leaderboard.json"]
        self.assertCountEqual(os.listdir(self.directory), files)

    def test_without_trials(self):
        value, lines = self._write()
        self.assertEqual((value["rows"], lines), ([], []))
