import functools
import os
import pickle

import attrs
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import files, sources
from pipelines.converting import conversion, journal, plan, shard_writer
from tests.pipelines import fixtures

_CONFIG = config_lib.ConvertConfig(image_size=16, shards=3)


class ShardWriterTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.create_tempdir().full_path
        self.root = fixtures.write_celeba(os.path.join(self.folder, "source"))

    def _convert(self, out, run, config=_CONFIG):
        opener = functools.partial(sources.open_source, self.root, config)
        planned = plan.make_plan(opener(), config)
        writer = shard_writer.ShardWriter(planned, opener, out)
        write = shard_writer.write_all(writer, planned, run)
        return conversion.convert_by(write, planned, out)

    def test_any_order_any_number_of_times_gives_the_same_bytes(self):
        def run(writer, lacking):
            # Two workers, each with a copy of its own, that share out no work.
            for shards in (lacking[::-1], lacking[1:]):
                other = pickle.loads(pickle.dumps(writer))
                other.open()
                for shard in shards:
                    other.write(shard)

        apart = os.path.join(self.folder, "apart")
        self._convert(apart, run)
        alone = os.path.join(self.folder, "alone")
        source = sources.open_source(self.root, _CONFIG)
        conversion.convert(plan.make_plan(source, _CONFIG), alone)
        self.assertEqual(fixtures.read_all(apart), fixtures.read_all(alone))

    def test_what_is_finished_stays_when_the_rest_fails(self):
        written = []

        def run(writer, lacking):
            writer.open()
            for shard in lacking[:2]:
                writer.write(shard)
                written.append(shard)

        out = os.path.join(self.folder, "out")
        with self.assertRaisesRegex(files.UserError, "all 6 shards .*, 4 aren't"):
            self._convert(out, run)
        with self.assertRaisesRegex(files.UserError, "2 aren't"):
            self._convert(out, run)
        self._convert(out, run)
        self.assertLen(set(written), 6)
        self.assertLen(written, 6)

    def test_refusals_are_told_and_forgotten(self):
        path = os.path.join(self.root, "img_align_celeba", "000003.jpg")
        files.write(path, "hello")

        def run(writer, lacking):
            writer.open()
            for shard in lacking:
                writer.write(shard)

        out = os.path.join(self.folder, "out")
        with self.assertRaisesRegex(files.UserError, "found 1 so far: 000003.jpg"):
            self._convert(out, run)
        self.assertTrue(journal.Journal(out).refusals())
        self._convert(out, run, attrs.evolve(_CONFIG, max_bad_images=1))
        self.assertNotIn(journal.FOLDER, os.listdir(out))

    def test_damaged_images_of_all_shards_count_together(self):
        for name in ("000002.jpg", "000006.jpg"):
            files.write(os.path.join(self.root, "img_align_celeba", name), "hello")

        def run(writer, lacking):
            writer.open()
            for shard in lacking:
                writer.write(shard)

        config = attrs.evolve(_CONFIG, max_bad_images=1)
        with self.assertRaisesRegex(files.UserError, "at most 1 damaged .* found 2"):
            self._convert(os.path.join(self.folder, "out"), run, config)


if __name__ == "__main__":
    tf.test.main()
