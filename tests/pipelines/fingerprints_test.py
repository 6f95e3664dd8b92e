import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import fingerprints
from tests.pipelines import images_alike


def _nearest(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how near variants of the first come to the second, one each."""
    moved = fingerprints.variants(first)
    return np.linalg.norm(moved - second, axis=-1).min(axis=0)


class FingerprintsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = images_alike.drawn(0, 12)
        cls.fingerprints = fingerprints.describe(cls.images)

    @parameterized.parameters(*images_alike.COPIES)
    def test_copies_are_near(self, name):
        copies = images_alike.COPIES[name](self.images)
        distances = _nearest(fingerprints.describe(copies), self.fingerprints)
        self.assertAllLess(distances, fingerprints.SAME)

    def test_other_images_are_far(self):
        others = np.roll(self.fingerprints, 1, axis=0)
        self.assertAllGreater(_nearest(self.fingerprints, others), fingerprints.SAME)

    def test_mirroring_is_that_of_the_image(self):
        expected = fingerprints.describe(self.images[:, :, ::-1])
        mirrored = fingerprints.mirrored(self.fingerprints)
        self.assertAllClose(mirrored, expected, atol=1e-5)

    def test_variants_begin_with_the_image_and_its_mirror_image(self):
        variants = fingerprints.variants(self.fingerprints)
        self.assertAllClose(variants[0], self.fingerprints, atol=1e-5)
        mirrored = fingerprints.mirrored(self.fingerprints)
        self.assertAllClose(variants[1], mirrored, atol=1e-5)

    def test_size_and_shades_of_grey_matter_little(self):
        half = fingerprints.describe(self.images[:, 1::2, 1::2])
        self.assertAllLess(_nearest(half, self.fingerprints), fingerprints.SAME)
        grey = self.images.mean(axis=-1, keepdims=True).astype(np.uint8)
        described = fingerprints.describe(grey)
        self.assertAllClose(np.linalg.norm(described, axis=1), np.ones(12), atol=1e-5)
        inverted = fingerprints.describe(255 - grey)
        self.assertAllGreater(_nearest(inverted, described), 0.5)

    def test_images_of_one_shade_are_copies_of_each_other_alone(self):
        shades = np.full((2, 20, 20, 3), 7, np.uint8)
        shades[1] = 200
        first, second = fingerprints.describe(shades)[:, None]
        self.assertAllLess(_nearest(first, second), fingerprints.SAME)
        faces = self.fingerprints
        self.assertAllGreater(_nearest(first.repeat(12, 0), faces), fingerprints.SAME)


if __name__ == "__main__":
    tf.test.main()
