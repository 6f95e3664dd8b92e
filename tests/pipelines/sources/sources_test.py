import gzip
import itertools
import os
import struct
import warnings
import zipfile

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import faces, files, sources
from pipelines.converting import images
from pipelines.sources import request
from tests.pipelines import fixtures

_CONFIG = config_lib.ConvertConfig()


def _read(source, split):
    return list(source.read(split, source.splits[split]))


def _keys(source):
    return {
        split: [item.key for item in _read(source, split)] for split in source.splits
    }


class CelebaTest(parameterized.TestCase, tf.test.TestCase):
    def _tree(self, **options):
        return fixtures.write_celeba(self.create_tempdir().full_path, **options)

    def _refused(self, root, message):
        with self.assertRaisesRegex(files.UserError, message):
            sources.open_source(root, _CONFIG)

    def test_everything_is_read(self):
        source = sources.open_source(self._tree(), _CONFIG)
        listed = fixtures.names(10)
        self.assertEqual((source.name, source.version), ("celeb_a", "2.1.0"))
        self.assertEqual(
            _keys(source),
            {"train": listed[:7], "validation": listed[7:8], "test": listed[8:]},
        )
        self.assertEqual(source.attributes, faces.ATTRIBUTE_NAMES)
        self.assertEqual(source.landmarks, faces.LANDMARK_NAMES)
        for number, item in enumerate(_read(source, "train")):
            picture, annotations = item.load()
            self.assertEqual(images.load(picture, 3).size, (178, 218))
            self.assertEqual(
                annotations,
                {
                    "attributes": fixtures.attributes(number),
                    "landmarks": fixtures.landmarks(number),
                    "identity": [100 + number],
                },
            )

    def test_zip_equals_folder(self):
        root = self._tree()
        path = os.path.join(self.get_temp_dir(), "celeba.zip")
        packed = sources.open_source(fixtures.pack(root, path, "top/"), _CONFIG)
        plain = sources.open_source(root, _CONFIG)
        self.assertEqual(_keys(packed), _keys(plain))
        for one, other in zip(_read(packed, "test"), _read(plain, "test"), strict=True):
            self.assertEqual(one.annotations, other.annotations)
            with open(other.picture, "rb") as file:
                self.assertEqual(one.picture, file.read())

    def test_official_layout(self):
        root = self._tree()
        for folder, file in (
            ("Eval", "list_eval_partition.txt"),
            ("Anno", "list_attr_celeba.txt"),
        ):
            os.makedirs(os.path.join(root, folder))
            os.rename(os.path.join(root, file), os.path.join(root, folder, file))
        inner = os.path.join(root, "img_align_celeba")
        os.makedirs(os.path.join(root, "Img"))
        packed = os.path.join(root, "Img", "img_align_celeba.zip")
        fixtures.pack(inner, packed, "img_align_celeba/")
        for name in os.listdir(inner):
            os.remove(os.path.join(inner, name))
        source = sources.open_source(root, _CONFIG)
        self.assertLen(source.attributes, 40)
        self.assertEqual(_keys(source)["validation"], ["000008.jpg"])

    def test_without_annotations_splits_by_hash(self):
        root = self._tree(annotated=False)
        os.remove(os.path.join(root, "list_eval_partition.txt"))
        source = sources.open_source(root, _CONFIG)
        self.assertEqual(source.attributes, ())
        self.assertFalse(source.identity)
        self.assertCountEqual(
            list(itertools.chain(*_keys(source).values())), fixtures.names(10)
        )

    def test_limit_is_for_each_split(self):
        config = config_lib.ConvertConfig(limit=2)
        source = sources.open_source(self._tree(), config)
        self.assertEqual([len(p) for p in source.splits.values()], [2, 1, 2])

    def test_digest_follows_content(self):
        root = self._tree()
        before = sources.open_source(root, _CONFIG).digest
        self.assertEqual(before, sources.open_source(root, _CONFIG).digest)
        fixtures.write_annotations(root, fixtures.names(10)[::-1])
        self.assertNotEqual(before, sources.open_source(root, _CONFIG).digest)

    @parameterized.parameters(
        (
            "list_eval_partition.txt",
            ["000099.jpg 0"],
            "received '000099.jpg' in line 11",
        ),
        ("list_eval_partition.txt", ["000001.jpg 0"], "'000001.jpg' again in line 11"),
        ("identity_CelebA.txt", ["000001.jpg 0"], "'000001.jpg' again in line 11"),
        ("list_attr_celeba.txt", ["x.jpg" + " 1" * 40], "10 rows .* received 11"),
    )
    def test_surplus_rows(self, file, lines, message):
        root = self._tree()
        with open(os.path.join(root, file), "a") as opened:
            opened.writelines(f"{line}\n" for line in lines)
        self._refused(root, message)

    @parameterized.parameters(
        ("identity_CelebA.txt", 2, None, "1 are missing, first '000003.jpg'"),
        ("list_eval_partition.txt", 3, None, "1 are missing, first '000004.jpg'"),
        ("list_eval_partition.txt", 3, "000004.jpg 7", "only the values 0, 1, 2"),
        ("list_eval_partition.txt", 3, "000004.jpg", "1 value beside .* in line 4"),
        ("list_attr_celeba.txt", 4, "000003.jpg 1 -1", "40 values .* in line 5"),
        ("list_attr_celeba.txt", 0, "ten", "number of rows .* received 'ten'"),
        (
            "list_attr_celeba.txt",
            4,
            "000003.jpg" + " 5" * 40,
            "values -1, 1 .* 5 is among",
        ),
        (
            "list_landmarks_align_celeba.txt",
            4,
            "000003.jpg" + " 1.5" * 10,
            "whole numbers .* '1.5' is no whole number .000003.jpg",
        ),
    )
    def test_malformed_rows(self, file, row, line, message):
        root = self._tree()
        path = os.path.join(root, file)
        with open(path) as opened:
            lines = opened.read().splitlines()
        lines[row : row + 1] = [] if line is None else [line]
        fixtures.write_text(root, file, lines)
        self._refused(root, message)

    def test_duplicate_images(self):
        root = self._tree()
        fixtures.write_images(
            os.path.join(root, "img_align_celeba", "more"), ["000001.jpg"]
        )
        self._refused(root, "every name once in img_align_celeba")

    def test_two_files_of_one_kind(self):
        root = self._tree()
        fixtures.write_text(os.path.join(root, "old"), "identity_CelebA.txt", [])
        self._refused(root, "one file identity_celeba, received both")


