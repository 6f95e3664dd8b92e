import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config


class ModelConfigTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ({"fact": -1.0}, "'fact' must be >= 0"),
        ({"filters": ()}, "'filters' must name at least one level"),
        ({"strides": (2, 2, 2)}, "'strides' must hold one number or 2"),
        ({"kernel_sizes": (3, 3, 3)}, "'kernel_sizes' must hold one number or 2"),
        ({"strides": (3,)}, r"need an image size divisible by 9, received 8x8"),
        ({"decoder_filters": (4, 4)}, "'decoder_filters' must hold 1 numbers"),
        ({"decoder": "magic"}, "'decoder' must be in"),
        ({"image_shape": (8, 8, 2)}, "1 or 3 channels, received 2"),
        ({"dropout": 1.0}, "'dropout' must be < 1"),
        ({"z_dim": 0}, "'z_dim' must be >= 1"),
        ({"divergence": "mmd", "free_bits": 0.1}, "'free_bits' are of the KL loss"),
        ({"group_norm": 3}, "must divide the filters .* 3 groups for 4 filters"),
    )
    def test_refuses(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            tiny.config(**changes)

    def test_one_kernel_size_and_stride_serve_every_level(self):
        settings = tiny.config(kernel_sizes=(5,), strides=(2, 1))
        self.assertEqual(settings.level_kernel_sizes, (5, 5))
        self.assertEqual(settings.level_strides, (2, 1))

    @parameterized.parameters(("last", (64, 32)), ("extra_conv", (128, 64, 32)))
    def test_decoder_mirrors_the_encoder(self, output, expected):
        settings = config.ModelConfig(filters=(32, 64, 128), decoder_output=output)
        self.assertEqual(settings.level_decoder_filters, expected)

    def test_every_flag_has_help(self):
        for kind in (config.ModelConfig, config.TrainConfig):
            for field in attrs.fields(kind):
                if field.name != "image_shape":
                    self.assertNotEmpty(field.metadata["help"], field.name)


class TrainConfigTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(((2,), "a first and a last"), ((4, 2), "isn't after"))
    def test_refuses_profiles_of_no_steps(self, steps, message):
        with self.assertRaisesRegex(ValueError, f"'profile_steps' .*{message}"):
            config.TrainConfig(profile_steps=steps)

    @parameterized.parameters(
        ("gradient_accumulation", 6, 7), ("profile_steps", (6, 9), (7, 9))
    )
    def test_refuses_runs_that_are_too_short_for_it(self, name, fits, does_not):
        config.check_steps(config.TrainConfig(**{name: fits}), 6)
        with self.assertRaisesRegex(files.UserError, f"--{name} within the 6 .* 7: "):
            config.check_steps(config.TrainConfig(**{name: does_not}), 6)

    @parameterized.parameters(
        ({"fact_schedule": "linear", "fact_warmup_steps": 40}, {}, "^fact reaches 50%"),
        ({}, {"learning_rate_warmup_steps": 80}, "^the learning rate reaches 25%"),
        (
            {},
            {"learning_rate_warmup_steps": 20, "gradient_accumulation": 4},
            "reaches 25%",
        ),
        ({"fact_schedule": "linear", "fact_warmup_steps": 20}, {}, "^$"),
        ({"fact_warmup_steps": 40}, {"learning_rate_warmup_steps": 20}, "^$"),
        ({"mode": "ae", "fact_schedule": "linear"}, {}, "^$"),
    )
    def test_names_warm_ups_that_do_not_end(self, model, train, text):
        told = config.unfinished(tiny.config(**model), config.TrainConfig(**train), 20)
        self.assertRegex(told, text)


class CheckPrecisionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        upsampling=("nearest", "bilinear"),
        precision=("float32", "bfloat16", "float16"),
        jit=(False, True),
        cpu=(False, True),
    )
    def test_refuses_one_combination_only(self, upsampling, precision, jit, cpu):
        model = tiny.config(decoder="upsampling", upsampling=upsampling)
        train = config.TrainConfig(mixed_precision=precision)
        low = precision != "float32"
        if upsampling == "bilinear" and low and jit and cpu:
            with self.assertRaisesRegex(files.UserError, "--upsampling=nearest"):
                config.check_precision(model, train, jit, cpu)
        else:
            config.check_precision(model, train, jit, cpu)


if __name__ == "__main__":
    tf.test.main()
