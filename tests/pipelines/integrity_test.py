import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines import config as config_lib
from pipelines import integrity, sources
from pipelines.converting import conversion, plan
from tests.pipelines import fixtures


class IntegrityTest(tf.test.TestCase):
    def _check(self, photos, identities=None):
        """Convert photos by key; their split is a folder; look at the result."""
        root = self.create_tempdir()
        for path, photo in photos.items():
            root.mkdir(path.rpartition("/")[0])
            photo.save(f"{root.full_path}/{path}", quality=95)
        if identities:
            lines = [f"{path},{number}" for path, number in identities.items()]
            root.create_file("people.csv", "\n".join(["image,identity", *lines]))
        config = config_lib.ConvertConfig(image_size=48)
        planned = plan.make_plan(sources.open_source(root.full_path, config), config)
        out = f"{self.create_tempdir().full_path}/out"
        manifest = conversion.convert(planned, out)
        return integrity.check(out, manifest)

    def _photos(self):
        paths = [f"train/{n}.jpg" for n in range(6)] + [f"test/{n}.jpg" for n in (7, 8)]
        return {path: fixtures.photo(n, (64, 64)) for n, path in enumerate(paths)}

    def test_splits_that_are_apart(self):
        found = self._check(self._photos())
        self.assertEqual((found.copies, found.persons, found.lines()), ([], None, []))

    def test_copies_are_named_mirrored_and_darker_ones_too(self):
        photos = self._photos()
        pixels = np.asarray(photos["train/2.jpg"])[:, ::-1] // 2
        photos["test/9.jpg"] = Image.fromarray(np.ascontiguousarray(pixels))
        # Within a split there may be copies.
        photos["train/2b.jpg"] = photos["train/1.jpg"]
        found = self._check(photos)
        self.assertEqual(
            {frozenset((pair[1], pair[3])) for pair in found.copies},
            {frozenset(("train/2.jpg", "test/9.jpg"))},
        )
        (line,) = found.lines()
        self.assertStartsWith(line, "1 pairs of copies lie in different splits, first")

    def test_images_of_one_colour_are_no_copies(self):
        photos = self._photos()
        for path in ("train/a.jpg", "test/a.jpg"):
            photos[path] = Image.new("RGB", (64, 64), (9, 9, 9))
        self.assertEqual(self._check(photos).copies, [])

    def test_persons_in_two_splits_are_counted(self):
        photos = self._photos()
        identities = {path: number for number, path in enumerate(photos)}
        self.assertEqual(self._check(photos, identities).persons, 0)
        identities["test/7.jpg"] = identities["train/0.jpg"]
        found = self._check(photos, identities)
        self.assertEqual(found.persons, 1)
        self.assertIn("--split_by=identity keeps them apart", found.lines()[0])


if __name__ == "__main__":
    tf.test.main()
