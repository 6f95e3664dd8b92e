import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files as files_lib
from tests.vae_prod.evaluation import evaluations
from vae_prod.evaluation import comparability, table


class ComparabilityTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"images": {"crop": "none"}}, r"crop \(square and none\)"),
        ({"images": {"split": "train"}}, r"split \(test and train\)"),
        ({"images": {"corruption": "noise"}}, r"corruption \(None and noise\)"),
        ({"seed": 2}, r"differ in seed \(1 and 2\)\. Evaluate both"),
        ({"importance_samples": 5}, r"importance_samples \(3 and 5\)"),
        (
            {"extractors": [evaluations.extractor("f" * 64)]},
            r"extractor \(e{12}\.\.\. and f{12}",
        ),
    )
    def test_unlike_protocols_are_refused_by_name(self, changes, message):
        other = evaluations.evaluation(**changes)
        with self.assertRaisesRegex(files_lib.UserError, message) as raised:
            comparability.check_alike(
                {
                    "a": evaluations.evaluation(),
                    "b": evaluations.evaluation(),
                    "c": other,
                }
            )
        self.assertIn("a and c differ", str(raised.exception))

    def test_other_images_and_counts_are_refused(self):
        quality = attrs.evolve(evaluations.measured().quality, distance_images=5)
        changes = {"quality": quality, "images_digest": "0" * 64}
        other = evaluations.evaluation(changes=changes)
        message = r"images \(\w{12}\.\.\. and 000000000000\.\.\.\), distance_images \(8"
        with self.assertRaisesRegex(files_lib.UserError, message):
            comparability.check_alike({"a": evaluations.evaluation(), "b": other})

    def test_figures_that_one_lacks_are_no_hindrance(self):
        other = evaluations.evaluation(
            changes={"features": {}}, extractors=[], weights="last", made_by="2.0"
        )
        both = {"a.json": evaluations.evaluation(), "b.json": other}
        comparability.check_alike(both)
        self.assertEqual(
            comparability.notes(both),
            ["weights: best, last", "made by vae_prod 1.0, 2.0"],
        )
        text = table.comparison(both)
        self.assertIn("2: b.json (vae, bce, fact 5, z_dim 3, conv2d_transpose)", text)
        self.assertIn("unlike: weights: best, last", text)
        (fid,) = (line for line in text.splitlines() if "  FID" in line)
        self.assertRegex(fid, r"\d +n/a +lower is better")
        (psnr,) = (line for line in text.splitlines() if "PSNR" in line)
        self.assertRegex(psnr, r"PSNR +([\d.]+) +\1 +0.00 ± 0 +dB, no difference shown")


if __name__ == "__main__":
    tf.test.main()
