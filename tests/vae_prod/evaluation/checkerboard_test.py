import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.evaluation import checkerboard, resampling

_SHAPE = (48, 48, 3)


def _noise(num: int = 200, deviation: float = 0.1, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0.5, deviation, (num, *_SHAPE)).astype(np.float32)


def _pattern(period: int, amplitude: float) -> np.ndarray:
    """Return waves along both axes: float32 [48, 48, 1]."""
    wave = np.cos(2 * np.pi * np.arange(48) / period)
    return (amplitude * (wave[:, None] + wave))[..., None].astype(np.float32)


def _spectrum(images: np.ndarray, batch_size: int = 1000) -> checkerboard.Spectrum:
    spectrum = checkerboard.Spectrum(images.shape[1:])
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        counts = resampling.counts(1, resampling.REAL, start, len(batch))
        spectrum.add(batch, counts)
    return spectrum


class SpectrumTest(tf.test.TestCase):
    def test_white_noise_has_its_variance_everywhere(self):
        power = _spectrum(_noise(1000)).power.value
        self.assertAllEqual(power.shape, (48, 48))
        inner = power[3:45, 3:45]  # Without the mean's line.
        # Four standard errors of 3,000 exponentially distributed powers.
        self.assertAllClose(inner, np.full_like(inner, 0.01), atol=0.01 * 5 / 54)

    def test_is_the_whole_plane(self):
        images = _noise(3)
        rows, columns = (np.hanning(49)[:-1] for _ in range(2))
        window = np.outer(rows, columns)[..., None]
        expected = np.abs(np.fft.fft2(images * window, axes=(1, 2))) ** 2
        expected = expected.mean(axis=(0, 3)) / np.square(window).sum()
        power = _spectrum(images, 2).power.value
        self.assertAllClose(power, expected, rtol=1e-4, atol=1e-9)


class CheckerboardTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ((2, 2, 2, 2), (96, 96, 3), [2, 4, 8, 16]),
        ((2, 2, 2), (32, 32, 1), [2, 4]),
        ((1, 2, 1, 3), (36, 36, 3), [2, 6]),
        ((2, 2), (24, 48, 3), [2, 4]),
        ((2,), (8, 8, 3), []),
        ((1, 1), (8, 8, 3), []),
    )
    def test_periods(self, strides, shape, expected):
        self.assertEqual(checkerboard.periods(strides, shape), expected)

    def test_equal_images(self):
        spectrum = _spectrum(_noise())
        for board in checkerboard.compare(spectrum, spectrum, [2, 4, 8]):
            for figure in (board.energy, board.excess):
                self.assertEqual(figure.interval, (0.0, 0.0))
            self.assertAllClose(board.real_excess.value, 0.0, atol=0.3)

    @parameterized.parameters(2, 4, 8)
    def test_known_energy_of_a_pattern(self, period):
        real, amplitude = _noise(), 0.05
        decoded = real + _pattern(period, amplitude)
        boards = checkerboard.compare(_spectrum(decoded), _spectrum(real), [2, 4, 8])
        measured = {board.period: board for board in boards}
        # A wave of the period has energy at its own frequency and, unless that is the
        # highest one, as much at the opposite one: amplitude^2 N at the former, a
        # quarter at each of the latter, N pixels. Hann's window spreads it over 3x3
        # bins, in all by the window's mean square over its squared mean, 1.5^2, and
        # normalises by its energy.
        lines = 2 * amplitude**2 * (1 if period == 2 else 2 / 4) * 48 * 48
        places = period**2 - (period // 2) ** 2
        background = 0.01 + 1 / (12 * 255**2)
        expected = 1 + lines / (9 * places) / background
        energy, excess = measured[period].energy, measured[period].excess
        self.assertAllClose(energy.value, 10 * np.log10(expected), atol=0.2)
        self.assertAllClose(excess.value, 10 * np.log10(expected), atol=0.2)
        self.assertGreater(excess.interval[0], 3.0)
        for other in {2, 4, 8} - {period}:
            self.assertAllClose(measured[other].excess.value, 0.0, atol=0.2)

    def test_blur_lowers_the_energy_and_leaves_the_excess(self):
        real = _noise()
        blurred = 0.5 + 0.2 * (real - 0.5)
        (board,) = checkerboard.compare(_spectrum(blurred), _spectrum(real), [2])
        self.assertAllClose(board.energy.value, 20 * np.log10(0.2), atol=0.1)
        self.assertAllClose(board.excess.value, 0.0, atol=0.1)

    def test_below_a_grey_level_there_is_nothing_to_see(self):
        flat = np.full((2, *_SHAPE), 0.5, np.float32)
        decoded = flat + _pattern(2, 1e-5)
        (board,) = checkerboard.compare(_spectrum(decoded), _spectrum(flat), [2])
        self.assertLess(board.excess.value, 0.1)
        (board,) = checkerboard.compare(
            _spectrum(flat + _pattern(2, 0.01)), _spectrum(flat), [2]
        )
        self.assertGreater(board.excess.value, 20.0)


if __name__ == "__main__":
    tf.test.main()
