import numpy as np
import tensorflow as tf

from vae_prod.evaluation import attribute_gaps, memorisation, sections


def _copies() -> memorisation.Memorisation:
    return memorisation.Memorisation(
        num_held_out=40,
        num_training=3000,
        nearest=np.arange(100, 120),
        distances=np.linspace(0.9, 0.1, 20, dtype=np.float32),
        copies=np.array([19, 18, 17]),
        nearer_to_training=0.6,
        chance=(0.4, 0.625),
        training_pairs=np.array([[1, 5], [1, 7], [20, 33], [40, 50]]),
        held_out_pairs=np.array([[3, 9]]),
    )


class CopiesTest(tf.test.TestCase):
    def test_counts_and_the_nearest_pairs(self):
        section = sections.copies(_copies())
        self.assertEqual((section["copied"], section["samples"]), (3, 20))
        self.assertEqual(section["training_duplicates"], 7)
        self.assertEqual(section["held_out_duplicates"], 1)
        self.assertEqual(
            section["nearest"][0],
            {"sample": 19, "training_image": 119, "distance": 0.1},
        )
        self.assertEqual(section["chance"], [0.4, 0.625])

    def test_text(self):
        text = "\n".join(sections.copies_text(sections.copies(_copies())))
        for words in (
            "3 of 20 (15.00%)",
            "7 of 3,000 (0.23%)",
            "1 of 40 (2.50%)",
            "0.600, by chance 0.400 to 0.625",
            "such as 1 and 5, 1 and 7, 20 and 33",
            "such as 3 and 9",
        ):
            self.assertIn(words, text)
        self.assertNotIn("40 and 50", text)
        self.assertLess(max(map(len, text.splitlines())), 89)


class GapsTest(tf.test.TestCase):
    def test_the_largest_are_shown(self):
        gaps = [
            attribute_gaps.Gap(f"A{number}", 50, -1.0 / number, -2.0, 0.1)
            for number in range(1, 8)
        ]
        lines = list(sections.gaps_text(sections.gaps(gaps)))
        self.assertIn("A1 -1.00 [-2.00, +0.10] 50 images", " ".join(lines[1].split()))
        self.assertLen(lines, 7)
        self.assertIn("2 smaller ones", lines[-1])


if __name__ == "__main__":
    tf.test.main()
