import os
import shutil
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from PIL import Image

from pipelines import config as config_lib
from pipelines import faces, records, shards, sources
from pipelines import files as files_lib
from pipelines.converting import conversion, images, journal, plan
from pipelines.converting import source as source_lib
from tests.pipelines import fixtures


def _config(**settings):
    return config_lib.ConvertConfig(**{"image_size": 16, **settings})


def _plan(source, config, tfds_data_dir=""):
    return plan.make_plan(sources.open_source(source, config, tfds_data_dir), config)


def _convert(source, out, workers=1, tfds_data_dir="", **settings):
    planned = _plan(source, _config(**settings), tfds_data_dir)
    return conversion.convert(planned, out, workers)


def _load_tfds(folder, split):
    """Return TFDS' examples in the order of the shards."""
    dataset = tfds.builder_from_directory(folder).as_dataset(
        split=split, read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    return list(dataset.as_numpy_iterator())


def _parsed(folder, manifest, split):
    files = [os.path.join(folder, s.file) for s in manifest.split(split).shards]
    fields = manifest.record.fields()
    dataset = tf.data.TFRecordDataset(files)
    dataset = dataset.map(lambda one: records.parse(manifest.record, one, fields))
    return list(dataset.as_numpy_iterator())


class ConvertTestCase(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.root = os.path.join(self.folder, "source")
        self.out = os.path.join(self.folder, "out")


class FormTest(ConvertTestCase):
    def test_official_builder_reads_celeba(self):
        fixtures.write_celeba(self.root)
        out = os.path.join(self.folder, "celeb_a", "2.1.0")
        _convert(self.root, out, image_size=0, crop="none")
        loaded = tfds.load(
            "celeb_a", data_dir=self.folder, download=False, shuffle_files=False
        )
        sizes = {split: len(loaded[split]) for split in loaded}
        self.assertEqual(sizes, {"train": 7, "validation": 1, "test": 2})
        for number, example in enumerate(loaded["train"].as_numpy_iterator()):
            # 4:2:0 chroma, quality 95, encoded twice.
            wanted = np.asarray(fixtures.photo(number)).astype(float)
            self.assertLess(np.mean(np.abs(example["image"] - wanted)), 3)
            values = [example["attributes"][name] for name in faces.ATTRIBUTE_NAMES]
            self.assertAllEqual(values, np.array(fixtures.attributes(number), bool))
            self.assertEqual(example["landmarks"]["lefteye_x"], number - 1)
            self.assertEqual(example["identity"]["Identity_No"], 100 + number)

    @parameterized.product(encoding=("jpeg", "png", "raw"), source=("digits", "celeba"))
    def test_tfds_reads_every_encoding(self, encoding, source):
        if source == "celeba":
            source = fixtures.write_celeba(self.root, num=10)
        manifest = _convert(source, self.out, encoding=encoding, limit=20, shards=2)
        for split in manifest.splits:
            ours = _parsed(self.out, manifest, split)
            theirs = _load_tfds(self.out, split)
            self.assertLen(ours, len(theirs))
            for one, other in zip(ours, theirs, strict=True):
                self.assertEqual(one["image"].shape, manifest.record.image_shape)
                difference = one["image"].astype(int) - other["image"]
                # TFDS decodes JPEG with the fast, less exact transform.
                near = 4 if encoding == "jpeg" else 0
                self.assertLessEqual(np.mean(np.abs(difference)), near)
                self.assertEqual(one["key"], other["filename"])
                if "label" in one:
                    self.assertEqual(one["label"], other["label"])

    def test_records_hold_what_the_source_holds(self):
        fixtures.write_celeba(self.root)
        settings = {"encoding": "png", "resample": "box"}  # Decoded in full.
        config = _config(**settings)
        manifest = _convert(self.root, self.out, **settings)
        self.assertEqual(manifest, shards.load_manifest(self.out))
        for number, one in enumerate(_parsed(self.out, manifest, "train")):
            self.assertEqual(one["key"].decode(), f"{number + 1:06d}.jpg")
            self.assertAllEqual(one["attributes"], fixtures.attributes(number))
            self.assertAllEqual(one["landmarks"], fixtures.landmarks(number))
            self.assertEqual(one["identity"], 100 + number)
            path = os.path.join(self.root, "img_align_celeba", one["key"].decode())
            wanted = images.fit(images.load(path, 3), config)
            self.assertAllEqual(one["image"], np.asarray(wanted))

    def test_index_points_at_the_records(self):
        manifest = _convert("digits", self.out, limit=9, shards=2)
        split = manifest.split("train")
        index = shards.load_index(self.out, split)
        self.assertEqual((index.shape, index.dtype), ((9, 3), np.int64))
        keys = [item["key"] for item in _parsed(self.out, manifest, "train")]
        for (number, offset, length), key in zip(index, keys, strict=True):
            with open(os.path.join(self.out, split.shards[number].file), "rb") as file:
                file.seek(offset)
                example = tf.train.Example.FromString(file.read(length))
            stored = example.features.feature[records.KEY_FEATURE].bytes_list.value[0]
            self.assertEqual(stored, key)

    @parameterized.parameters((0, 1), (3, 3), (100, 7))
    def test_number_of_shards(self, asked, made):
        manifest = _convert("digits", self.out, limit=7, shards=asked)
        self.assertLen(manifest.split("train").shards, made)
        self.assertEqual(manifest.split("train").num_examples, 7)

    def test_a_shard_for_each_1024_images(self):
        planned = _plan("digits", _config())
        sizes = {split: len(borders) - 1 for split, borders in planned.borders.items()}
        self.assertEqual(sizes, {"train": 2, "validation": 1, "test": 1})

    def test_nothing_else_is_left(self):
        _convert("digits", self.out, limit=5)
        self.assertCountEqual(
            os.listdir(self.out),
            [f"digits-{s}.tfrecord-00000-of-00001" for s in source_lib.SPLITS]
            + [f"digits-{s}.index.npy" for s in source_lib.SPLITS]
            + [
                "manifest.json",
                "dataset_info.json",
                "features.json",
                "label.labels.txt",
            ],
        )


class ChannelsTest(ConvertTestCase):
    def _shape(self, modes, **settings):
        os.makedirs(self.root)
        for number, mode in enumerate(modes):
            Image.new(mode, (20, 20)).save(os.path.join(self.root, f"{number}.png"))
        return _plan(self.root, _config(**settings)).record.image_shape

    def test_all_grey(self):
        self.assertEqual(self._shape(["L", "LA", "1", "I;16"]), (16, 16, 1))

    def test_one_colour(self):
        self.assertEqual(self._shape(["L", "L", "RGB"]), (16, 16, 3))

    def test_asked_for(self):
        self.assertEqual(self._shape(["L"], channels="3"), (16, 16, 3))

    def test_original_size_and_crop(self):
        self.assertEqual(self._shape(["L"], image_size=0, crop="18"), (18, 18, 1))


class SourcesTest(ConvertTestCase):
    def test_tfds_source_round_trip(self):
        fixtures.write_celeba(self.root)
        official = os.path.join(self.folder, "celeb_a", "2.1.0")
        _convert(self.root, official, image_size=0, crop="none")
        manifest = _convert(
            "tfds:celeb_a", self.out, tfds_data_dir=self.folder, encoding="png"
        )
        self.assertEqual((manifest.name, manifest.version), ("celeb_a", "2.1.0"))
        for number, one in enumerate(_parsed(self.out, manifest, "train")):
            self.assertAllEqual(one["attributes"], fixtures.attributes(number))
            self.assertAllEqual(one["landmarks"], fixtures.landmarks(number))
            self.assertEqual(one["identity"], 100 + number)

    def test_tfds_source_of_labels_and_raw_images(self):
        prepared = os.path.join(self.folder, "digits", "1.0.0")
        first = _convert("digits", prepared, encoding="raw", limit=12)
        second = _convert(
            "tfds:digits",
            self.out,
            workers=2,
            tfds_data_dir=self.folder,
            encoding="raw",
            shards=3,
        )
        self.assertEqual(second.record, first.record)
        for split in first.splits:
            ours = _parsed(prepared, first, split)
            theirs = _parsed(self.out, second, split)
            for one, other in zip(ours, theirs, strict=True):
                self.assertAllEqual(one["image"], other["image"])
                self.assertEqual(one["label"], other["label"])

    def test_faces(self):
        manifest = _convert("faces", self.out, workers=2, limit=40, encoding="png")
        self.assertLen(manifest.record.attributes, 40)
        (one, *_) = _parsed(self.out, manifest, "test")
        index = int(one["key"][:6]) - 1
        face = faces.draw(index, 1)
        self.assertAllEqual(one["attributes"], face.attributes)
        self.assertAllEqual(one["landmarks"], face.landmarks)
        self.assertEqual(one["identity"], face.identity)

    def test_padding(self):
        path = os.path.join(self.folder, "some.npz")
        pixels = np.full((20, 28, 28), 7, np.uint8)
        np.savez(path, images=pixels)
        manifest = _convert(path, self.out, image_size=32, pad=True, encoding="raw")
        (one, *_) = _parsed(self.out, manifest, "train")
        self.assertAllEqual(one["image"][2:30, 2:30, 0], pixels[0])
        self.assertEqual(one["image"].sum(dtype=int), 7 * 28 * 28)


class _StopError(Exception):
    pass


def _stop_after(number):
    def on_progress(done, _):
        if done == number:
            raise _StopError

    return on_progress


class ResumeTest(ConvertTestCase):
    def _whole(self, **settings):
        fixtures.write_celeba(self.root, num=20)
        whole = os.path.join(self.folder, "whole")
        _convert(self.root, whole, shards=4, **settings)
        return fixtures.read_all(whole)

    def test_two_workers_write_the_same_bytes(self):
        whole = self._whole()
        _convert(self.root, self.out, workers=2, shards=4)
        self.assertEqual(fixtures.read_all(self.out), whole)

    @parameterized.parameters((1, 1), (5, 1), (5, 2), (20, 1))
    def test_interrupted_and_resumed(self, number, workers):
        whole = self._whole()
        planned = _plan(self.root, _config(shards=4))
        with self.assertRaises(_StopError):
            conversion.convert(planned, self.out, workers, _stop_after(number))
        self.assertFalse(os.path.exists(os.path.join(self.out, "manifest.json")))
        conversion.convert(planned, self.out, workers)
        self.assertEqual(fixtures.read_all(self.out), whole)

    def test_finished_shards_are_not_read_again(self):
        whole = self._whole()
        planned = _plan(self.root, _config(shards=4))
        with self.assertRaises(_StopError):
            conversion.convert(planned, self.out, 1, _stop_after(9))
        # The first shard is done: its images could as well be gone by now.
        for key in ("000002.jpg", "000003.jpg"):
            path = os.path.join(self.root, "img_align_celeba", key)
            with open(path, "rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                file.write(b"\0" * size)
        steps = []
        conversion.convert(planned, self.out, 1, lambda *step: steps.append(step))
        self.assertEqual(fixtures.read_all(self.out), whole)
        self.assertGreaterEqual(steps[0][0], 4)
        self.assertEqual(steps[-1], (20, 20))

    @parameterized.parameters("lost", "damaged")
    def test_lost_and_damaged_shards_are_written_again(self, how):
        whole = self._whole()
        planned = _plan(self.root, _config(shards=4))
        with self.assertRaises(_StopError):
            conversion.convert(planned, self.out, 1, _stop_after(9))
        (first, *_) = [name for name in os.listdir(self.out) if "00000-of" in name]
        path = os.path.join(self.out, first)
        if how == "lost":
            os.remove(path)
        else:
            files_lib.write(path, b"\0" * os.path.getsize(path))
        conversion.convert(planned, self.out)
        self.assertEqual(fixtures.read_all(self.out), whole)

    def test_killed_and_resumed(self):
        planned = _plan("faces", _config(limit=60, shards=12))
        whole = os.path.join(self.folder, "whole")
        conversion.convert(planned, whole)
        command = [sys.executable, "-m", "tools.convert_celeba", "--source=faces"]
        command += ["--limit=60", "--shards=12", "--image_size=16", "--workers=2"]
        process = subprocess.Popen([*command, f"--out={self.out}"])
        noted = os.path.join(self.out, journal.FOLDER, "train-00001.json")
        while not os.path.exists(noted) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertFalse(os.path.exists(os.path.join(self.out, "manifest.json")))
        conversion.convert(planned, self.out)
        self.assertEqual(fixtures.read_all(self.out), fixtures.read_all(whole))

    def test_finished_is_recognised(self):
        self._whole()
        config = _config(shards=4)
        source = sources.open_source(self.root, config)
        whole = os.path.join(self.folder, "whole")
        finished = conversion.find_finished(whole, source, config)
        self.assertEqual(finished, shards.load_manifest(whole))
        self.assertIsNone(conversion.find_finished(self.out, source, config))


class RefusalTest(ConvertTestCase):
    def _refused(self, message, **settings):
        with self.assertRaisesRegex(files_lib.UserError, message):
            _convert(self.root, self.out, **settings)

    def test_damaged_images_are_named(self):
        fixtures.write_celeba(self.root)
        for key in ("000002.jpg", "000005.jpg"):
            path = os.path.join(self.root, "img_align_celeba", key)
            with open(path, "rb+") as file:
                file.truncate(300)
        message = "at most 1 damaged images, found 2 .*000002.jpg: .*000005.jpg: "
        for workers in (1, 2):
            with self.assertRaisesRegex(files_lib.UserError, message):
                _convert(self.root, self.out, workers, max_bad_images=1)
        manifest = _convert(self.root, self.out, 2, max_bad_images=2)
        self.assertEqual(manifest.split("train").num_examples, 5)
        self.assertEqual(
            [b[:10] for b in manifest.bad_images], ["000002.jpg", "000005.jpg"]
        )
        self.assertLen(_load_tfds(self.out, "train"), 5)

    def test_two_at_once(self):
        fixtures.write_celeba(self.root)
        with journal.Journal(self.out).held():
            self._refused("one conversion's alone, another process is writing")
        self.assertEqual(_convert(self.root, self.out).bad_images, ())

    def test_all_damaged(self):
        fixtures.write_text(self.root, "a.jpg", ["hello"])
        self._refused("at least one readable image", max_bad_images=9)

    def test_unlike_sizes(self):
        fixtures.write_images(self.root, ["a.jpg"], (20, 20))
        fixtures.write_images(self.root, ["b.jpg"], (20, 21))
        self._refused(
            "b.jpg: Expected images of one size .* 20 x 20 .* received 20 x 21",
            image_size=0,
            crop="none",
            split_ratios=(1, 0, 0),
        )

    def test_crop_larger_than_image(self):
        fixtures.write_celeba(self.root)
        self._refused("at least 200 x 200 pixels for --crop=200", crop="200")
        self.assertFalse(os.path.exists(self.out))

    def test_other_content(self):
        fixtures.write_celeba(self.root)
        fixtures.write_text(self.out, "mine.txt", ["hello"])
        before = fixtures.read_all(self.out)
        self._refused("new or an empty folder, .* holds 'mine.txt'")
        self.assertEqual(fixtures.read_all(self.out), before)

    def test_other_conversion_begun(self):
        fixtures.write_celeba(self.root)
        planned = _plan(self.root, _config(shards=4))
        with self.assertRaises(_StopError):
            conversion.convert(planned, self.out, 1, _stop_after(5))
        before = fixtures.read_all(self.out)
        self._refused("holds another .quality is 95, not 80", quality=80, shards=4)
        self.assertEqual(fixtures.read_all(self.out), before)

    def test_other_conversion_finished(self):
        fixtures.write_celeba(self.root)
        _convert(self.root, self.out)
        for source, settings, message in (
            (self.root, {"seed": 3}, "seed is 1, not 3"),
            ("digits", {}, "source kind is celeba, not digits"),
        ):
            config = _config(**settings)
            with self.assertRaisesRegex(files_lib.UserError, message):
                conversion.find_finished(
                    self.out, sources.open_source(source, config), config
                )

    def test_finished_but_damaged(self):
        manifest = _convert("digits", self.out, limit=5)
        config = _config(limit=5)
        source = sources.open_source("digits", config)
        split = manifest.split("test")
        for name in (split.shards[0].file, split.index):
            path = os.path.join(self.out, name)
            with open(path, "rb") as file:
                content = file.read()
            changed = bytes([*content[:-9], content[-9] ^ 1, *content[-8:]])
            for damaged, said in (
                (changed, "its content was altered"),
                (content[: len(content) // 2], "expected .* bytes|was altered"),
                (None, "missing"),
            ):
                if damaged is None:
                    os.remove(path)
                else:
                    files_lib.write(path, damaged)
                with self.assertRaisesRegex(files_lib.UserError, f"{name}: .*{said}"):
                    conversion.find_finished(self.out, source, config)
            files_lib.write(path, content)
        self.assertEqual(conversion.find_finished(self.out, source, config), manifest)

    def test_unwritable_output(self):
        fixtures.write_celeba(self.root)
        self.out = os.path.join(self.root, "identity_CelebA.txt", "out")
        self._refused("Expected to use .*identity_CelebA.txt/out, .* no folder")

    def test_no_room(self):
        fixtures.write_celeba(self.root)
        planned = _plan(self.root, _config())
        full = shutil.disk_usage(self.folder)._replace(free=10)
        with (
            mock.patch.object(shutil, "disk_usage", return_value=full),
            self.assertRaisesRegex(files_lib.UserError, "free disk space"),
        ):
            conversion.convert(planned, self.out)
        self.assertFalse(os.path.exists(self.out))


if __name__ == "__main__":
    tf.test.main()