class ImagesTest(tf.test.TestCase):
    def test_folder_is_recursive_and_sorted(self):
        root = self.create_tempdir().full_path
        fixtures.write_images(root, ["b/2.png", "a.jpg", "b/1.jpg", ".hidden.jpg"])
        fixtures.write_text(root, "readme.txt", ["x"])
        config = config_lib.ConvertConfig(split_ratios=(1, 0, 0))
        source = sources.open_source(root, config)
        self.assertEqual(_keys(source), {"train": ["a.jpg", "b/1.jpg", "b/2.png"]})
        self.assertEqual(source.version, "1.0.0")

    def test_zip_equals_folder(self):
        root = self.create_tempdir().full_path
        fixtures.write_images(root, ["b/2.png", "a.jpg"])
        packed = fixtures.pack(root, os.path.join(self.get_temp_dir(), "some.zip"))
        self.assertEqual(
            _keys(sources.open_source(packed, _CONFIG)),
            _keys(sources.open_source(root, _CONFIG)),
        )

    def test_splits_are_disjoint_complete_and_near_the_ratios(self):
        root = self.create_tempdir().full_path
        for number in range(1000):
            open(os.path.join(root, f"{number}.jpg"), "w").close()
        keys = _keys(sources.open_source(root, _CONFIG))
        together = list(itertools.chain(*keys.values()))
        self.assertLen(together, 1000)
        self.assertLen(set(together), 1000)
        # Five standard deviations of a binomial with n = 1,000.
        self.assertAllClose(len(keys["train"]), 800, atol=64)
        self.assertAllClose(len(keys["test"]), 100, atol=48)
        reseeded = config_lib.ConvertConfig(seed=2)
        self.assertNotEqual(keys, _keys(sources.open_source(root, reseeded)))

    def test_items_hold_paths_not_pixels(self):
        root = self.create_tempdir().full_path
        fixtures.write_images(root, ["a.jpg"])
        source = sources.open_source(root, _CONFIG)
        (item,) = (item for split in source.splits for item in _read(source, split))
        self.assertEqual(item.picture, os.path.join(root, "a.jpg"))

    def test_names_are_fit_for_tfds(self):
        for path, name in (
            ("/a/My Faces-2", "my_faces_2"),
            ("x/2024.zip", "images_2024"),
            ("/a/b.tar.zip", "b"),
            ("ü", "images"),
        ):
            self.assertEqual(request.Request(path, _CONFIG).name, name)

    def test_refusals(self):
        empty = self.create_tempdir().full_path
        text = self.create_tempfile("a.txt", "hello").full_path
        for path, message in (
            (os.path.join(empty, "gone"), "found nothing at"),
            (empty, "Expected images in .* found none"),
            (text, "readable zip archive"),
            ("ram://bucket/x", "remote --source to be a folder of images"),
        ):
            with self.assertRaisesRegex(files.UserError, message):
                sources.open_source(path, _CONFIG)

    def test_unsafe_zips(self):
        for number, (members, message) in enumerate(
            (
                (["../a.jpg"], "member '../a.jpg'"),
                (["/a.jpg"], "member '/a.jpg'"),
                (["x/..\\a.jpg"], "it is unsafe"),
                (["a.jpg", "a.jpg"], "two members 'a.jpg'"),
            )
        ):
            path = os.path.join(self.get_temp_dir(), f"{number}.zip")
            with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
                warnings.simplefilter("ignore")  # zipfile warns of duplicates.
                for member in members:
                    archive.writestr(member, b"x")
            with self.assertRaisesRegex(files.UserError, message):
                sources.open_source(path, _CONFIG)


