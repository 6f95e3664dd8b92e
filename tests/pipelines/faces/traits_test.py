import collections

import tensorflow as tf
from absl.testing import parameterized

from pipelines.faces import traits as traits_lib

HAIR_COLOURS = {"Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"}
BEARDS = {"5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"}
NUM_SAMPLES = 1500


class FaceTraitsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # One image of every person: images of a person are no independent draws.
        block, people = traits_lib.IMAGES_PER_BLOCK, traits_lib.IDENTITIES_PER_BLOCK
        cls.samples = [
            traits_lib.sample(index // people * block + index % people, seed=3)
            for index in range(NUM_SAMPLES)
        ]

    def test_labels_follow_the_official_order(self):
        traits = self.samples[0]
        labelled = {
            name
            for name, label in zip(
                traits_lib.ATTRIBUTE_NAMES, traits.as_labels(), strict=True
            )
            if label
        }
        self.assertEqual(labelled, traits.attributes)

    def test_contradictions_never_occur(self):
        for traits in self.samples:
            names = traits.attributes
            self.assertContainsSubset(names, traits_lib.ATTRIBUTE_NAMES)
            self.assertLessEqual(len(names & HAIR_COLOURS), 1)
            self.assertFalse({"Straight_Hair", "Wavy_Hair"} <= names)
            self.assertFalse({"Wearing_Necklace", "Wearing_Necktie"} <= names)
            if "No_Beard" in names:
                self.assertEmpty(names & BEARDS)
            if "Male" not in names:
                self.assertIn("No_Beard", names)
                self.assertNotIn("Bald", names)
            if "Bald" in names:
                hair = HAIR_COLOURS | {"Bangs", "Straight_Hair", "Wavy_Hair"}
                self.assertEmpty(names & hair)
            if "Wearing_Hat" in names:
                self.assertEmpty(names & {"Bald", "Bangs", "Receding_Hairline"})

    @parameterized.parameters(
        ("5_o_Clock_Shadow", 0.111),
        ("Attractive", 0.513),
        ("Bald", 0.022),
        ("Bangs", 0.152),
        ("Black_Hair", 0.239),
        ("Blond_Hair", 0.148),
        ("Eyeglasses", 0.065),
        ("Gray_Hair", 0.042),
        ("Heavy_Makeup", 0.387),
        ("High_Cheekbones", 0.455),
        ("Male", 0.417),
        ("Mouth_Slightly_Open", 0.483),
        ("No_Beard", 0.835),
        ("Smiling", 0.482),
        ("Wavy_Hair", 0.320),
        ("Wearing_Hat", 0.048),
        ("Young", 0.774),
    )
    def test_is_about_as_frequent_as_in_celeba(self, name, frequency):
        count = sum(traits.has(name) for traits in self.samples)
        # Four standard deviations of a draw, and a third for our own choices.
        slack = 4 * (frequency * (1 - frequency) / NUM_SAMPLES) ** 0.5 + frequency / 3
        self.assertAllClose(count / NUM_SAMPLES, frequency, atol=slack)

    def test_every_attribute_occurs_and_is_absent(self):
        counts = collections.Counter()
        for traits in self.samples:
            counts.update(traits.attributes)
        for name in traits_lib.ATTRIBUTE_NAMES:
            self.assertBetween(counts[name], 1, NUM_SAMPLES - 1, name)

    def test_people_keep_what_does_not_change(self):
        people = collections.defaultdict(list)
        for index in range(80):
            people[traits_lib.identity(index)].append(traits_lib.sample(index, 3))
        for pictures in people.values():
            self.assertLen(pictures, 4)
            self.assertLen({picture.person for picture in pictures}, 1)
            self.assertLen({picture.shot for picture in pictures}, 4)
            lasting = [p.attributes & (HAIR_COLOURS | {"Male"}) for p in pictures]
            self.assertLen(set(lasting), 1)


if __name__ == "__main__":
    tf.test.main()
