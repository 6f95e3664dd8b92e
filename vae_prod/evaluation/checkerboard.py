"""Checkerboard artefacts: what a decoder adds at the frequencies of its strides.

Where a decoder enlarges its maps by a stride, neighbouring pixels come from different
weights, and a pattern of the stride's period can be left (Odena, Dumoulin & Olah, 2016,
"Deconvolution and checkerboard artifacts"). In a spectrum it stands at the multiples of
one over the period, where real images have nothing out of the ordinary.

The last level's pattern has the period of its stride, in pixels; that of the level
before is enlarged with the maps, to the product of both strides; and so on.
"""

import itertools
import math
from collections.abc import Sequence

import attrs
import numpy as np
from scipy import fft, signal

# In bins of the spectrum. A line in a windowed spectrum reaches to its neighbours; what
# it is compared with lies around it, up to three bins away.
_LINE, _SURROUNDINGS = 1, 3
# Power that rounding to 256 grey levels has; below it there is nothing to see.
_ROUNDING = 1 / (12 * 255**2)


@attrs.frozen
class Checkerboard:
    """How much of one period there is in decoded images, against real ones.

    Attributes:
        period: Pixels.
        energy: Decibels, energy at the period's frequencies over that of real images.
            Negative where images are blurred, with a pattern or without.
        decoded_excess: Decibels, energy of decoded images at these frequencies over
            that of the frequencies around them. 0: no pattern.
        real_excess: The same of real images.
    """

    period: int
    energy: float
    decoded_excess: float
    real_excess: float

    @property
    def excess(self) -> float:
        """Decibels by which the pattern stands out more than in real images.

        Blur doesn't change it: 0 without artefacts, above with them.
        """
        return self.decoded_excess - self.real_excess


class Spectrum:
    """The mean power spectrum of images that arrive in batches of any size.

    Args:
        image_shape: (height, width, channels).
    """

    def __init__(self, image_shape: tuple[int, int, int]):
        height, width, _ = image_shape
        # Of Hann's windows a line has three bins, and none beyond.
        rows, columns = (signal.windows.hann(n, sym=False) for n in (height, width))
        window = np.outer(rows, columns)
        self._window = (window / np.sqrt(np.square(window).sum())).astype(np.float32)
        self._count = 0
        self._sum = 0.0

    def add(self, images: np.ndarray) -> None:
        """Add a batch, float32 [B, H, W, C] in [0, 1]."""
        transformed = fft.rfft2(images * self._window[..., None], axes=(1, 2))
        power = np.square(transformed.real) + np.square(transformed.imag)
        self._sum = self._sum + power.mean(axis=-1).sum(axis=0, dtype=np.float64)
        self._count += len(images)

    @property
    def power(self) -> np.ndarray:
        """Mean power over images and channels: float64 [H, W].

        White noise has its variance in every bin; bin [i, j] is at i / H and j / W of
        the sampling rate.
        """
        half = self._sum / self._count  # [H, W // 2 + 1]
        height, width = self._window.shape
        # Real images have the same power at opposite frequencies.
        rows = -np.arange(height)[:, None]
        columns = np.arange(half.shape[1], width)
        return np.concatenate([half, half[rows, width - columns]], axis=1)


def periods(strides: Sequence[int], image_shape: tuple[int, int, int]) -> list[int]:
    """Return the periods in pixels that artefacts of a decoder can have.

    Args:
        strides: The encoder's, first level first, which the decoder mirrors.
        image_shape: (height, width, channels). Periods of which a side holds fewer than
            6 are left out: there, frequencies between theirs are missing.
    """
    products = itertools.accumulate(strides, lambda one, other: one * other)
    least = 2 * _SURROUNDINGS
    return sorted({n for n in products if 1 < n <= min(image_shape[:2]) // least})


def compare(
    decoded: Spectrum, real: Spectrum, periods: Sequence[int]
) -> list[Checkerboard]:
    """Compare decoded with real images at the frequencies of each period.

    Args:
        decoded: Spectrum of decoder outputs.
        real: Spectrum of real images, at best those that the others reconstruct.
        periods: Pixels, ascending, each a multiple of the one before and a divisor of
            the images' sides. A period's frequencies are those that the ones before it
            haven't.

    Returns:
        A comparison for each period.
    """
    powers = [spectrum.power + _ROUNDING for spectrum in (decoded, real)]
    results = []
    for shorter, period in zip([1, *periods], periods, strict=False):
        (line, around), (real_line, real_around) = (
            _energies(power, period, shorter) for power in powers
        )
        results.append(
            Checkerboard(
                period,
                _decibels(line / real_line),
                _decibels(line / around),
                _decibels(real_line / real_around),
            )
        )
    return results


def _energies(power: np.ndarray, period: int, shorter: int) -> tuple[float, float]:
    """Return the mean power of the lines at a period's frequencies and around them."""
    reach = np.arange(-_SURROUNDINGS, _SURROUNDINGS + 1)
    distance = np.maximum(np.abs(reach[:, None]), np.abs(reach))
    lines, around = [], []
    height, width = power.shape
    for i, j in itertools.product(range(period), repeat=2):
        step = period // shorter
        if i % step == j % step == 0:
            continue  # A shorter period's, or the mean.
        rows = (i * height // period + reach) % height
        columns = (j * width // period + reach) % width
        near = power[np.ix_(rows, columns)]
        lines.append(near[distance <= _LINE].mean())
        around.append(near[distance > _LINE].mean())
    return float(np.mean(lines)), float(np.mean(around))


def _decibels(ratio: float) -> float:
    return 10.0 * math.log10(ratio)
