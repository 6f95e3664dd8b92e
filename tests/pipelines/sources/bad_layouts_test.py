"""Sources that are damaged, mixed or not what they seem: refused, or named."""

import io
import json
import os
import tarfile
import zipfile

import attrs
import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl.testing import parameterized
from pyarrow import parquet

from pipelines import config as config_lib
from pipelines import files, sources
from pipelines.converting import conversion, plan
from tests.pipelines import fixtures
from tests.pipelines.sources import layouts_fixtures

_CONFIG = config_lib.ConvertConfig(image_size=8)


def _read_all(source):
    """Return the items of a source by key."""
    return {
        item.key: item
        for split, positions in source.splits.items()
        for item in source.read(split, positions)
    }


def _cut(path, num_bytes):
    with open(path, "rb+") as file:
        file.truncate(num_bytes)


class _Case(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path

    def _open(self, source=""):
        return sources.open_source(source or self.folder, _CONFIG)

    def _refused(self, message, source=""):
        with self.assertRaisesRegex(files.UserError, message) as refused:
            plan.make_plan(self._open(source), _CONFIG)
        self.assertStartsWith(str(refused.exception), "Expected")

    def _warned(self, message):
        warnings = self._open().warnings
        self.assertTrue(any(message in warning for warning in warnings), warnings)

    def _lines(self, name, change):
        """Change the lines of a text file."""
        path = os.path.join(self.folder, name)
        with open(path) as file:
            lines = change(file.read().splitlines())
        fixtures.write_text(self.folder, name, lines)


class ImageFolderTest(_Case):
    def setUp(self):
        super().setUp()
        layouts_fixtures.image_folder_json(self.folder)

    def test_an_image_without_a_line_is_named(self):
        self._lines("train/metadata.jsonl", lambda lines: lines[1:])
        self._refused("every image in metadata.jsonl, 1 are missing, first 'train/")

    @parameterized.parameters(
        ("{}", "line 1 has no file_name"),
        ('{"file_name": 3}', "line 1 has no file_name"),
        ('{"file_name": "a.jpg", "file_name": "b.jpg"}', "'file_name' stands there tw"),
        ("[1]", "line 1 should be an object"),
        ("cake", "Expecting value"),
        ('{"file_name": "' + "a" * 70_000 + '"}', "line 1 has 65,536 bytes and more"),
    )
    def test_a_damaged_line_is_one_sentence(self, line, reason):
        self._lines("test/metadata.jsonl", lambda lines: [line, *lines[1:]])
        self._refused(rf"file_name, in test/metadata.jsonl, it is damaged \(.*{reason}")

    def test_a_second_line_of_an_image_is_refused(self):
        self._lines("test/metadata.jsonl", lambda lines: [lines[0], *lines])
        self._refused("every name once in metadata.jsonl, received 'test/.* in line 2")

    def test_lines_of_images_that_are_not_there_are_told(self):
        more = '{"file_name": "none.jpg"}'
        self._lines("train/metadata.jsonl", lambda lines: [*lines, more])
        self._warned("1 rows of images that aren't there, first 'train/none.jpg'")

    def test_a_column_of_some_lines_is_ignored_with_its_reason(self):
        def add(lines):
            lines = [f'{line[:-1]}, "label": [1]}}' for line in lines]
            return [lines[0][:-1] + ', "Bald": true}', *lines[1:]]

        for split in ("train", "validation", "test"):
            self._lines(f"{split}/metadata.jsonl", add)
        reasons = {
            name: use.reason for use in self._open().uses for name in use.columns
        }
        self.assertEqual(reasons["Bald"], "values are missing")
        self.assertEqual(reasons["label"], "'[1]' is no whole number")

    def test_a_line_of_a_csv_with_other_values_is_refused(self):
        folder = self.folder = self.create_tempdir().full_path
        layouts_fixtures.image_folder_csv(folder)
        self._lines("test/metadata.csv", lambda lines: [*lines[:2], lines[2] + ",1"])
        self._refused("line 3 has 16 values for 15 columns")


class AnnotationsTest(_Case):
    def _kaggle(self):
        layouts_fixtures.kaggle()(self.folder)

    def test_missing_rows(self):
        self._kaggle()
        self._lines("list_landmarks_align_celeba.csv", lambda lines: lines[:-2])
        self._refused("every image in list_landmarks_align_celeba.csv, 2 are missing")

    def test_missing_values(self):
        self._kaggle()
        self._lines(
            "list_landmarks_align_celeba.csv",
            lambda lines: [*lines[:5], lines[5].rsplit(",", 1)[0] + ",", *lines[6:]],
        )
        self._refused("'rightmouth_y': values are missing .000005.jpg")

    def test_rows_of_images_that_are_not_there(self):
        self._kaggle()
        self._lines("list_attr_celeba.csv", lambda lines: [*lines, "x.jpg,1,1,1"])
        self._warned("list_attr_celeba.csv has 1 rows of images that aren't there")
        self._lines("list_eval_partition.csv", lambda lines: [*lines, "x.jpg,1"])
        self._refused("only images that exist in list_eval_partition.csv")

    def test_names_of_attributes_given_twice(self):
        self._kaggle()
        self._lines(
            "list_attr_celeba.csv", lambda ls: ["image_id,Male,Male,Young", *ls[1:]]
        )
        self._refused("every name of a column once .* 'Male' twice")

    def test_text_and_csv_together(self):
        self._kaggle()
        layouts_fixtures.write_texts(self.folder)
        self._refused("one file identity_celeba, received both")

    def test_boxes_outside_of_images_are_named(self):
        layouts_fixtures.wild(self.folder)
        self._lines(
            "Anno/list_bbox_celeba.txt",
            lambda lines: [*lines[:2], "000001.jpg -3 0 8 8", *lines[3:]],
        )
        self._warned("1 boxes begin outside of their image")

    @parameterized.parameters(
        ("x.csv", ["file,Young", "000001.jpg,1"], "x.csv isn't used. Expected every"),
        ("x.csv", ["nothing"], "x.csv isn't used. Expected"),
        ("x.json", ["{}"], "A file isn't read, first x.json"),
        ("list_attr_celeba.mat", [], "A file isn't read, first list_attr_celeba.mat"),
    )
    def test_what_is_not_understood_is_named(self, name, lines, message):
        layouts_fixtures.write_pictures(self.folder, layouts_fixtures.KEYS)
        fixtures.write_text(self.folder, name, lines)
        self._warned(message)

    def test_documents_are_not_annotations(self):
        layouts_fixtures.write_pictures(self.folder, layouts_fixtures.KEYS)
        for name in ("README.txt", "LICENSE", "index.html"):
            fixtures.write_text(self.folder, name, ["x"])
        self.assertEmpty(self._open().warnings)

    def test_tables_beside_the_source_are_named(self):
        self._kaggle()
        inner = os.path.join(self.folder, "img_align_celeba")
        warnings = self._open(inner).warnings
        self.assertIn("identity_CelebA.csv lies beside --source", warnings[-1])

    @parameterized.parameters("thumbnail", "in_the_wild")
    def test_ffhq_without_its_list(self, place):
        layouts_fixtures.ffhq(self.folder, place)
        os.remove(os.path.join(self.folder, "ffhq-dataset-v2.json"))
        self._warned("there are no landmarks, and splits are made by a hash; put it be")
        self.assertEmpty(self._open().landmarks)

    def test_ffhq_without_an_image(self):
        layouts_fixtures.ffhq(self.folder)
        fixtures.write_images(
            os.path.join(self.folder, "thumbnails128x128", "1"), ["99999.png"], (8, 8)
        )
        self._refused("every image in ffhq-dataset-v2.json, 1 are missing")


class TreesTest(_Case):
    def test_two_layouts(self):
        layouts_fixtures.official(self.folder)
        layouts_fixtures.wild(os.path.join(self.folder, "other"))
        self._refused("one layout .*img_align_celeba or .* and img_celeba")

    def test_images_beside_parquet(self):
        layouts_fixtures.hugging_face(self.folder)
        fixtures.write_images(self.folder, ["a.png"], (8, 8))
        self._refused(r"4 files \*.parquet and 1 images \(a.png\)")

    def test_tables_beside_parquet_are_named(self):
        layouts_fixtures.hugging_face(self.folder)
        fixtures.write_text(self.folder, "list_attr_celeba.csv", ["x"])
        self._warned("A file isn't read, first list_attr_celeba.csv")

    def test_images_outside_of_splits(self):
        layouts_fixtures.split_folders(self.folder)
        fixtures.write_images(os.path.join(self.folder, "more"), ["a.png"], (8, 8))
        self._refused(
            "every image in a place named as a split, .* received 'more/a.png'"
        )

    def test_a_single_folder_of_a_split_is_split(self):
        names = [f"train/{name}" for name in layouts_fixtures.KEYS]
        layouts_fixtures.write_pictures(self.folder, names)
        self.assertGreater(len(self._open().splits), 1)
        self._warned("There are images of the split train and of no other")

    def test_images_outside_of_the_folder_are_named(self):
        layouts_fixtures.official(self.folder)
        fixtures.write_images(self.folder, ["a.png"], (8, 8))
        self._warned("1 images are left out, being outside of img_align_celeba; first")

    def test_masks_alone_are_images(self):
        names = [f"masks/{name}" for name in layouts_fixtures.KEYS]
        layouts_fixtures.write_pictures(self.folder, names)
        self.assertLen(_read_all(self._open()), layouts_fixtures.NUM)

    @parameterized.parameters("a.z01", "a.zip.001", "a.7z.001", "a.7z", "a.tar.gz")
    def test_archives_that_are_not_opened(self, name):
        path = os.path.join(self.folder, name)
        fixtures.write_text(self.folder, name, ["x"])
        self._refused(f"received {path}, an? .*; (join|decompress|unpack)", path)
        self._refused(f"found none, but {name}, an? .*; (join|decompress|unpack)")

    def test_the_last_part_of_several(self):
        fixtures.write_text(self.folder, "a.zip", ["x"])
        fixtures.write_text(self.folder, "a.z01", ["x"])
        self._refused("a part of an archive", os.path.join(self.folder, "a.zip"))

    def test_zip_in_a_zip(self):
        path = os.path.join(self.folder, "outer.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.zip", b"x")
        self._refused("found none, but inner.zip, a zip, which is not opened", path)

    def test_pixels_of_zero_and_one(self):
        for name, top in (("bad.npz", 1), ("good.npz", 255), ("black.npz", 0)):
            pixels = np.arange(2 * 64).reshape(2, 8, 8) % 2 * top
            np.savez(os.path.join(self.folder, name), images=pixels.astype(np.uint8))
        self._refused("received only 0 and 1", os.path.join(self.folder, "bad.npz"))
        self._open(os.path.join(self.folder, "good.npz"))
        self._open(os.path.join(self.folder, "black.npz"))


class RowsTest(_Case):
    def _parquet(self, table, name="a.parquet"):
        path = os.path.join(self.folder, name)
        parquet.write_table(table, path)
        return path

    @parameterized.parameters(0.3, 0.9, 0.99)
    def test_cut_parquet(self, part):
        path = self._parquet(layouts_fixtures.table(range(20)))
        _cut(path, int(os.path.getsize(path) * part))
        self._refused("readable Parquet file in .* damaged or cut off")

    def test_no_column_of_images(self):
        self._parquet(pa.table({"image": [1, 2], "label": ["a", "b"]}))
        self._refused("one column of images, .* received image int64, label string")

    def test_a_column_of_something_else(self):
        self._parquet(pa.table({"image": [b"hello"] * 9}))
        self._refused("at least one readable image")

    def test_paths_in_place_of_images(self):
        rows = [{"bytes": None, "path": f"{n}.jpg"} for n in range(9)]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        self._parquet(pa.table({"image": pa.array(rows, kind)}))
        self._refused("it may hold their paths alone")

    def test_names_of_columns_given_twice(self):
        table = layouts_fixtures.table(range(3))
        self._parquet(table.append_column("Male", table["Young"]))
        self._refused("two columns of the name 'Male'")

    def test_classes_have_their_names(self):
        table = pa.table({"image": [layouts_fixtures.picture(n) for n in range(4)]})
        table = table.append_column("label", pa.array([1, 0, 1, 1]))
        described = {
            "label": {"names": ["female", "male"], "_type": "ClassLabel"},
            "image": {"_type": "Image"},
        }
        text = json.dumps({"info": {"features": described}})
        self._parquet(table.replace_schema_metadata({"huggingface": text}))
        source = self._open()
        self.assertEqual(source.label_names, ("female", "male"))
        items = _read_all(source)
        labels = [items[key].annotations["label"] for key in sorted(items)]
        self.assertEqual(labels, [[1], [0], [1], [1]])

    def test_texts_are_classes(self):
        table = pa.table({"image": [layouts_fixtures.picture(n) for n in range(4)]})
        self._parquet(table.append_column("label", pa.array(["b", "c", "a", "b"])))
        source = self._open()
        self.assertEqual(source.label_names, ("a", "b", "c"))
        items = _read_all(source)
        labels = [items[key].annotations["label"][0] for key in sorted(items)]
        self.assertEqual(labels, [1, 2, 0, 1])

    def test_names_that_are_not_each_image_s_own(self):
        self._parquet(layouts_fixtures.table([1, 1, 2]))
        self.assertCountEqual(
            _read_all(self._open()), [f"a_{row:07d}" for row in range(3)]
        )

    def test_a_column_that_some_files_lack(self):
        table = layouts_fixtures.table(range(4))
        self._parquet(table, "a.parquet")
        self._parquet(layouts_fixtures.table(range(4, 8)).drop(["Male"]), "b.parquet")
        source = self._open()
        self.assertEqual(source.attributes, ("Smiling", "Young"))
        reasons = {use.columns: use.reason for use in source.uses}
        self.assertEqual(reasons["Male",], "values are missing")

    def _tar(self, members, name="a.tar"):
        path = os.path.join(self.folder, name)
        with tarfile.open(path, "w") as archive:
            for member, data in members:
                if isinstance(member, str):
                    member = tarfile.TarInfo(member)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    def _members(self):
        return [(f"{n}.png", layouts_fixtures.picture(n)) for n in range(9)]

    @parameterized.parameters(3_000, 1_000, -10_240)
    def test_cut_tar(self, num_bytes):
        """Within an image, within a header, and where a member ends."""
        path = self._tar(self._members())
        end = -(-os.path.getsize(path) // 10_240) * 10_240
        if num_bytes < 0:
            with tarfile.open(path) as archive:
                num_bytes = archive.getmembers()[4].offset
        self.assertLess(num_bytes, end)
        _cut(path, num_bytes)
        self._refused("readable tar in .* damaged or cut off")

    @parameterized.parameters("../a.png", "/a.png", "x/../../a.png")
    def test_members_that_lead_out(self, name):
        self._tar([*self._members(), (name, b"x")])
        self._refused("a tar of plain files inside its own folder")

    @parameterized.parameters(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)
    def test_members_that_are_no_files(self, kind):
        link = tarfile.TarInfo("z.png")
        link.type, link.linkname = kind, "0.png"
        self._tar([*self._members(), (link, b"")])
        self._refused("a tar of plain files inside its own folder")

    def test_labels_of_cls_and_txt(self):
        members = [
            member
            for n, (name, data) in enumerate(self._members())
            for member in (
                (name, data),
                (f"{n}.cls", b"%d\n" % (n % 3)),
                (f"{n}.txt", b"A face. " * 40),
                (f"{n}.seg.png", b"x"),
            )
        ]
        self._tar(members)
        source = self._open()
        self.assertEqual(source.label_names, ("0", "1", "2"))
        for key, item in _read_all(source).items():
            number = int(key.removesuffix(".png"))
            self.assertEqual(item.annotations["label"], [number % 3])
        reasons = {use.columns: use.reason for use in source.uses}
        self.assertEqual(reasons["txt",], "it holds free texts")
        self.assertEqual(reasons["seg.png",], "members of this end aren't read")

    def test_members_without_an_image_are_named(self):
        self._tar([*self._members(), ("list_attr_celeba.csv", b"x")])
        uses = {use.columns: use.reason for use in self._open().uses}
        reason = "such as those of 'list_attr_celeba'"
        self.assertEqual(uses["members without an image",], reason)
        self.assertIn("aren't read", uses["csv",])

    def test_two_images_of_one_name(self):
        self._tar([("a.png", b"x"), ("a.jpg", b"x")])
        self._refused("'a.jpg' is a second image of 'a'")

    def test_json_that_is_none(self):
        self._tar([("a.png", b"x"), ("a.json", b"[1]")])
        self._refused("readable tar .*a.json. holds no object")


class LabelsTest(_Case):
    @parameterized.parameters(
        (np.eye(3, dtype=np.float32)[[0, 2, 1, 2]], [0, 2, 1, 2], "012"),
        (np.array([True, False, False, True]), [1, 0, 0, 1], "01"),
        (np.array([2.0, 0.0, 1.0, 1.0]), [2, 0, 1, 1], "012"),
        (np.array(["b", "a", "b", "ü"]), [1, 0, 1, 2], "abü"),
        (np.array([b"y", b"x", b"x", b"y"]), [1, 0, 0, 1], "xy"),
    )
    def test_forms(self, labels, expected, names):
        path = os.path.join(self.folder, "a.npz")
        pixels = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
        np.savez(path, images=pixels, labels=labels)
        source = self._open(path)
        items = _read_all(source)
        found = [items[key].annotations["label"][0] for key in sorted(items)]
        self.assertEqual(found, expected)
        self.assertEqual(source.label_names, tuple(names))

    @parameterized.parameters(
        (np.array([0.5, 1, 2, 1]), "'0.5' is no whole number"),
        (np.full((4, 3), 0.5), "a row of other values"),
    )
    def test_refusals(self, labels, message):
        path = os.path.join(self.folder, "a.npz")
        np.savez(path, images=np.ones((4, 8, 8), np.uint8) * 9, labels=labels)
        self._refused(message, path)

    def test_what_is_not_taken_is_named(self):
        path = os.path.join(self.folder, "a.npz")
        pixels = np.ones((4, 8, 8), np.uint8) * 9
        np.savez(path, images=pixels, z=np.zeros((4, 2)), k=np.int64(3))
        warnings = self._open(path).warnings
        self.assertLen(warnings, 2)
        self.assertIn("z.npy isn't used", warnings[0])


class PreparedTest(_Case):
    def test_a_split_val_is_the_validation(self):
        source = sources.open_source("digits", attrs.evolve(_CONFIG, limit=9))
        splits = dict(zip(("train", "val"), source.splits.values(), strict=False))
        source = attrs.evolve(source, splits=splits)
        prepared = os.path.join(self.folder, "digits", "1.0.0")
        conversion.convert(plan.make_plan(source, _CONFIG), prepared)
        opened = sources.open_source("tfds:digits", _CONFIG, self.folder)
        self.assertEqual(list(opened.splits), ["train", "validation"])
        self.assertLen(list(opened.read("validation", np.arange(9))), 9)
        self.assertEqual([use.role for use in opened.uses], ["label", "ignored"])


if __name__ == "__main__":
    tf.test.main()
