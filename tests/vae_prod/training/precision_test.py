from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import hardware
from vae_prod import config as config_lib
from vae_prod.core import processor
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import precision

_UNITS, _WIDE, _PLAIN = ["avx2", "avx512f", "avx512_bf16"], ["avx512f"], ["avx2"]


def _gpu(*capability):
    """Take the device for a GPU of a compute capability."""
    device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    details = {"compute_capability": capability} if capability else {}
    return (
        mock.patch.object(tf.config, "list_physical_devices", return_value=[device]),
        mock.patch.object(
            tf.config.experimental, "get_device_details", return_value=details
        ),
    )


class PrecisionTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("float32", [], ""),
        ("bfloat16", _UNITS, ""),
        ("bfloat16", ["bf16"], ""),
        ("bfloat16", _WIDE, "emulates bfloat16: steps take about 2 times"),
        ("bfloat16", _PLAIN, "emulates bfloat16: steps take about 8 times"),
        ("bfloat16", [], "about 8 times.*--mixed_precision=float32"),
        ("float16", _UNITS, "emulates float16"),
        ("float16", ["avx512_fp16"], ""),
    )
    def test_processors(self, name, instruction_sets, expected):
        with hardware.on_processor(*instruction_sets):
            told = precision.emulation(name, cpu_only=True)
            native = precision.is_native(name, cpu_only=True)
        self.assertRegex(told, expected or "^$")
        self.assertEqual(native, expected == "")

    @parameterized.parameters(
        ("bfloat16", (9, 0), ""),
        ("bfloat16", (7, 5), "no units for bfloat16"),
        ("float16", (7, 5), ""),
        ("float16", (6, 1), "no units for float16; try --mixed_precision=float32"),
        ("float32", (3, 5), ""),
        ("bfloat16", (), ""),  # Of another maker, which doesn't tell.
    )
    def test_gpus(self, name, capability, expected):
        there, details = _gpu(*capability)
        with (
            there,
            details,
            mock.patch.object(processor, "instruction_sets", return_value=[]),
        ):
            self.assertRegex(precision.emulation(name), expected or "^$")
            self.assertEqual(precision.is_native(name), expected == "")
            self.assertEqual(precision.is_native("bfloat16", cpu_only=True), False)

    @parameterized.parameters(
        (_UNITS, None, "bfloat16"),
        (_PLAIN, None, "float32"),
        (_PLAIN, "bfloat16", "bfloat16"),
        (_UNITS, "float32", "float32"),
    )
    def test_auto(self, instruction_sets, recorded, expected):
        auto = config_lib.TrainConfig(mixed_precision="auto", cpu_only=True)
        old = recorded and config_lib.TrainConfig(mixed_precision=recorded)
        with hardware.on_processor(*instruction_sets):
            resolved = precision.resolve(auto, old)
        self.assertEqual(resolved.mixed_precision, expected)

    def test_what_is_given_stays(self):
        given = config_lib.TrainConfig(mixed_precision="bfloat16")
        with hardware.on_processor(*_PLAIN):
            self.assertEqual(precision.resolve(given, config_lib.TrainConfig()), given)

    @parameterized.parameters("auto", "bfloat16", "float32")
    def test_the_chief_decides_for_all_workers(self, name):
        def gather(flat):  # The chief has found bfloat16.
            number = list(config_lib.PRECISIONS).index("bfloat16")
            of_chief = tf.bitcast(tf.constant([number], tf.int32), tf.float32)
            return tf.stack([of_chief, flat])

        exchange = exchange_lib.Exchange(parts=2, index=1, workers=2, gather=gather)
        config = config_lib.TrainConfig(mixed_precision=name, cpu_only=True)
        with hardware.on_processor(*_PLAIN):
            if name == "float32":
                with self.assertRaisesRegex(files.UserError, "=bfloat16, the chief's"):
                    precision.resolve(config, None, exchange)
            else:
                resolved = precision.resolve(config, None, exchange)
                self.assertEqual(resolved.mixed_precision, "bfloat16")


if __name__ == "__main__":
    tf.test.main()
