import hashlib
import io
import os
import shutil

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, records, shards, sources, verification
from pipelines.converting import conversion, plan

_WHOLE = {}


def _whole_folder(test):
    """Convert once; every test damages a copy."""
    if not _WHOLE:
        config = config_lib.ConvertConfig(
            image_size=8, encoding="png", shards=2, limit=12
        )
        source = sources.open_source("digits", config)
        folder = os.path.join(test.get_temp_dir(), "whole")
        conversion.convert(plan.make_plan(source, config), folder)
        _WHOLE["folder"] = folder
    return _WHOLE["folder"]


class VerificationTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.create_tempdir().full_path, "out")
        shutil.copytree(_whole_folder(self), self.folder)
        self.manifest = shards.load_manifest(self.folder)
        self.shard = self.manifest.split("train").shards[1]
        self.path = os.path.join(self.folder, self.shard.file)

    def _assert_problems(self, *fragments):
        problems = verification.verify(self.folder)
        self.assertLen(problems, len(fragments), problems)
        for problem, fragment in zip(problems, fragments, strict=True):
            self.assertIn(fragment, problem)

    def _write(self, written, consistent=True):
        """Write other records into the shard, and into the manifest what fits them."""
        with tf.io.TFRecordWriter(self.path) as writer:
            for record in written:
                writer.write(record)
        if consistent:
            shard = attrs.evolve(
                self.shard,
                num_bytes=os.path.getsize(self.path),
                sha256=files.sha256(self.path),
            )
            self._replace(shard)

    def _replace(self, shard):
        train = self.manifest.split("train")
        train = attrs.evolve(train, shards=(train.shards[0], shard))
        splits = {**self.manifest.splits, "train": train}
        shards.save_manifest(self.folder, attrs.evolve(self.manifest, splits=splits))

    def _records(self):
        return [r.numpy() for r in tf.data.TFRecordDataset(self.path)]

    def _with_image(self, record, image):
        example = tf.train.Example.FromString(record)
        example.features.feature["image"].bytes_list.value[0] = image
        return example.SerializeToString(deterministic=True)

    def test_whole(self):
        steps = []
        self.assertEqual(
            verification.verify(self.folder, lambda *step: steps.append(step)), []
        )
        self.assertEqual(steps[-1], (36, 36))

    def test_missing_shard(self):
        os.remove(self.path)
        self._assert_problems(f"{self.shard.file}: missing")

    def test_truncated_shard(self):
        with open(self.path, "rb+") as file:
            file.truncate(self.shard.num_bytes - 10)
        expected = f"{self.shard.file}: expected {self.shard.num_bytes} bytes, received"
        self._assert_problems(expected, "record 5 is damaged")

    def test_flipped_bit(self):
        (_, offset, length), *_ = shards.load_index(
            self.folder, self.manifest.split("train")
        )[8:]
        with open(self.path, "rb+") as file:
            file.seek(offset + length // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
        self._assert_problems(
            f"{self.shard.file}: its content was altered", "record 2 is damaged"
        )

    def test_undecodable_image(self):
        written = self._records()
        written[3] = self._with_image(written[3], b"no image")
        self._write(written)
        self._assert_problems("record 3 is damaged")

    def test_image_of_another_shape(self):
        written = self._records()
        image = tf.io.encode_png(np.zeros((9, 8, 1), np.uint8)).numpy()
        written[4] = self._with_image(written[4], image)
        self._write(written)
        self._assert_problems("record 4 is damaged")

    def test_record_too_few(self):
        self._write(self._records()[:-1])
        self._assert_problems(
            "expected examples 6, received 5",
            "expected last key",
        )

    def test_first_key(self):
        self._replace(attrs.evolve(self.shard, first_key="other"))
        self._assert_problems("expected first key other, received")

    def test_repeated_key(self):
        first = self.manifest.split("train").shards[0].file
        written = self._records()
        (copied, *_) = tf.data.TFRecordDataset(os.path.join(self.folder, first))
        written[2] = copied.numpy()
        self._write(written)
        problems = verification.verify(self.folder)
        repeated = [p for p in problems if "every key once over all splits, 1 " in p]
        self.assertLen(repeated, 2)
        self.assertStartsWith(repeated[0], first)
        self.assertStartsWith(repeated[1], self.shard.file)

    def test_index(self):
        split = self.manifest.split("train")
        path = os.path.join(self.folder, split.index)
        index = np.load(path)
        index[7, 1] += 1
        buffer = io.BytesIO()
        np.save(buffer, index)
        files.write(path, buffer.getvalue())
        self._assert_problems(f"{split.index}: its content was altered")
        sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        splits = {
            **self.manifest.splits,
            "train": attrs.evolve(split, index_sha256=sha256),
        }
        shards.save_manifest(self.folder, attrs.evolve(self.manifest, splits=splits))
        self._assert_problems(f"{self.shard.file}: the record index points elsewhere")
        os.remove(path)
        self._assert_problems(f"{split.index}: missing")

    def test_surplus_and_missing_files(self):
        extra = shards.shard_name("digits", "train", 0, 9)
        shutil.copy(self.path, os.path.join(self.folder, extra))
        os.remove(os.path.join(self.folder, "features.json"))
        self._assert_problems(f"{extra}: not in the manifest", "features.json: missing")

    def test_manifest_of_another_record(self):
        other = records.RecordSpec((8, 8, 1), "jpeg", label_names=("a",) * 10)
        shards.save_manifest(self.folder, attrs.evolve(self.manifest, record=other))
        # PNG data decodes all the same under TensorFlow's JPEG op: no false alarm.
        self._assert_problems()

    def test_no_manifest(self):
        os.remove(os.path.join(self.folder, shards.MANIFEST_NAME))
        with self.assertRaisesRegex(files.UserError, "manifest.json"):
            verification.verify(self.folder)


if __name__ == "__main__":
    tf.test.main()
