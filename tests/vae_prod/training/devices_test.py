import os
import subprocess
import sys
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.core import accelerators, nvidia
from vae_prod.training import devices


class DevicesTest(tf.test.TestCase, parameterized.TestCase):
    def test_what_was_compiled_is_kept(self):
        folder = os.path.join(self.create_tempdir().full_path, "cache")
        # In a process of its own: the cache is set up before anything runs.
        program = f"""
from vae_prod.training import compile_cache
compile_cache.use({folder!r})
import tensorflow as tf
tf.config.list_physical_devices()
tf.function(lambda x: tf.exp(x) + 1.0, jit_compile=True)(tf.ones([3]))
"""
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
        self.assertLen(os.listdir(folder), 1)

    @parameterized.parameters(
        ("true", False, True),
        ("false", False, False),
        ("true", True, False),
    )
    def test_resolves(self, flag, deterministic, expected):
        config = config_lib.TrainConfig(jit_compile=flag, deterministic=deterministic)
        self.assertEqual(devices.resolve_jit(config), expected)

    def test_auto_is_on_for_accelerators_alone(self):
        config = config_lib.TrainConfig(jit_compile="auto")
        self.assertEqual(devices.resolve_jit(config), bool(accelerators.visible()))

    @parameterized.parameters(
        (True, {}, "though an NVIDIA driver.*pip install"),
        (False, {}, "no NVIDIA driver"),
        (False, {"cpu_only": True}, "--cpu_only.*Give one of the two"),
    )
    def test_gpu_that_is_required_is_there(self, driver, settings, expected):
        config = config_lib.TrainConfig(require_gpu=True, **settings)
        with (
            mock.patch.object(nvidia, "has_driver", return_value=driver),
            mock.patch.object(accelerators, "visible", return_value=[]),
            self.assertRaisesRegex(files.UserError, f"--require_gpu.*{expected}"),
        ):
            devices.set_up(config)

    @parameterized.parameters(
        (1000, 25),  # The largest divisor.
        (997, 32),  # None but 1, so the last call of an epoch takes fewer.
        (7, 7),
        (1, 1),
    )
    def test_steps_of_a_call_on_an_accelerator(self, steps_per_epoch, expected):
        config = config_lib.TrainConfig()
        with mock.patch.object(accelerators, "visible", return_value=["GPU"]):
            found = devices.resolve_steps_per_execution(config, steps_per_epoch)
        self.assertEqual(found, expected)

    @parameterized.parameters(
        ({}, [], 1),
        ({"strategy": "mirrored"}, ["GPU"], 1),
        ({"jit_compile": "false"}, ["GPU"], 1),
        ({"steps_per_execution": 3}, ["GPU"], 3),
        ({"steps_per_execution": 3}, [], 3),
    )
    def test_steps_of_a_call_otherwise(self, settings, seen, expected):
        config = config_lib.TrainConfig(**settings)
        with mock.patch.object(accelerators, "visible", return_value=seen):
            found = devices.resolve_steps_per_execution(config, 1000)
        self.assertEqual(found, expected)


if __name__ == "__main__":
    tf.test.main()
