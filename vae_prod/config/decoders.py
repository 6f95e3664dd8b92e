"""How a decoder enlarges its maps, by name.

A table without TensorFlow. `model.networks` builds the layers by the same names.
"""

import attrs


@attrs.frozen
class Decoder:
    """What is known of a decoder before it is built.

    Attributes:
        text: How it enlarges maps, for `--help`.
        label: Its name in a narrow column.
    """

    text: str
    label: str


DECODERS = {
    "conv2d_transpose": Decoder("by transposed convolutions", "transpose"),
    "upsampling": Decoder(
        "by upsampling, each followed by a convolution", "upsampling"
    ),
}
