"""What holds on a GPU alone; elsewhere these tests are skipped."""

import pytest
import tensorflow as tf

from pipelines import config as data_config_lib
from pipelines.reading import dataset
from tests.pipelines import shard_fixtures
from tests.vae_prod import tiny
from vae_prod.core import accelerators, nvidia
from vae_prod.training import execution

pytestmark = pytest.mark.gpu


class GpuTest(tf.test.TestCase):
    def test_a_compiled_step_gives_what_the_cpu_gives(self):
        batch = next(iter(tiny.batches(1, 8)))
        found = []
        for device, jit in (("CPU:0", False), ("GPU:0", True)):
            with tf.device(device):
                model = tiny.model(jit=jit)
                step = tf.function(model.train_step, jit_compile=jit)
                metrics = [step(batch) for _ in range(3)][-1]
            found.append({name: value.numpy() for name, value in metrics.items()})
        cpu, gpu = found
        for name, value in cpu.items():
            self.assertAllClose(gpu[name], value, rtol=1e-4, atol=1e-4)

    def test_batches_wait_on_the_gpu(self):
        batches = execution.ahead(tiny.model(), tiny.batches(3))
        image = next(iter(batches))["image"]
        self.assertIn("GPU:0", image.device)
        self.assertAllEqual(image, next(iter(tiny.batches(3)))["image"])

    def test_the_cache_is_on_the_gpu(self):
        data_dir = self.create_tempdir().full_path
        manifest, images = shard_fixtures.write(data_dir, {"train": (5, 3)})
        config = data_config_lib.DataConfig(batch_size=4, cache="device")
        cache = dataset.train_on_device(data_dir, manifest, config)
        self.assertIn("GPU:0", cache.images.device)
        self.assertAllEqual(cache.images, images["train"])

    def test_is_seen(self):
        self.assertEqual(accelerators.first(), "GPU:0")
        # Without TensorFlow, too.
        self.assertTrue(nvidia.has_driver())


if __name__ == "__main__":
    tf.test.main()
