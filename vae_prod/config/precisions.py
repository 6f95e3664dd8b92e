"""Precisions of the network's maps, by name, and what computes them.

A table without TensorFlow. `training.precision` asks the device that there is.
"""

from collections.abc import Collection, Mapping

import attrs

# A value of --mixed_precision that the device decides: bfloat16 or float32.
AUTO = "auto"


@attrs.frozen
class Precision:
    """What is known of a precision before there is a device.

    Attributes:
        text: What it is, for `--help`.
        policy: Keras' name of it.
        instruction_sets: Of processors, as Linux names them; one of them is enough to
            compute it. None: every processor does.
        compute_capability: Of NVIDIA's GPUs, the least whose units compute it.
        emulated: How long a train step takes elsewhere, as a multiple of float32's: by
            the instruction set of the processor, the first that it has counts; the
            empty one stands for all. Measured with the reference model.
    """

    text: str
    policy: str
    instruction_sets: tuple[str, ...] | None = None
    compute_capability: tuple[int, int] = (0, 0)
    emulated: Mapping[str, str] = attrs.field(factory=dict)

    def slower_by(self, there: Collection[str]) -> str:
        """Return how many times as long as in float32 a step takes on a processor.

        Args:
            there: Its instruction sets.

        Returns:
            A number, or two with "to" between them; empty: it has units for it.
        """
        if self.instruction_sets is None or set(self.instruction_sets) & set(there):
            return ""
        return next(f for needed, f in self.emulated.items() if needed in ("", *there))


PRECISIONS = {
    "float32": Precision("all in 32 bits", "float32"),
    "bfloat16": Precision(
        "16 bits with the range of 32",
        "mixed_bfloat16",
        ("amx_bf16", "avx512_bf16", "bf16"),
        (8, 0),
        {"avx512f": "2", "": "8"},
    ),
    "float16": Precision(
        "16 bits with a small range, and a loss scale",
        "mixed_float16",
        ("amx_fp16", "avx512_fp16"),
        (7, 0),
        {"avx512f": "6", "": "3 to 6"},
    ),
}
