import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import duplicates, fingerprints
from tests.pipelines import images_alike
from vae_prod.evaluation import memorisation

_FINGERPRINTS = memorisation.Fingerprints(
    fingerprints.describe, fingerprints.variants, fingerprints.SAME, duplicates.find
)
_TRAINING, _HELD_OUT = 120, 60


class _Batch:
    """Held-out images and images that stand for samples."""

    def __init__(self, targets: np.ndarray, samples: np.ndarray):
        self.targets, self._samples = targets, samples

    def __len__(self) -> int:
        return len(self.targets)

    def samples(self, count: int) -> np.ndarray:
        return (self._samples[:count] / np.float32(255)).astype(np.float32)


class MemorisationTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        images = images_alike.drawn(0, _TRAINING + 2 * _HELD_OUT)
        cuts = (_TRAINING, _TRAINING + _HELD_OUT)
        cls.training, cls.held_out, cls.others = np.split(images, cuts)

    def _compared(
        self, samples, training=None, held_out=None, size=50, every=1, limit=1000
    ) -> memorisation.Memorisation:
        training = self.training if training is None else training
        held_out = self.held_out if held_out is None else held_out
        seen = memorisation.Samples(_FINGERPRINTS, limit)
        for start in range(0, len(held_out), size):
            part = slice(start, start + size)
            seen.add(_Batch(held_out[part], samples[part]))
        batches = np.split(training, range(size, len(training), size))
        return seen.compare(batches, every)

    def test_planted_copies_are_found(self):
        # Of each kind as many, in the places of every second sample.
        kinds = list(images_alike.COPIES.values())
        samples, planted = self.others.copy(), np.arange(0, _HELD_OUT, 2)
        originals = np.arange(len(planted)) * 3
        for kind, make in enumerate(kinds):
            mine = slice(kind, None, len(kinds))
            samples[planted[mine]] = make(self.training[originals[mine]])
        found = self._compared(samples)
        self.assertCountEqual(found.copies, planted)
        self.assertAllEqual(found.nearest[planted], originals)
        self.assertEqual(found.copied, 0.5)

    def test_other_images_are_no_copies_and_not_nearer(self):
        found = self._compared(self.others)
        self.assertEmpty(found.copies)
        self.assertAllGreater(found.distances, fingerprints.SAME)
        self.assertBetween(found.nearer_to_training, *found.chance)
        self.assertBetween(0.5, *found.chance)
        self.assertEqual(found.training_duplicates, 0)
        self.assertEqual(found.held_out_duplicates, 0)

    def test_samples_from_training_images_are_nearer_without_being_copies(self):
        # Halves of two training images are copies of neither.
        first, second = self.training[:_HELD_OUT], self.training[_HELD_OUT:]
        samples = first.copy()
        samples[:, : first.shape[1] // 2] = second[:, : first.shape[1] // 2]
        found = self._compared(samples)
        self.assertEmpty(found.copies)
        self.assertGreater(found.nearer_to_training, found.chance[1])

    def test_what_was_copied_from_held_out_images_is_nearer_to_them(self):
        found = self._compared(self.held_out)
        self.assertEmpty(found.copies)
        self.assertEqual(found.nearer_to_training, 0.0)

    def test_numbers_of_sets_do_not_matter(self):
        # By chance, of twice as many training images twice as many are the nearest.
        many = self._compared(self.others)
        few = self._compared(self.others, self.training[:_HELD_OUT])
        for found in (many, few):
            self.assertAllClose(found.nearer_to_training, 0.5, atol=0.2)

    def test_duplicates_in_the_data_are_found(self):
        training, held_out = self.training.copy(), self.held_out.copy()
        training[7] = training[3][:, ::-1]
        held_out[5] = training[40]
        held_out[6] = held_out[8]
        found = self._compared(self.others, training, held_out)
        self.assertAllEqual(found.training_pairs, [[3, 7]])
        self.assertAllEqual(found.held_out_pairs, [[5, 40]])
        self.assertEqual(found.training_duplicates, 2)
        self.assertEqual(found.held_out_duplicates, 1)

    def test_numbers_are_those_of_the_split(self):
        training = self.training[::3].copy()
        training[9] = training[2]
        held_out = self.held_out.copy()
        held_out[5] = training[4]
        found = self._compared(self.training[:60], training, held_out, every=3)
        self.assertAllEqual(found.nearest[[0, 3, 36]], [0, 3, 36])
        self.assertAllEqual(found.training_pairs, [[6, 27]])
        self.assertAllEqual(found.held_out_pairs, [[5, 12]])

    def test_batches_of_any_size_give_the_same(self):
        expected = self._compared(self.others, size=200)
        found = self._compared(self.others, size=7)
        self.assertAllEqual(found.nearest, expected.nearest)
        self.assertAllClose(found.distances, expected.distances, atol=1e-3)
        self.assertAllClose(found.nearer_to_training, expected.nearer_to_training)
        self.assertAllClose(found.chance, expected.chance)

    def test_chance_covers_what_it_should(self):
        # Which images are held out is drawn anew; samples are around a few of them.
        images = np.concatenate([self.training, self.held_out])
        described = fingerprints.describe(images)
        samples = fingerprints.describe(self.others)
        random, inside = np.random.default_rng(0), 0
        for _ in range(100):
            order = random.permutation(len(images))
            sides = []
            for chosen in np.split(order, [_TRAINING]):
                side = memorisation.Nearest(samples[None])
                side.add(described[chosen])
                sides.append(side)
            share, (low, high) = memorisation.nearer_to(*sides)
            inside += low <= share <= high
        self.assertBetween(inside, 88, 100)

    def test_no_more_samples_than_asked_for(self):
        found = self._compared(self.others, size=4, limit=10)
        self.assertEqual(found.num_samples, 10)
        self.assertEqual(found.num_held_out, _HELD_OUT)
        self.assertEqual(found.num_training, _TRAINING)


if __name__ == "__main__":
    tf.test.main()
