import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.reporting import latent_charts


def _counts(peak: int) -> np.ndarray:
    counts = np.zeros(60, int)
    counts[peak - 2 : peak + 3] = (10, 20, 40, 20, 10)
    return counts


def _radii(*peaks: int) -> np.ndarray:
    counts = {f"model {peak}": _counts(peak) for peak in peaks}
    return latent_charts.radius_histogram(counts, z_dim=16)


def _coordinates(shift: int) -> np.ndarray:
    return latent_charts.coordinates(
        np.linspace(-3, 3, 61), np.tile(_counts(shift), (9, 1))
    )


def _inertia(scale: float) -> np.ndarray:
    return latent_charts.inertia((2, 4, 6), scale * np.array([9.0, 3.0, 2.5]), 1000)


def _spectrum(scale: float) -> np.ndarray:
    return latent_charts.spectrum(np.array([4.0, 1.0, 0.1 * scale, 0.0]))


class LatentPlotsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (_radii, (8,), (30,)),
        (_radii, (8, 30), (8, 20)),
        (_coordinates, (20,), (40,)),
        (_inertia, (1.0,), (0.2,)),
        (_spectrum, (1.0,), (5.0,)),
    )
    def test_pictures_show_their_arrays(self, draw, values, others):
        picture = draw(*values)
        self.assertEqual(picture.dtype, np.uint8)
        # Six inches wide, at 150 dots an inch, as letters of 13 points want.
        self.assertEqual(picture.shape[1:], (900, 3))
        self.assertAllEqual(picture, draw(*values))
        changed = (picture != draw(*others)).any(axis=-1).mean()
        self.assertGreater(changed, 1e-3)


if __name__ == "__main__":
    tf.test.main()
