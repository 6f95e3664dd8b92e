import os

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.latent import arithmetic


def _points(num: int = 5000):
    """Return points that two attributes moved by known ways, and the attributes."""
    random = np.random.default_rng(0)
    held = random.integers(0, 2, (num, 2))
    ways = np.array([[1.0, 0.0, -2.0], [0.0, 3.0, 0.0]])
    noise = 0.1 * random.normal(size=(num, 3))
    return (5.0 + held @ ways + noise).astype(np.float32), held, ways


class AttributesTest(tf.test.TestCase):
    def test_recovers_the_ways_of_attributes(self):
        z, held, ways = _points()  # More than one chunk.
        means = arithmetic.by_attribute(z, held, ("Hat", "Beard"))
        # The other attribute is as frequent with as without, but for chance.
        self.assertAllClose(means.vector("Hat"), ways[0], atol=0.15)
        self.assertAllClose(means.vector("Beard"), ways[1], atol=0.15)
        without = z[held[:, 0] == 0].astype(np.float64).mean(axis=0)
        self.assertAllClose(means.mean("no Hat"), without, atol=1e-5)
        self.assertEqual(means.names, ("Hat", "Beard", "no Hat", "no Beard"))
        self.assertEqual(means.counts[0] + means.counts[2], len(z))
        self.assertEqual(means.counts[1], held[:, 1].sum())

    def test_ways_between_labels(self):
        z = np.array([[0, 0], [2, 0], [10, 4], [12, 4]], np.float32)
        means = arithmetic.by_label(z, np.array([0, 0, 2, 2]), ("shoe", "bag", "coat"))
        self.assertAllClose(means.vector("coat", "shoe"), [10, 4])
        self.assertAllEqual(means.counts, [2, 0, 2])
        with self.assertRaisesRegex(files.UserError, "images of 'bag', received none"):
            means.mean("bag")

    def test_unknown_and_one_sided_attributes(self):
        z = np.ones((4, 2), np.float32)
        means = arithmetic.by_attribute(z, np.ones((4, 1)), ("Young",))
        with self.assertRaisesRegex(files.UserError, "of 'no Young', received none"):
            means.vector("Young")
        with self.assertRaisesRegex(files.UserError, "one of Young, .* 'Bald'"):
            means.vector("Bald")

    def test_edits(self):
        z = np.array([[1, 2], [3, 4]], np.float32)
        edited = arithmetic.edit(z, np.array([10, -1], np.float32), (-1, 0, 0.5))
        first = [[-9, 3], [1, 2], [6, 1.5]]
        self.assertAllClose(edited, [first, np.add(first, 2)])

    def test_round_trip(self):
        z, held, _ = _points(50)
        names = ("Hat", "Beard")
        means = arithmetic.by_attribute(z, held, names, {"split": "train"})
        path = arithmetic.folder(self.create_tempdir().full_path, "train")
        means.save(path)
        loaded = arithmetic.load(path, "")
        self.assertEqual(loaded.names, means.names)
        self.assertEqual(loaded.made, {"split": "train"})
        self.assertAllEqual(loaded.vector("Hat"), means.vector("Hat"))
        self.assertEqual(loaded.means.dtype, np.float32)
        with self.assertRaisesRegex(files.UserError, "found none. Make them."):
            arithmetic.load(os.path.join(path, "other"), "Make them.")


if __name__ == "__main__":
    tf.test.main()
