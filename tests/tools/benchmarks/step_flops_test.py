import tensorflow as tf
from absl.testing import parameterized

from tools.benchmarks import step_flops
from vae_prod import config as config_lib

# Multiplications of a pass of the reference, 96x96x3 to filters 32, 64, 128, 256:
# places x kernel x channels in x channels out.
_ENCODER = [
    48 * 48 * 9 * 3 * 32,
    24 * 24 * 9 * 32 * 64,
    12 * 12 * 9 * 64 * 128,
    6 * 6 * 9 * 128 * 256,
]
_DENSE = [9216 * 256, 9216 * 256, 256 * 9216]
# Transposed: places of the small maps.
_TRANSPOSED = [
    6 * 6 * 9 * 256 * 128,
    12 * 12 * 9 * 128 * 64,
    24 * 24 * 9 * 64 * 32,
    48 * 48 * 9 * 32 * 3,
]


class StepFlopsTest(parameterized.TestCase, tf.test.TestCase):
    def test_reference(self):
        config = config_lib.ModelConfig()
        multiplications = [*_ENCODER, *_DENSE, *_TRANSPOSED]
        found = [layer.flops for layer in step_flops.layers(config)]
        self.assertEqual(found, [2 * n for n in multiplications])
        # The images need no gradient.
        expected = 6 * sum(multiplications) - 2 * _ENCODER[0]
        self.assertEqual(step_flops.per_image(config), expected)
        self.assertEqual(expected, 444_579_840)

    def test_upsampling_is_of_the_large_maps(self):
        config = config_lib.ModelConfig(decoder="upsampling")
        found = [layer.flops for layer in step_flops.layers(config)][-4:]
        self.assertEqual(found, [2 * 4 * n for n in _TRANSPOSED])

    def test_stride_one_extra_convolution_and_autoencoder(self):
        config = config_lib.ModelConfig(
            image_shape=(8, 8, 1),
            mode="ae",
            z_dim=2,
            filters=(3, 5),
            kernel_sizes=(5, 3),
            strides=(1, 2),
            decoder_output="extra_conv",
        )
        encoder = [64 * 25 * 1 * 3, 16 * 9 * 3 * 5]
        dense = [80 * 2, 2 * 80]
        # Levels of strides 2 and 1, 5 and 3 filters; a convolution to the image.
        decoder = [16 * 9 * 5 * 5, 64 * 25 * 5 * 3, 64 * 25 * 3 * 1]
        found = [layer.flops for layer in step_flops.layers(config)]
        self.assertEqual(found, [2 * n for n in (*encoder, *dense, *decoder)])

    def test_counts_the_model_that_is_built(self):
        # Dense and convolution weights, each used once a place.
        from vae_prod.model import networks

        for decoder in ("conv2d_transpose", "upsampling"):
            config = config_lib.ModelConfig(decoder=decoder, filters=(4, 6), z_dim=3)
            kernels = [
                weight.shape.num_elements()
                for network in (networks.encoder(config), networks.decoder(config))
                for weight in (tf.convert_to_tensor(w) for w in network.weights)
                if len(weight.shape) > 1
            ]
            counted = [
                layer.kernel_area * layer.inputs * layer.outputs
                for layer in step_flops.layers(config)
            ]
            self.assertEqual(counted, kernels)


if __name__ == "__main__":
    tf.test.main()
