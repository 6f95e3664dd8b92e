import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.evaluation import held_out, pixel_statistics
from vae_prod.model import codec as codec_lib


def _means(images: np.ndarray) -> dict[str, float]:
    values = pixel_statistics.of_images(images.astype(np.float32))
    return {name: value.mean() for name, value in values.items()}


class OfImagesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.random = np.random.default_rng(1)
        # Soft colours, as photographs have.
        small = self.random.uniform(0.3, 0.7, (8, 4, 4, 3))
        self.images = tf.image.resize(small, (32, 32), "bicubic").numpy().clip(0, 1)

    @parameterized.parameters(
        ("brightness", lambda images, _: images + 0.1),
        ("contrast", lambda images, _: (images - 0.5) * 1.4 + 0.5),
        ("saturation", lambda images, _: _coloured(images, 1.4)),
        ("detail", lambda images, noise: images + 0.05 * noise),
    )
    def test_each_sees_its_own(self, name, change):
        noise = self.random.normal(size=self.images.shape)
        before, after = _means(self.images), _means(change(self.images, noise))
        moved = {
            other: (after[other] - before[other]) / abs(before[other])
            for other in before
        }
        self.assertEqual(max(moved, key=moved.get), name)
        self.assertGreater(moved[name], 0.1)

    def test_known_values(self):
        stripes = np.zeros((1, 16, 16, 3))
        stripes[:, :, ::2] = 1.0
        self.assertAllClose(_means(stripes)["brightness"], 0.5)
        self.assertAllClose(_means(stripes)["contrast"], 0.5)
        self.assertAllClose(_means(stripes)["saturation"], 0.0)
        # All of the variance, 1/4, has a period of two pixels.
        self.assertAllClose(_means(stripes)["detail"], -6.02, atol=0.05)
        flat = np.full((1, 16, 16, 3), 0.25)
        self.assertLess(_means(flat)["detail"], -65)

    def test_grey(self):
        images = self.images[..., :1]
        self.assertAllClose(_means(images)["saturation"], 0.0)


def _coloured(images: np.ndarray, factor: float) -> np.ndarray:
    grey = images.mean(axis=-1, keepdims=True)
    return grey + factor * (images - grey)


class PixelStatisticsTest(tf.test.TestCase):
    def test_differences_from_real_images(self):
        codec, images = codec_lib.from_model(tiny.model()), tiny.images(12)
        results = []
        for size in (12, 5):
            statistics = pixel_statistics.PixelStatistics(limit=10, seed=1)
            batches = [
                {"image": tf.constant(images[i : i + size])} for i in range(0, 12, size)
            ]
            for batch in held_out.batches(codec, batches, seed=1):
                statistics.add(batch)
            results.append(statistics.result())
        first, second = results
        decoded = codec.decode(codec.encode(images)["z_mean"])
        expected = _means(decoded[:10])["contrast"]
        expected -= _means(images[:10] / 255)["contrast"]
        self.assertAllClose(first["reconstruction_contrast"].value, expected)
        self.assertLen(first, 2 * len(pixel_statistics.STATISTICS))
        for name, value in first.items():
            self.assertAllClose(value.value, second[name].value, atol=1e-4)
            self.assertAllClose(value.replicates, second[name].replicates, atol=1e-4)


if __name__ == "__main__":
    tf.test.main()
