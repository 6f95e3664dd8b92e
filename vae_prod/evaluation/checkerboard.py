"""Checkerboard artefacts: what a decoder adds at the frequencies of its strides.

Where a decoder enlarges its maps by a stride, neighbouring pixels come from different
weights, and a pattern of the stride's period can be left (Odena, Dumoulin & Olah, 2016,
"Deconvolution and checkerboard artifacts"). In a spectrum it stands at the multiples of
one over the period, where real images have nothing out of the ordinary.

The last level's pattern has the period of its stride, in pixels; that of the level
before is enlarged with the maps, to the product of both strides; and so on.
"""

import functools
import itertools
from collections.abc import Sequence

import attrs
import numpy as np
from scipy import fft, signal

from vae_prod.evaluation import resampling

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
    energy: resampling.Estimate
    decoded_excess: resampling.Estimate
    real_excess: resampling.Estimate

    @property
    def excess(self) -> resampling.Estimate:
        """Decibels by which the pattern stands out more than in real images.

        Blur doesn't change it: 0 without artefacts, above with them.
        """
        return resampling.difference(self.decoded_excess, self.real_excess)


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
        self._half = resampling.Mean()

    def add(self, images: np.ndarray, counts: np.ndarray) -> None:
        """Add a batch.

        Args:
            images: float32 [B, H, W, C] in [0, 1].
            counts: How often each is drawn, see `resampling.counts`.
        """
        transformed = fft.rfft2(images * self._window[..., None], axes=(1, 2))
        power = np.square(transformed.real) + np.square(transformed.imag)
        self._half.add(power.mean(axis=-1), counts)

    @property
    def power(self) -> resampling.Estimate:
        """Mean power over images and channels: float64 [H, W].

        White noise has its variance in every bin; bin [i, j] is at i / H and j / W of
        the sampling rate.
        """
        return resampling.derived(self._whole, self._half.result())

    def _whole(self, half: np.ndarray) -> np.ndarray:
        """Return both halves of a plane, given [..., H, W // 2 + 1]."""
        height, width = self._window.shape
        # Real images have the same power at opposite frequencies.
        rows = -np.arange(height)[:, None]
        columns = np.arange(half.shape[-1], width)
        return np.concatenate([half, half[..., rows, width - columns]], axis=-1)


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
    powers = [spectrum.power for spectrum in (decoded, real)]
    results = []
    for shorter, period in zip([1, *periods], periods, strict=False):
        measure = functools.partial(_energies, period=period, shorter=shorter)
        energies = [resampling.derived(measure, power) for power in powers]
        results.append(
            Checkerboard(
                period,
                resampling.derived(_gain, *energies),
                *(resampling.derived(_excess, each) for each in energies),
            )
        )
    return results


def _gain(energies: np.ndarray, real: np.ndarray) -> np.ndarray:
    return _decibels(energies[..., 0] / real[..., 0])


def _excess(energies: np.ndarray) -> np.ndarray:
    return _decibels(energies[..., 0] / energies[..., 1])


def _energies(power: np.ndarray, period: int, shorter: int) -> np.ndarray:
    """Return the mean power of the lines at a period's frequencies and around them.

    Args:
        power: float64 [..., H, W].
        period: Pixels.
        shorter: The period whose frequencies are not this one's.

    Returns:
        float64 [..., 2].
    """
    power = power + _ROUNDING
    reach = np.arange(-_SURROUNDINGS, _SURROUNDINGS + 1)
    distance = np.maximum(np.abs(reach[:, None]), np.abs(reach))
    lines, around = [], []
    height, width = power.shape[-2:]
    for i, j in itertools.product(range(period), repeat=2):
        step = period // shorter
        if i % step == j % step == 0:
            continue  # A shorter period's, or the mean.
        rows = (i * height // period + reach) % height
        columns = (j * width // period + reach) % width
        near = power[..., rows[:, None], columns]
        lines.append(near[..., distance <= _LINE].mean(axis=-1))
        around.append(near[..., distance > _LINE].mean(axis=-1))
    return np.stack([np.mean(lines, axis=0), np.mean(around, axis=0)], axis=-1)


def _decibels(ratio: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(ratio)
