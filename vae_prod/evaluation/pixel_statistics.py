"""What sets of images look like at a glance: brightness, contrast, colour, detail.

Unlike distances of normalised patches or features these say plainly in which way a
model's images differ from real ones: duller, paler, blurrier, noisier.
"""

from collections.abc import Mapping

import numpy as np

from vae_prod.evaluation import held_out, resampling

STATISTICS = ("brightness", "contrast", "saturation", "detail")
# Spatial frequencies that are detail: the highest octave, in cycles a pixel.
_FINE = 0.25
# Mean square below which power is only rounding, a tenth of a grey level.
_ROUNDING = (0.1 / 255) ** 2


def of_images(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return each image's statistics.

    Args:
        images: float32 [B, H, W, C] in [0, 1].

    Returns:
        `brightness`, the mean; `contrast`, the deviation of grey over the image;
        `saturation`, the mean difference of the highest and the lowest channel, 0 of
        grey images; `detail`, the mean square of grey's frequencies of a period of two
        to four pixels, in dB of 1. Each float64 [B].
    """
    grey = images.mean(axis=-1, dtype=np.float64)
    return {
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        "saturation": np.ptp(images, axis=-1).mean(axis=(1, 2), dtype=np.float64),
        "detail": 10 * np.log10(_fine_power(grey) + _ROUNDING),
    }


def _fine_power(grey: np.ndarray) -> np.ndarray:
    """Return the mean square of an image's highest octave: float64 [B]."""
    height, width = grey.shape[1:]
    # A window, for what differs at opposite edges is no detail.
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]
    spectrum = np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    power = np.square(np.abs(spectrum))[:, frequencies >= _FINE].sum(axis=1)
    return power / (grey[0].size * np.square(window).sum())


class PixelStatistics:
    """How samples and reconstructions differ from real images, of the first ones.

    Args:
        limit: Images of each kind, at most.
        seed: Of the bootstrap.
    """

    def __init__(self, limit: int, seed: int):
        self._limit = limit
        self._seed = seed
        self._means = {
            kind: {name: resampling.Mean() for name in STATISTICS}
            for kind in ("real", "sample", "reconstruction")
        }

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, its reconstructions from z_mean, and as many samples."""
        size = min(len(batch), self._limit - batch.first)
        if size <= 0:
            return
        images = {
            "real": batch.clean[:size],
            "sample": batch.samples(size),
            "reconstruction": batch.reconstructions[:size],
        }
        generated = resampling.GENERATED
        drawn = resampling.counts(self._seed, generated, batch.first, size)
        for kind, means in self._means.items():
            counts = drawn if kind == "sample" else batch.counts[:size]
            for name, values in of_images(images[kind]).items():
                means[name].add(values, counts)

    def result(self) -> Mapping[str, resampling.Estimate]:
        """Return mean differences from real images by name, such as sample_contrast."""
        real = {name: mean.result() for name, mean in self._means["real"].items()}
        return {
            f"{kind}_{name}": resampling.difference(
                self._means[kind][name].result(), real[name]
            )
            for kind in ("sample", "reconstruction")
            for name in STATISTICS
        }
