"""How far one way of computing a model is from another, and what that costs."""

import collections

import attrs
import numpy as np

from vae_prod.evaluation import image_similarity
from vae_prod.model import codec as codec_lib

_BATCH_SIZE = 32


@attrs.frozen
class Comparison:
    """A codec beside the one that it should equal.

    `z_mean` and `z_log_var` are compared for the same images, `image` for the same z,
    the reference's `z_mean`: each network by itself.

    Attributes:
        largest: Name of an output to its largest absolute difference.
        mean: Name of an output to its mean absolute difference.
        size: Name of an output to the reference's largest absolute value.
        psnr: Decibels of the reconstruction, all by the codec; the mean of the
            images' own figures.
        reference_psnr: The same, all by the reference.
    """

    largest: dict[str, float]
    mean: dict[str, float]
    size: dict[str, float]
    psnr: float
    reference_psnr: float

    @property
    def psnr_change(self) -> float:
        """Decibels that the codec's reconstruction is better; worse where below 0."""
        return self.psnr - self.reference_psnr

    def beyond(self, tolerance: float) -> list[str]:
        """Name the outputs that differ by more than rounding does.

        Args:
            tolerance: Of the largest value of an output, or of 1 where all are smaller.
        """
        # Asked so that a difference that is no number is beyond, too.
        return [
            name
            for name, difference in self.largest.items()
            if not difference <= tolerance * max(1.0, self.size[name])
        ]


def compare(
    reference: codec_lib.Codec,
    other: codec_lib.Codec,
    images: np.ndarray,
    targets: np.ndarray | None = None,
) -> Comparison:
    """Compare two codecs, a batch at a time.

    Args:
        reference: What it is compared with.
        other: What is compared.
        images: uint8 [N, H, W, C], at least one.
        targets: What they should be reconstructed to, like them; themselves unless
            given.

    Returns:
        What was found.
    """
    targets = images if targets is None else targets
    largest, sums, size = (collections.defaultdict[str, float](float) for _ in range(3))
    psnr = np.zeros(2)
    for at in range(0, len(images), _BATCH_SIZE):
        batch = images[at : at + _BATCH_SIZE]
        expected = _outputs(reference, batch)
        outputs = _outputs(other, batch, expected["z_mean"])
        for name, values in expected.items():
            difference = np.abs(outputs[name] - values)
            largest[name] = np.maximum(largest[name], difference.max())
            sums[name] += difference.mean(dtype=np.float64) * len(batch)
            size[name] = np.maximum(size[name], np.abs(values).max())
        wanted = targets[at : at + _BATCH_SIZE] / np.float32(255)
        decoded = other.decode(other.encode(batch)["z_mean"])
        for number, reconstruction in enumerate((decoded, expected["image"])):
            error = np.square(reconstruction - wanted).mean(axis=(1, 2, 3))
            psnr[number] += image_similarity.psnr(error).sum()
    return Comparison(
        {name: float(value) for name, value in largest.items()},
        {name: float(value / len(images)) for name, value in sums.items()},
        {name: float(value) for name, value in size.items()},
        *map(float, psnr / len(images)),
    )


def _outputs(
    codec: codec_lib.Codec, images: np.ndarray, z: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute all outputs; the image is of z, of its own `z_mean` unless given."""
    encoded = codec.encode(images)
    return encoded | {"image": codec.decode(encoded["z_mean"] if z is None else z)}
