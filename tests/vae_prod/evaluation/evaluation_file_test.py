import json
import os

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files as files_lib
from tests.vae_prod.evaluation import evaluations
from vae_prod.evaluation import comparability, evaluation_file, table


class EvaluationFileTest(tf.test.TestCase, parameterized.TestCase):
    def test_figures_are_those_of_the_measurements(self):
        values = {
            name: f["value"] for name, f in evaluations.evaluation().figures.items()
        }
        quality = evaluations.measured().quality
        for name in ("psnr", "kl", "elbo", "importance_bound", "active_units"):
            self.assertEqual(values[name], getattr(quality, name).value)
        distance = quality.sample_distance.mean
        self.assertEqual(values["sample_distance_8"], distance.value)
        self.assertEqual(
            values["means/fid"], evaluations.measured().features["means"].fid.value
        )
        self.assertIsNone(values["bits_per_dim"])  # Of bce there are none.
        self.assertIsNone(values["ssim"])  # Of 8x8 neither.
        self.assertLen(evaluations.evaluation().per_dimension["kl"], 3)

    def test_file_round_trip(self):
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        with open(path, "w") as file:
            file.write(evaluation_file.to_text(evaluations.evaluation()))
        loaded = evaluation_file.load(path)
        again = json.loads(evaluation_file.to_text(evaluations.evaluation()))
        self.assertEqual(json.loads(evaluation_file.to_text(loaded)), again)
        comparability.check_alike({"one": loaded, "two": evaluations.evaluation()})
        with open(path) as file:
            self.assertLess(max(map(len, file)), 4000)
        psnr, kept = evaluations.measured().quality.psnr, loaded.estimate("psnr")
        self.assertEqual(kept.value, psnr.value)
        self.assertAllClose(kept.replicates, psnr.replicates, rtol=1e-5)
        self.assertIsNone(loaded.estimate("z_dim"))

    def test_files_without_intervals_are_read(self):
        values = json.loads(evaluation_file.to_text(evaluations.evaluation()))
        del values["replicates"], values["verdict"]["uncertain"]
        for figure in values["figures"].values():
            del figure["interval"]
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        with open(path, "w") as file:
            json.dump(values | {"schema_version": 1}, file)
        loaded = evaluation_file.load(path)
        self.assertIsNone(loaded.figures["psnr"]["interval"])
        self.assertIsNone(loaded.estimate("psnr"))
        self.assertIn("PSNR", table.text(loaded))
        both = {"one": loaded, "two": evaluations.evaluation()}
        self.assertNotIn("no difference", table.comparison(both))

    def test_files_without_copies_and_attributes_are_read(self):
        written = json.loads(evaluation_file.to_text(evaluations.evaluation()))
        del written["copies"], written["attribute_gaps"]
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        with open(path, "w") as file:
            json.dump(written, file)
        self.assertIsNone(evaluation_file.load(path).copies)

    @parameterized.parameters(
        (None, "No such file"), ("{", "can't be read"), ('{"schema_version": 0}', "0")
    )
    def test_files_that_are_none(self, content, message):
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        if content is not None:
            with open(path, "w") as file:
                file.write(content)
        with self.assertRaisesRegex(files_lib.UserError, message) as raised:
            evaluation_file.load(path)
        self.assertIn(path, str(raised.exception))


if __name__ == "__main__":
    tf.test.main()
