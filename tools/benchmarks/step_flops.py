"""Counts the arithmetic of a train step from the architecture, by hand's rules.

Convolutions and dense layers only: the rest is less than a hundredth. Every layer is
counted three times: forward, gradient by its weights, gradient by its input, which the
first layer has no need of. A multiplication with its addition counts as two.

The upsampling decoder counts as the textbook has it, a convolution of the enlarged
maps. There are ways to the same result with less arithmetic, so its share of a
measured ceiling may look better than the arithmetic that is done.
"""

import math
from collections.abc import Iterator

import attrs

from vae_prod import config as config_lib


@attrs.frozen
class Layer:
    """A convolution or dense layer.

    Attributes:
        positions: Places that its kernel is applied at; 1 for a dense layer.
        kernel_area: Height times width of the kernel; 1 for a dense layer.
        inputs: Channels or units in.
        outputs: Channels or units out.
    """

    positions: int
    kernel_area: int
    inputs: int
    outputs: int

    @property
    def flops(self) -> int:
        """Floating-point operations of one pass over one image."""
        return 2 * self.positions * self.kernel_area * self.inputs * self.outputs


def layers(config: config_lib.ModelConfig) -> list[Layer]:
    """Return all layers in order, from the image to its logits.

    Args:
        config: A model of plain blocks, without a dense layer before the heads.
    """
    height, width, channels = config.image_shape
    smallest = height * width // math.prod(config.level_strides) ** 2
    flat = smallest * config.filters[-1]
    heads = [Layer(1, 1, flat, config.z_dim)] * (2 if config.is_vae else 1)
    return [
        *_encoder(config, height * width, channels),
        *heads,
        Layer(1, 1, config.z_dim, flat),
        *_decoder(config, smallest, channels),
    ]


def _encoder(config, area: int, inputs: int) -> Iterator[Layer]:
    levels = zip(
        config.filters, config.level_kernel_sizes, config.level_strides, strict=True
    )
    for filters, kernel_size, stride in levels:
        area //= stride**2
        yield Layer(area, kernel_size**2, inputs, filters)
        inputs = filters


def _decoder(config, area: int, channels: int) -> Iterator[Layer]:
    inputs, kernel_sizes = config.filters[-1], config.level_kernel_sizes[::-1]
    extra = config.decoder_output == "extra_conv"
    all_filters = config.level_decoder_filters + (() if extra else (channels,))
    levels = zip(all_filters, kernel_sizes, config.level_strides[::-1], strict=True)
    for filters, kernel_size, stride in levels:
        # A transposed convolution applies its kernel to each place of the small maps.
        small, area = area, area * stride**2
        positions = small if config.decoder == "conv2d_transpose" else area
        yield Layer(positions, kernel_size**2, inputs, filters)
        inputs = filters
    if extra:
        yield Layer(area, kernel_sizes[-1] ** 2, inputs, channels)


def per_image(config: config_lib.ModelConfig) -> int:
    """Return the floating-point operations of a train step for one image."""
    first, *others = (layer.flops for layer in layers(config))
    return 2 * first + 3 * sum(others)
