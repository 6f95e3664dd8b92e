import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import duplicates, fingerprints
from tests.pipelines import images_alike

_DRAWN = 150


class DuplicatesTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = images_alike.drawn(0, _DRAWN)
        cls.fingerprints = fingerprints.describe(cls.images)

    def test_planted_copies_are_found_and_no_others(self):
        # Each kind of copy of a hundred images, all at once.
        chosen = np.arange(0, 100)
        kinds = images_alike.COPIES.values()
        copies = [fingerprints.describe(kind(self.images[chosen])) for kind in kinds]
        joined = np.concatenate([self.fingerprints, *copies])
        pairs = duplicates.find(joined.astype(np.float16))
        original = np.concatenate([np.arange(_DRAWN), *[chosen] * len(copies)])
        self.assertAllEqual(original[pairs[:, 0]], original[pairs[:, 1]])
        found = np.unique(pairs[:, 1][pairs[:, 1] >= _DRAWN])
        self.assertGreaterEqual(len(found), 0.99 * len(copies) * len(chosen))

    def test_drawn_faces_are_all_different(self):
        self.assertEmpty(duplicates.find(self.fingerprints))

    def test_many_copies_of_one_image_are_all_in_a_pair(self):
        same = np.repeat(self.fingerprints[:1], 300, axis=0)
        pairs = duplicates.find(np.concatenate([self.fingerprints, same]))
        expected = [0, *range(_DRAWN, _DRAWN + 300)]
        self.assertAllEqual(np.unique(pairs), expected)
        self.assertLess(len(pairs), 100 * 300)  # Of 45,150.

    @parameterized.parameters(1, 2)
    def test_few_images(self, count):
        pairs = duplicates.find(self.fingerprints[:count])
        self.assertEqual(pairs.shape, (0, 2))


if __name__ == "__main__":
    tf.test.main()
