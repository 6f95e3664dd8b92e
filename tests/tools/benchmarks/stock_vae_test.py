import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from tools.benchmarks import stock_vae
from vae_prod import config as config_lib
from vae_prod.training import building

# Next to no noise, as the two models draw it differently.
_QUIET = 1e-9


def _pair(**changes):
    """Return the stock model and ours, with the same weights."""
    config = tiny.config(epsilon_limit=_QUIET, **changes)
    train_config = config_lib.TrainConfig(learning_rate=1e-2)
    stock = stock_vae.build(config, train_config)
    ours = building.build(config, train_config)
    rng = np.random.default_rng(1)
    # By name: the order of the two heads differs.
    theirs = {weight.path: weight for weight in _weights(stock)}
    for weight in _weights(ours):
        # Biases begin at 0, scales at 1: nothing must hide behind that.
        weight.assign(weight + rng.uniform(-0.1, 0.1, weight.shape))
        theirs.pop(weight.path).assign(weight)
    assert not theirs
    return stock, ours


def _weights(model):
    return model.encoder.weights + model.decoder.weights


def _losses(model, batches):
    """Take a step on each batch; return the mean losses after each."""
    model.make_train_function()
    iterator = iter(batches)
    count = range(len(batches))
    return [float(model.train_function(iterator)["total_loss"]) for _ in count]


class StockVAETest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        {"decoder": "conv2d_transpose", "fact": 2.0},
        {"decoder": "upsampling", "kernel_sizes": (5, 3), "strides": (1, 2)},
        {"decoder": "conv2d_transpose", "batch_norm": False},
    )
    def test_computes_what_ours_does(self, **changes):
        stock, ours = _pair(**changes)
        expected = _losses(stock, tiny.batches(3))
        # Equal up to the round-off of other kernels, which Adam's steps enlarge.
        self.assertAllClose(_losses(ours, tiny.batches(3)), expected, rtol=1e-4)
        self.assertNotAllClose(expected[0], expected[2], rtol=1e-3)

    @parameterized.parameters("conv2d_transpose", "upsampling")
    def test_parameters_of_the_reference(self, decoder):
        config = config_lib.ModelConfig(decoder=decoder)
        model = stock_vae.build(config, config_lib.TrainConfig())
        self.assertEqual(model.encoder.count_params(), 5_109_440)
        self.assertEqual(model.decoder.count_params(), 2_757_571)

    @parameterized.parameters("bfloat16", "float16")
    def test_low_precision(self, precision):
        train_config = config_lib.TrainConfig(mixed_precision=precision)
        model = stock_vae.build(tiny.config(), train_config)
        self.assertEqual(model.decoder.output.dtype, precision)
        for head in model.encoder.outputs:
            self.assertEqual(head.dtype, "float32")
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self.assertEqual(scaled, precision == "float16")

    def test_is_compiled_on_demand(self):
        train_config = config_lib.TrainConfig(jit_compile="true")
        self.assertTrue(stock_vae.build(tiny.config(), train_config).jit_compile)

    def test_noise(self):
        model = stock_vae.build(tiny.config(), config_lib.TrainConfig())
        images = tiny.images()
        self.assertNotAllClose(*(model.losses_of(images)[0] for _ in range(2)))

    def test_refuses_what_it_does_not_follow(self):
        with self.assertRaisesRegex(ValueError, "follows only image_shape, z_dim"):
            stock_vae.build(tiny.config(mode="ae"), config_lib.TrainConfig())


if __name__ == "__main__":
    tf.test.main()