def _pixels(num, seed=0, shape=(5, 4)):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (num, *shape), dtype=np.uint8)


def _write_idx(path, array):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "wb") as file:
        file.write(struct.pack(">HBB", 0, 8, array.ndim))
        file.write(struct.pack(f">{array.ndim}I", *array.shape))
        file.write(array.astype(np.uint8).tobytes())


class ArraysTest(parameterized.TestCase, tf.test.TestCase):
    def _npz(self, **arrays):
        path = os.path.join(self.create_tempdir().full_path, "some.npz")
        np.savez_compressed(path, **arrays)
        return path

    def test_npz_with_own_splits(self):
        train, test = _pixels(7), _pixels(3, 1)
        path = self._npz(
            x_train=train, y_train=np.arange(7), x_test=test, y_test=[[3], [2], [1]]
        )
        source = sources.open_source(path, _CONFIG)
        self.assertTrue(source.grey)
        self.assertLen(source.label_names, 7)
        for split, pixels, labels in (
            ("train", train, range(7)),
            ("test", test, "321"),
        ):
            items = _read(source, split)
            self.assertAllEqual(np.stack([i.picture for i in items]), pixels)
            values = [item.annotations["label"] for item in items]
            self.assertEqual(values, [[int(label)] for label in labels])
            self.assertEqual(items[0].key, f"{split}_0000000")

    def test_npz_of_one_array_is_split_by_hash(self):
        pixels = _pixels(50, shape=(4, 4, 3))
        source = sources.open_source(self._npz(images=pixels), _CONFIG)
        self.assertFalse(source.grey)
        seen = np.zeros(50, int)
        for split in source.splits:
            for item in _read(source, split):
                self.assertAllEqual(item.picture, pixels[int(item.key)])
                seen[int(item.key)] += 1
        self.assertAllEqual(seen, np.ones(50))

    def test_npz_reads_chosen_positions(self):
        pixels = _pixels(10)
        source = sources.open_source(self._npz(x_train=pixels, x_test=pixels), _CONFIG)
        items = list(source.read("train", np.array([2, 3, 9])))
        self.assertAllEqual(np.stack([i.picture for i in items]), pixels[[2, 3, 9]])

    @parameterized.parameters(
        ({"a": _pixels(2), "b": _pixels(2)}, "one array of images, .* a \\(2, 5, 4\\)"),
        ({"x": np.zeros(3)}, "array of images .* received x float64"),
        ({"x": np.zeros((2, 4, 4), np.float32)}, "uint8 .* received float32"),
        ({"x": _pixels(2, shape=(3, 8, 8))}, r"received uint8 \[2, 3, 8, 8\]"),
        (
            {"x": _pixels(2), "y": np.arange(3)},
            "as many labels as images, 2, received 3",
        ),
        (
            {"x": _pixels(2), "y": np.array([-1, 1])},
            "whole numbers from 0 up.* the classes -1 to 1",
        ),
        ({"x": _pixels(2), "y": [0, 1], "labels": [0, 1]}, "one array of labels"),
    )
    def test_npz_refusals(self, arrays, message):
        with self.assertRaisesRegex(files.UserError, message):
            sources.open_source(self._npz(**arrays), _CONFIG)

    def test_truncated_npz(self):
        path = self.create_tempfile("bad.npz", b"PK\3\4nothing", "wb").full_path
        with self.assertRaisesRegex(files.UserError, "damaged"):
            sources.open_source(path, _CONFIG)

    @parameterized.parameters("", ".gz")
    def test_idx_folder(self, end):
        root = self.create_tempdir().full_path
        train, test = _pixels(6), _pixels(2, 1)
        for stem, array in (
            ("train-images-idx3", train),
            ("train-labels-idx1", np.arange(6)),
            ("t10k-images-idx3", test),
            ("t10k-labels-idx1", np.array([4, 4])),
        ):
            _write_idx(os.path.join(root, f"{stem}-ubyte{end}"), array)
        source = sources.open_source(root, _CONFIG)
        self.assertEqual(list(source.splits), ["train", "test"])
        items = _read(source, "test")
        self.assertAllEqual(np.stack([item.picture for item in items]), test)
        self.assertEqual([i.annotations for i in items], [{"label": [4]}] * 2)

    def test_truncated_idx(self):
        path = os.path.join(self.create_tempdir().full_path, "images-idx3-ubyte")
        _write_idx(path, _pixels(6))
        with open(path, "rb+") as file:
            file.truncate(100)
        with self.assertRaisesRegex(files.UserError, "says 136 bytes, and has 100"):
            sources.open_source(path, _CONFIG)


