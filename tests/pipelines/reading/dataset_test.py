import itertools
import os
from unittest import mock

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files, shards
from pipelines.reading import bad_records, dataset, device_cache
from pipelines.reading.native import loader
from tests.pipelines import shard_fixtures

_SIZES = {"train": (5, 0, 9, 3), "validation": (4, 3), "test": (2,)}
_AUGMENTED = {
    "flip": True,
    "translate": 0.2,
    "brightness": 0.2,
    "corruption": "noise",
}


def _rows(stacked):
    """Take stacked tensors apart."""
    count = len(next(iter(stacked.values())))
    return [{name: v[i] for name, v in stacked.items()} for i in range(count)]


class DatasetTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data_dir = self.create_tempdir().full_path
        self.manifest, self.images = shard_fixtures.write(self.data_dir, _SIZES)

    def _config(self, **changes):
        return config_lib.DataConfig(**{"batch_size": 4, **changes})

    def _train(self, num_batches, config=None, **options):
        config = config or self._config()
        options = {"fields": ("key",), **options}
        batches = dataset.train_batches(self.data_dir, self.manifest, config, **options)
        return list(itertools.islice(batches.as_numpy_iterator(), num_batches))

    def _eval(self, split="validation", config=None, **options):
        config = config or self._config()
        batches = dataset.eval_batches(
            self.data_dir, self.manifest, split, config, **options
        )
        return list(batches.as_numpy_iterator())

    def _assert_same(self, first, second):
        self.assertEqual(len(first), len(second))
        for one, two in zip(first, second, strict=True):
            self.assertEqual(one.keys(), two.keys())
            for name in one:
                self.assertAllEqual(one[name], two[name])

    def _keys(self, batches):
        return [key.decode() for batch in batches for key in batch["key"]]

    def test_an_epoch_holds_every_example_once(self):
        config = self._config(keep_last_batch=True)
        steps = dataset.steps_per_epoch(self.manifest, config)
        self.assertEqual(steps, 5)
        batches = self._train(2 * steps, config)
        for epoch in (batches[:steps], batches[steps:]):
            self.assertLen(epoch[-1]["key"], 1)
            expected = [f"train-{i:05d}" for i in range(17)]
            self.assertCountEqual(self._keys(epoch), expected)
        self.assertNotEqual(self._keys(batches[:steps]), self._keys(batches[steps:]))

    def test_the_last_partial_batch_is_dropped_unless_kept(self):
        self.assertEqual(dataset.steps_per_epoch(self.manifest, self._config()), 4)
        batches = self._train(9)
        self.assertAllEqual([len(b["key"]) for b in batches], [4] * 9)
        self.assertLen(set(self._keys(batches[:4])), 16)
        self.assertLen(set(self._keys(batches[4:8])), 16)

    def test_images_belong_to_their_keys(self):
        for batch in self._train(8):
            for key, image in zip(batch["key"], batch["image"], strict=True):
                number = int(key.decode().split("-")[1])
                self.assertAllEqual(image, self.images["train"][number])

    def test_order_is_a_function_of_seed_and_epoch(self):
        tf.random.set_seed(1)
        first = self._train(8)
        tf.random.set_seed(2)
        self._assert_same(first, self._train(8))
        other = self._train(8, self._config(seed=2))
        self.assertNotEqual(self._keys(first), self._keys(other))

    @parameterized.parameters((False, "global"), (True, "blocks"), (True, "none"))
    def test_starting_anywhere_continues_the_same_run(self, keep, shuffle):
        config = self._config(keep_last_batch=keep, shuffle=shuffle, **_AUGMENTED)
        steps = dataset.steps_per_epoch(self.manifest, config)
        straight = self._train(3 * steps, config)
        for epoch, step in ((0, 1), (0, steps), (1, 0), (1, 3), (2, 2)):
            resumed = self._train(3, config, start_epoch=epoch, start_step=step)
            begin = epoch * steps + step
            expected = straight[begin : begin + 3]
            self._assert_same(resumed[: len(expected)], expected)

    # Of 17 examples, batches of 6 leave 5 over: more than a worker's share.
    @parameterized.parameters((2, 4), (4, 4), (2, 6), (3, 6))
    def test_workers_share_each_batch(self, count, batch_size):
        config = self._config(batch_size=batch_size, **_AUGMENTED)
        together = self._train(8, config)
        shares = [self._train(8, config, replica=(i, count)) for i in range(count)]
        for number, batch in enumerate(together):
            keys = [k for share in shares for k in self._keys([share[number]])]
            self.assertCountEqual(keys, self._keys([batch]))
            for index, share in enumerate(shares):
                size = batch_size // count
                expected = batch["image"][index * size : (index + 1) * size]
                self.assertAllEqual(share[number]["image"], expected)

    @parameterized.product(count=(2, 4), shuffle=("global", "blocks", "none"))
    def test_workers_see_every_example_once(self, count, shuffle):
        config = self._config(batch_size=4, shuffle=shuffle, shuffle_buffer=64)
        steps = dataset.steps_per_epoch(self.manifest, config)
        for epoch in (0, 1):
            shares = [
                self._train(steps, config, replica=(i, count), start_epoch=epoch)
                for i in range(count)
            ]
            keys = [key for share in shares for key in self._keys(share)]
            self.assertLen(set(keys), 16)
            self.assertLen(keys, 16)

    @parameterized.parameters(
        ({}, "uint8"),
        ({"random_crop": 3, **_AUGMENTED}, "float32"),
        ({"shuffle": "blocks"}, "bfloat16"),
    )
    def test_op_and_twin_give_the_same(self, settings, dtype):
        if not loader.available():
            self.skipTest("the op can't be built here")
        options = {"dtype": tf.as_dtype(dtype), "fields": ("key", "label")}
        self._assert_same(
            self._train(9, self._config(native="true", **settings), **options),
            self._train(9, self._config(native="false", **settings), **options),
        )

    @parameterized.parameters("true", "false")
    def test_windows_lie_in_their_images(self, native):
        if native == "true" and not loader.available():
            self.skipTest("the op can't be built here")
        config = self._config(random_crop=4, native=native)
        corners = set()
        for batch in self._train(12, config):
            self.assertAllEqual(batch["image"].shape, [4, 4, 4, 3])
            for key, window in zip(batch["key"], batch["image"], strict=True):
                image = self.images["train"][int(key.decode().split("-")[1])]
                matches = [
                    (y, x)
                    for y in range(5)
                    for x in range(3)
                    if np.array_equal(image[y : y + 4, x : x + 4], window)
                ]
                self.assertLen(matches, 1)
                corners.update(matches)
        self.assertLen(corners, 15)
        images = np.concatenate([b["image"] for b in self._eval(config=config)])
        self.assertAllEqual(images, self.images["validation"][:, 2:6, 1:5])
        self.assertEqual(dataset.image_shape(self.manifest, config), (4, 4, 3))

    def test_floats_are_scaled(self):
        for config in (self._config(flip=True), self._config(**_AUGMENTED)):
            whole = self._train(2, config)
            scaled = self._train(2, config, dtype=tf.float32)
            for plain, floats in zip(whole, scaled, strict=True):
                self.assertDTypeEqual(floats["image"], np.float32)
                self.assertAllEqual(floats["image"], plain["image"] / np.float32(255))

    def test_examples_by_number(self):
        config = self._config(corruption="noise")
        everything = self._eval("train", config)
        chosen = [16, 0, 5]
        picked = dataset.examples(
            self.data_dir, self.manifest, "train", np.array(chosen), config
        )
        for name in ("image", "target"):
            rows = np.concatenate([batch[name] for batch in everything])
            self.assertAllEqual(picked[name], rows[chosen])

    @parameterized.parameters("auto", "false")
    def test_batches_have_static_shapes(self, native):
        for shuffle in ("global", "blocks"):
            for keep, size in ((False, 4), (True, None)):
                settings = {"shuffle": shuffle, "native": native}
                config = self._config(keep_last_batch=keep, **settings)
                batches = dataset.train_batches(self.data_dir, self.manifest, config)
                shape = batches.element_spec["image"].shape
                self.assertEqual(shape.as_list(), [size, 8, 6, 3])

    def test_cache_changes_nothing(self):
        plain = self._config(**_AUGMENTED)
        cached = attrs.evolve(plain, cache="memory")
        self._assert_same(self._train(8, plain), self._train(8, cached))
        self._assert_same(
            self._train(4, plain, start_epoch=1, start_step=2),
            self._train(4, cached, start_epoch=1, start_step=2),
        )
        self._assert_same(self._eval(config=plain), self._eval(config=cached))

    @parameterized.parameters(
        {},
        {"flip": True},
        {"flip": True, "random_crop": 4, "shuffle": "none"},
    )
    def test_batches_taken_on_the_device_are_those_that_are_read(self, **settings):
        config = self._config(cache="device", **settings)
        cache = dataset.train_on_device(self.data_dir, self.manifest, config)
        for start in ((0, 0), (1, 2)):
            where = {"start_epoch": start[0], "start_step": start[1]}
            read = self._train(8, config, **where)
            places = dataset.train_places(self.manifest, config, at_once=3, **where)
            take = tf.function(cache.batch, jit_compile=True)
            # Of the four batches of an epoch three, then one.
            rows = [row for several in places.take(4) for row in _rows(several)]
            for batch, row in zip(read, rows, strict=False):
                self.assertAllEqual(take(row)["image"], batch["image"])
            sizes = [len(several["number"]) for several in places.take(4)]
            self.assertEqual(sizes, [3, 1, 3, 1] if start == (0, 0) else [2, 3, 1, 3])

    def test_splits_are_loaded_onto_the_device_once(self):
        config = self._config(cache="device")
        first, second = (
            dataset.train_on_device(self.data_dir, self.manifest, config)
            for _ in range(2)
        )
        self.assertIs(first.images, second.images)

    def test_the_device_may_have_too_little_memory(self):
        full = tf.errors.ResourceExhaustedError(None, None, "OOM")
        with (
            mock.patch.object(device_cache, "_splits", {}),
            mock.patch.object(tf, "concat", side_effect=full),
            self.assertRaisesRegex(
                files.UserError, "twice the 0.0 GB .*--cache=memory"
            ),
        ):
            dataset.train_on_device(self.data_dir, self.manifest, self._config())

    def test_without_shuffling_shards_keep_their_order(self):
        batches = self._train(4, self._config(shuffle="none"))
        self.assertEqual(self._keys(batches), [f"train-{i:05d}" for i in range(16)])

    def test_corruption_keeps_the_clean_target(self):
        config = self._config(corruption="pixel_dropout", corruption_level=1.0)
        for batch in self._train(2, config) + self._eval(config=config):
            self.assertAllEqual(batch["image"], np.zeros_like(batch["image"]))
            self.assertGreater(batch["target"].max(), 0)
        self.assertNotIn("target", self._train(1)[0])

    def test_evaluation_reads_everything_in_order(self):
        batches = self._eval(fields=("key",))
        self.assertEqual([len(b["key"]) for b in batches], [4, 3])
        images = np.concatenate([b["image"] for b in batches])
        self.assertAllEqual(images, self.images["validation"])
        self.assertEqual(images.dtype, np.uint8)

    @parameterized.parameters(1, 2, 3, 10)
    def test_evaluation_of_every_nth(self, every):
        batches = self._eval(every=every, config=self._config(batch_size=2))
        images = np.concatenate([batch["image"] for batch in batches])
        self.assertAllEqual(images, self.images["validation"][::every])

    def test_evaluation_is_not_augmented_and_always_the_same(self):
        config = self._config(flip=True, brightness=0.5)
        images = np.concatenate([b["image"] for b in self._eval(config=config)])
        self.assertAllEqual(images, self.images["validation"])
        noisy = self._config(corruption="noise")
        self._assert_same(self._eval(config=noisy), self._eval(config=noisy))

    def test_evaluation_knows_its_length(self):
        batches = dataset.eval_batches(
            self.data_dir, self.manifest, "validation", self._config()
        )
        self.assertEqual(batches.cardinality(), 2)

    def test_workers_read_the_batches_in_turn_and_as_many(self):
        whole = self._eval()
        shares = [self._eval(worker=(index, 3)) for index in range(3)]
        self.assertEqual({len(share) for share in shares}, {-(-len(whole) // 3)})
        for number, batch in enumerate(whole):
            got = shares[number % 3][number // 3]
            self.assertAllEqual(got["image"], batch["image"])
        # What there is no batch for reads the first image.
        self.assertAllEqual(shares[2][-1]["image"], whole[0]["image"][:1])

    def test_fields_on_request(self):
        fields = ("key", "label", "attributes", "landmarks", "identity")
        batch = self._eval("test", fields=fields)[0]
        self.assertAllEqual(batch["label"], [0, 1])
        self.assertAllEqual(batch["attributes"], [[0, 1], [1, 1]])
        self.assertAllEqual(batch["landmarks"], [[0, 0], [1, -1]])
        self.assertAllEqual(batch["identity"], [100, 101])
        self.assertEqual(set(self._eval("test")[0]), {"image"})

    @parameterized.parameters("jpeg", "png", "raw")
    def test_encodings(self, encoding):
        data_dir = self.create_tempdir().full_path
        manifest, images = shard_fixtures.write(
            data_dir, {"train": (4,)}, encoding=encoding
        )
        batches = dataset.eval_batches(data_dir, manifest, "train", self._config())
        (batch,) = batches.as_numpy_iterator()
        if encoding == "jpeg":
            self.assertAllEqual(batch["image"].shape, images["train"].shape)
        else:
            self.assertAllEqual(batch["image"], images["train"])


class DamageTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data_dir = self.create_tempdir().full_path
        self.manifest, self.images = shard_fixtures.write(
            self.data_dir, {"train": (5, 7)}, annotated=False
        )
        self.split = self.manifest.split("train")

    def _path(self, shard):
        return os.path.join(self.data_dir, self.split.shards[shard].file)

    def _flip_a_bit(self, number):
        shard, offset, length = shards.load_index(self.data_dir, self.split)[number]
        with open(self._path(shard), "rb+") as file:
            file.seek(offset + length // 2)
            byte = file.read(1)[0]
            file.seek(offset + length // 2)
            file.write(bytes([byte ^ 4]))

    def _read(self, native="auto", **settings):
        config = config_lib.DataConfig(
            batch_size=4,
            shuffle=settings.pop("shuffle", "none"),
            native=native,
            **settings,
        )
        batches = dataset.train_batches(
            self.data_dir, self.manifest, config, fields=("key",)
        )
        return list(itertools.islice(batches.as_numpy_iterator(), 6))

    @parameterized.product(native=("auto", "false"), shuffle=("none", "blocks"))
    def test_a_flipped_bit_is_named(self, native, shuffle):
        self._flip_a_bit(6)
        with self.assertRaises(tf.errors.OpError) as caught:
            self._read(native, shuffle=shuffle)
        self.assertRegex(
            bad_records.sentence(caught.exception),
            rf"record 1 of {self.split.shards[1].file} \(key train-00006\): its ",
        )

    @parameterized.parameters("auto", "false")
    def test_bad_records_are_skipped_as_far_as_allowed(self, native):
        for number in (0, 6, 7):
            self._flip_a_bit(number)
        with self.assertLogs(level="WARNING") as logs:
            batches = self._read(native, max_bad_records=3)
        # Each is counted once, however often it comes by.
        self.assertLen(logs.output, 3)
        self.assertIn("skipping damaged record 3 of at most 3", logs.output[-1])
        keys = [int(key[-2:]) for batch in batches for key in batch["key"]]
        self.assertEqual(keys, 2 * [1, 1, 2, 3, 4, 5, 5, 5, 8, 9, 10, 11])
        for batch in batches:
            numbers = [int(key[-2:]) for key in batch["key"]]
            self.assertAllEqual(batch["image"], self.images["train"][numbers])
        with self.assertRaisesRegex(tf.errors.OpError, "at most 2 damaged records"):
            self._read(native, max_bad_records=2)

    @parameterized.product(native=("auto", "false"), shuffle=("none", "blocks"))
    def test_a_cut_shard_is_named_or_skipped(self, native, shuffle):
        shard, offset, _ = shards.load_index(self.data_dir, self.split)[10]
        with open(self._path(shard), "rb+") as file:
            file.truncate(offset + 3)
        with self.assertRaisesRegex(
            files.UserError, r"record 5 and those after it, up to key train-00011, are"
        ):
            self._read(native, shuffle=shuffle)
        batches = self._read(native, shuffle=shuffle, max_bad_records=2)
        keys = {key.decode() for batch in batches for key in batch["key"]}
        self.assertEqual(keys, {f"train-{i:05d}" for i in range(10)})

    def test_an_altered_index_is_refused(self):
        path = os.path.join(self.data_dir, self.split.index)
        index = np.load(path)
        index[3, 1] += 1
        np.save(path, index)
        with self.assertRaisesRegex(files.UserError, f"{self.split.index}.* altered"):
            self._read()
        os.remove(path)
        with self.assertRaisesRegex(files.UserError, "can't be read"):
            self._read()


class BadInputTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.data_dir = self.create_tempdir().full_path
        self.manifest, _ = shard_fixtures.write(
            self.data_dir, {"train": (5, 4)}, annotated=False
        )

    def _read(self, **changes):
        options = {"fields": changes.pop("fields", ())}
        options |= {
            k: changes.pop(k) for k in ("replica", "start_step") if k in changes
        }
        config = config_lib.DataConfig(**{"batch_size": 4, **changes})
        dataset.image_shape(self.manifest, config)
        dataset.train_batches(self.data_dir, self.manifest, config, **options)

    @parameterized.parameters(
        ({"batch_size": 10}, r"batch of 10 training images, received 9 images\. Lower"),
        ({"fields": ("label",)}, r"fields out of \['key'\].*received \['label'\]"),
        ({"start_step": 3}, r"begin at in \[0, 2\], received 3\."),
        ({"start_step": -1}, r"begin at in \[0, 2\], received -1\."),
        ({"random_crop": 7}, r"random_crop of at most 6 pixels.* received 7"),
        ({"replica": (0, 3)}, "Make it a multiple of 3"),
        ({"replica": (0, 2), "keep_last_batch": True}, "Leave keep_last_batch off"),
    )
    def test_refuses(self, changes, message):
        with self.assertRaisesRegex(files.UserError, message):
            self._read(**changes)

    def test_unknown_split(self):
        with self.assertRaisesRegex(files.UserError, r"\['train'\], received 'exam'"):
            dataset.eval_batches(
                self.data_dir, self.manifest, "exam", config_lib.DataConfig()
            )

    def test_missing_shard_is_named(self):
        file = self.manifest.splits["train"].shards[1].file
        os.remove(os.path.join(self.data_dir, file))
        with self.assertRaisesRegex(files.UserError, f"{file} .*is missing"):
            self._read()


if __name__ == "__main__":
    tf.test.main()
