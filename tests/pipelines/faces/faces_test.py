import json
import os
import subprocess
import sys
import zlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import faces, files

NUM_IMAGES = 21


def read_tree(out):
    """Read every file of a tree: a dict from its path to its bytes."""
    contents = {}
    for folder, _, names in os.walk(out):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                contents[os.path.relpath(path, out)] = file.read()
    return contents


class DrawTest(tf.test.TestCase, parameterized.TestCase):
    def test_a_face_has_the_shapes_of_the_contract(self):
        face = faces.draw(5, seed=1)
        self.assertEqual(face.image.shape, (218, 178, 3))
        self.assertEqual(face.image.dtype, np.uint8)
        self.assertLen(face.attributes, 40)
        self.assertContainsSubset(face.attributes, (0, 1))
        self.assertLen(face.landmarks, 10)
        self.assertLen(face.bbox, 4)

    def test_depends_on_seed_and_index_alone(self):
        later = [faces.draw(index, seed=1).image for index in (4, 3)]
        sooner = [faces.draw(index, seed=1).image for index in (3, 4)]
        self.assertAllEqual(later[::-1], sooner)
        self.assertNotAllEqual(sooner[0], sooner[1])
        self.assertNotAllEqual(sooner[0], faces.draw(3, seed=2).image)

    def test_is_the_same_in_another_process(self):
        # Without TensorFlow, which a process that draws must not need.
        program = (
            "import sys, zlib; from pipelines import faces;"
            "print(zlib.crc32(faces.draw(3, 1).image.tobytes()));"
            "sys.exit('tensorflow' in sys.modules)"
        )
        printed = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        self.assertEqual(
            int(printed.stdout), zlib.crc32(faces.draw(3, 1).image.tobytes())
        )

    def test_landmarks_are_aligned_as_in_celeba(self):
        landmarks = np.array([faces.draw(index, 1).landmarks for index in range(60)])
        expected = (69, 111, 108, 111, 88, 135, 73, 152, 105, 152)
        # Pose moves single faces by some pixels; their mean stays within two or three.
        self.assertAllClose(landmarks.mean(axis=0), expected, atol=3.5)
        self.assertAllInRange(landmarks[:, 0::2], 40, 138)
        self.assertAllInRange(landmarks[:, 1::2], 95, 170)

    def test_boxes_hold_the_landmarks_and_lie_in_the_image(self):
        for index in range(40):
            face = faces.draw(index, seed=1)
            x, y, width, height = face.bbox
            self.assertAllInRange(face.landmarks[0::2], x, x + width)
            self.assertAllInRange(face.landmarks[1::2], y, y + height)
            self.assertBetween(x, 0, 178 - width)
            self.assertBetween(y, 0, 218 - height)

    def test_partitions_are_about_80_10_10_and_never_share_a_person(self):
        split = np.array([faces.partition(index) for index in range(1000)])
        self.assertAllEqual(np.bincount(split), (800, 100, 100))
        drawn = [faces.draw(index, 1).identity for index in range(30)]
        people = [
            {drawn[i] for i in range(30) if split[i] == part} for part in range(3)
        ]
        self.assertNoCommonElements(people[0], people[1])
        self.assertNoCommonElements(people[0], people[2])
        self.assertNoCommonElements(people[1], people[2])
        self.assertCountEqual({faces.partition(i) for i in range(10)}, (0, 1, 2))


class TreeTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.create_tempdir().full_path, "tree")

    def write(self, out=None, num_images=NUM_IMAGES, seed=1, workers=1):
        return faces.write_tree(out or self.out, num_images, seed, workers)

    def lines(self, name):
        with open(os.path.join(self.out, name), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_files_are_in_the_official_format(self):
        self.assertTrue(self.write())
        names = [f"{number:06d}.jpg" for number in range(1, NUM_IMAGES + 1)]
        self.assertCountEqual(
            os.listdir(os.path.join(self.out, "img_align_celeba")), names
        )
        drawn = [faces.draw(index, seed=1) for index in range(NUM_IMAGES)]
        for file, header, expected in (
            (
                "list_attr_celeba.txt",
                "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald "
                "Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry Brown_Hair "
                "Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair "
                "Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache "
                "Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose "
                "Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
                "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick "
                "Wearing_Necklace Wearing_Necktie Young",
                [tuple(2 * label - 1 for label in face.attributes) for face in drawn],
            ),
            (
                "list_landmarks_align_celeba.txt",
                "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x "
                "leftmouth_y rightmouth_x rightmouth_y",
                [face.landmarks for face in drawn],
            ),
            (
                "list_bbox_celeba.txt",
                "image_id x_1 y_1 width height",
                [face.bbox for face in drawn],
            ),
        ):
            count, head, *rows = self.lines(file)
            self.assertEqual(int(count), NUM_IMAGES)
            self.assertEqual(head.split(), header.split())
            self.assertEqual([row.split()[0] for row in rows], names)
            values = [tuple(int(word) for word in row.split()[1:]) for row in rows]
            self.assertEqual(values, expected)
        identities = [f"{n} {f.identity}" for n, f in zip(names, drawn, strict=True)]
        self.assertEqual(self.lines("identity_CelebA.txt"), identities)
        split = [f"{name} {faces.partition(i)}" for i, name in enumerate(names)]
        self.assertEqual(self.lines("list_eval_partition.txt"), split)

    def test_pictures_are_jpegs_of_the_faces(self):
        self.write(num_images=2)
        path = os.path.join(self.out, "img_align_celeba", "000002.jpg")
        with Image.open(path) as image:
            self.assertEqual(image.format, "JPEG")
            self.assertEqual((image.size, image.mode), ((178, 218), "RGB"))
            difference = np.asarray(image, float) - faces.draw(1, seed=1).image
        # JPEG at quality 92 changes a pixel by little more than a level on average.
        self.assertLess(np.abs(difference).mean(), 4)

    def test_workers_and_interruptions_leave_no_trace_in_the_bytes(self):
        self.write(num_images=70)
        whole = read_tree(self.out)
        other = f"{self.out}_2"
        self.write(other, num_images=70, workers=2)
        self.assertEqual(read_tree(other), whole)
        for name in faces.ANNOTATION_FILES:
            os.remove(os.path.join(other, name))
        folder = os.path.join(other, "img_align_celeba")
        os.remove(os.path.join(folder, "000050.jpg"))
        kept = os.stat(os.path.join(folder, "000049.jpg")).st_mtime_ns
        self.assertTrue(self.write(other, num_images=70))
        self.assertEqual(read_tree(other), whole)
        # What the first run finished is not drawn again.
        self.assertEqual(os.stat(os.path.join(folder, "000049.jpg")).st_mtime_ns, kept)

    def test_a_smaller_tree_is_the_beginning_of_a_larger_one(self):
        self.write(num_images=2)
        self.write(f"{self.out}_2", num_images=4)
        small, large = read_tree(self.out), read_tree(f"{self.out}_2")
        for number in (1, 2):
            path = f"img_align_celeba/{number:06d}.jpg"
            self.assertEqual(small[path], large[path])

    def test_the_same_tree_is_kept(self):
        self.write(num_images=2)
        before = os.stat(os.path.join(self.out, "list_attr_celeba.txt")).st_mtime_ns
        self.assertFalse(self.write(num_images=2))
        after = os.stat(os.path.join(self.out, "list_attr_celeba.txt")).st_mtime_ns
        self.assertEqual(before, after)

    def test_an_interrupted_tree_has_no_annotations(self):
        def stop(done, total):
            if done:
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            faces.write_tree(self.out, 40, 1, workers=1, on_progress=stop)
        for name in faces.ANNOTATION_FILES:
            self.assertNotIn(name, os.listdir(self.out))

    def test_reports_progress(self):
        seen = []
        faces.write_tree(
            self.out, 4, 1, workers=1, on_progress=lambda *now: seen.append(now)
        )
        self.assertEqual(seen, [(done, 4) for done in range(5)])

    def test_refuses_a_tree_of_another_seed(self):
        self.write(num_images=2)
        with self.assertRaisesRegex(files.UserError, "received faces made with"):
            self.write(num_images=2, seed=2)

    def test_refuses_a_folder_with_other_files(self):
        os.makedirs(self.out)
        with open(os.path.join(self.out, "thesis.txt"), "w", encoding="utf-8") as file:
            json.dump({}, file)
        with self.assertRaisesRegex(files.UserError, "as --out, .* holds other files"):
            self.write()
        self.assertEqual(os.listdir(self.out), ["thesis.txt"])

    def test_refuses_a_place_that_cannot_be_written_to(self):
        with open(self.out, "w", encoding="utf-8"):
            pass
        with self.assertRaisesRegex(
            files.UserError, "Expected to use .*below, .* no folder"
        ):
            self.write(os.path.join(self.out, "below"))


if __name__ == "__main__":
    tf.test.main()
