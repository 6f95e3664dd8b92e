import os
import signal
import subprocess
import sys

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import files
from pipelines.converting import source as source_lib
from pipelines.converting import workers

_TASK = workers.Task(config_lib.ConvertConfig(image_size=8, encoding="raw"), (8, 8, 1))


def _items(num):
    pixels = np.zeros((8, 8), np.uint8)
    return [source_lib.Stored(str(n), pixels + np.uint8(n % 256)) for n in range(num)]


@attrs.frozen
class _Deadly:
    """An item that kills the worker it is loaded in."""

    key: str = "deadly"

    def load(self):
        os.kill(os.getpid(), signal.SIGKILL)


class WorkersTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(1, 2)
    def test_order_is_kept(self, num_workers):
        with workers.start(num_workers) as run:
            prepared = list(run(_TASK, _items(300), 32))
        self.assertEqual([one.key for one in prepared], [str(n) for n in range(300)])
        for number, one in enumerate(prepared):
            example = tf.train.Example.FromString(one.record)
            stored = example.features.feature["image"].bytes_list.value[0]
            self.assertEqual(stored, bytes([number % 256]) * 64)

    def test_few_items_are_under_way(self):
        taken = []

        def stream():
            for item in _items(5000):
                taken.append(item.key)
                yield item

        with workers.start(2) as run:
            next(run(_TASK, stream(), 32))
            self.assertLess(len(taken), 300)

    @parameterized.parameters(1, 2)
    def test_bad_image_is_an_outcome(self, num_workers):
        stream = [source_lib.Stored("a.jpg", b"hello"), *_items(1)]
        with workers.start(num_workers) as run:
            bad, good = run(_TASK, stream, 32)
        self.assertStartsWith(bad.error, "a.jpg: not an image")
        self.assertEqual(good.error, "")

    @parameterized.parameters(1, 2)
    def test_unfit_image_ends_the_work(self, num_workers):
        task = workers.Task(config_lib.ConvertConfig(image_size=8, crop="9"), (8, 8, 1))
        with (
            workers.start(num_workers) as run,
            self.assertRaisesRegex(files.UserError, "^3: Expected .* 9 x 9 pixels"),
        ):
            list(run(task, _items(4)[3:], 32))

    def test_killed_worker_is_an_error(self):
        with (
            workers.start(2) as run,
            self.assertRaisesRegex(files.UserError, "one ended abruptly"),
        ):
            list(run(_TASK, [*_items(100), _Deadly()], 32))

    def test_chunks_shrink_with_the_images(self):
        large = attrs.evolve(_TASK, shape=(1024, 1024, 3))
        self.assertEqual((_TASK.chunk_size, large.chunk_size), (32, 2))

    def test_workers_do_without_tensorflow(self):
        code = "import pipelines.converting.workers, pipelines.sources, sys; "
        code += "sys.exit('tensorflow' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    tf.test.main()