class BuiltInTest(tf.test.TestCase):
    def test_digits(self):
        source = sources.open_source("digits", _CONFIG)
        self.assertEqual(sum(map(len, source.splits.values())), 1797)
        items = _read(source, "test")
        self.assertEqual(items[0].picture.shape, (8, 8))
        self.assertEqual(max(item.picture.max() for item in items), 255)
        self.assertEqual({i.annotations["label"][0] for i in items}, set(range(10)))

    def test_faces(self):
        source = sources.open_source(
            "faces", config_lib.ConvertConfig(limit=30, seed=3)
        )
        self.assertEqual(sum(map(len, source.splits.values())), 30)
        item = next(source.read("train", source.splits["train"]))
        picture, annotations = item.load()
        face = faces.draw(item.index, 3)
        self.assertAllEqual(picture, face.image)
        self.assertEqual(tuple(annotations["attributes"]), face.attributes)
        self.assertEqual(item.key, f"{item.index + 1:06d}.jpg")

    def test_seed_changes_the_digest_of_faces(self):
        digests = {
            sources.open_source(
                "faces", config_lib.ConvertConfig(limit=limit, seed=seed)
            ).digest
            for limit, seed in ((20, 1), (20, 2), (30, 1))
        }
        self.assertLen(digests, 3)


class PreparedTest(tf.test.TestCase):
    def test_unknown_and_unprepared(self):
        folder = self.create_tempdir().full_path
        for name, message in (
            ("tfds:no_such_data_set", "a TFDS data set, received 'no_such_data_set'"),
            ("tfds:mnist", "mnist prepared in .* found none"),
        ):
            with self.assertRaisesRegex(files.UserError, message):
                sources.open_source(name, _CONFIG, folder)


if __name__ == "__main__":
    tf.test.main()
