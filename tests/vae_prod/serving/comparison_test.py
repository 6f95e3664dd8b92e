import attrs
import numpy as np
import tensorflow as tf

from vae_prod.model import codec as codec_lib
from vae_prod.serving import comparison

_SHAPE = (2, 2, 1)


def _codec(shift=0.0, brightness=0.0):
    """Return a codec of z that are pixels; its reconstruction is 0.1 too bright."""

    def encode(images):
        z_mean = (images / np.float32(255)).reshape(len(images), 4) + np.float32(shift)
        return {"z_mean": z_mean, "z_log_var": -3.0 * z_mean}

    def decode(z):
        return z.reshape(-1, *_SHAPE) + np.float32(0.1 + brightness)

    return codec_lib.Codec(_SHAPE, 4, encode, decode, lambda: "")


def _images(num=40):  # More than a batch, and no multiple of one.
    return np.random.default_rng(0).integers(0, 205, (num, *_SHAPE), np.uint8)


class ComparisonTest(tf.test.TestCase):
    def test_a_codec_is_like_itself(self):
        found = comparison.compare(_codec(), _codec(), _images())
        self.assertEqual(set(found.largest.values()), {0.0})
        self.assertEqual(set(found.mean.values()), {0.0})
        self.assertAllClose(found.psnr, 20.0, atol=1e-4)  # -10 lg 0.1^2.
        self.assertEqual(found.psnr_change, 0.0)
        self.assertEqual(found.beyond(0.0), [])

    def test_tells_the_networks_apart(self):
        images = _images()
        found = comparison.compare(_codec(), _codec(shift=0.02), images)
        self.assertAllClose(
            found.largest, {"z_mean": 0.02, "z_log_var": 0.06, "image": 0.0}, atol=1e-6
        )
        self.assertAllClose(found.size["z_log_var"], images.max() / 85.0)
        self.assertAllClose(found.psnr_change, 20 * np.log10(0.1 / 0.12), atol=1e-4)
        found = comparison.compare(_codec(), _codec(brightness=-0.05), images)
        self.assertAllClose(
            found.mean, {"z_mean": 0.0, "z_log_var": 0.0, "image": 0.05}, atol=1e-6
        )
        self.assertAllClose(found.psnr_change, 20 * np.log10(2), atol=1e-3)

    def test_reconstructs_targets(self):
        images = np.full((3, *_SHAPE), 51, np.uint8)  # 0.2
        found = comparison.compare(_codec(), _codec(0.1), images, 2 * images)
        self.assertAllClose(found.reference_psnr, 20.0, atol=1e-4)
        self.assertAllClose(found.psnr, 100.0, atol=1e-4)  # 0.4, which it should be.

    def test_beyond_rounding(self):
        close = comparison.Comparison(
            {"z_mean": 0.02, "image": 0.002}, {}, {"z_mean": 20.0, "image": 0.5}, 1, 1
        )
        self.assertEqual(close.beyond(0.01), [])
        self.assertEqual(close.beyond(0.0015), ["image"])
        self.assertEqual(close.beyond(0.0005), ["z_mean", "image"])
        broken = attrs.evolve(close, largest={"z_mean": float("nan")})
        self.assertEqual(broken.beyond(0.01), ["z_mean"])

    def test_no_number_is_a_difference(self):
        images = _images()
        broken = _codec()
        broken = attrs.evolve(broken, decode=lambda z: np.nan * _codec().decode(z))
        found = comparison.compare(_codec(), broken, images)
        self.assertEqual(found.beyond(0.1), ["image"])


if __name__ == "__main__":
    tf.test.main()
