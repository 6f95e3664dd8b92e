import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image, ImageFilter

from pipelines import faces
from vae_prod.evaluation import resampling
from vae_prod.evaluation.features import extractors, frechet, gradients, scaling

_COUNT = 80


def _faces(count: int, seed: int) -> np.ndarray:
    """Draw faces, uint8 [count, 48, 48, 3]."""
    drawn = (Image.fromarray(faces.draw(i, seed).image) for i in range(count))
    return np.stack([np.asarray(image.resize((48, 48))) for image in drawn])


def _damaged(images, change):
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


class GradientsTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.real, cls.others = _faces(_COUNT, 1), _faces(_COUNT, 2)
        cls.network = extractors.load("gradients", (48, 48, 3))
        known = cls.network.features(cls.real)
        cls.weights = scaling.weights(known, cls.network.groups)
        cls.known = known * cls.weights
        cls.counts = [resampling.counts(1, s, 0, _COUNT) for s in range(2)]

    def _distance(self, images) -> float:
        features = self.network.features(images) * self.weights
        return frechet.frechet_distance(features, self.known, self.counts).value

    @parameterized.named_parameters(
        ("blur", lambda im, d: im.filter(ImageFilter.GaussianBlur(d)), (1, 2, 4)),
        ("brighter", lambda im, d: im.point(lambda v: v + d), (20, 50, 90)),
        ("contrast", lambda im, d: im.point(lambda v: 127 + (v - 127) * d), (2, 4)),
        ("fewer", None, (4, 40)),
    )
    def test_what_looks_worse_is_farther(self, change, degrees):
        distances = [self._distance(self.others)]
        for degree in degrees:
            images = self.others
            if change:
                images = _damaged(images, lambda image, d=degree: change(image, d))
            else:
                images = images[np.arange(_COUNT) % (_COUNT // degree)]
            distances.append(self._distance(images))
        self.assertEqual(distances, sorted(distances))

    def test_features(self):
        features = self.network.features(self.real[:3])
        self.assertEqual(features.shape, (3, sum(gradients.GROUPS)))
        whole = self.network.features(self.real[:3] / np.float32(255))
        self.assertAllClose(whole, features, atol=1e-5)

    @parameterized.parameters((16, 3), (64, 3), (28, 1))
    def test_any_size(self, side, channels):
        images = np.zeros((2, side, side, channels), np.uint8)
        images[:, : side // 2] = 200
        network = extractors.load("gradients", images.shape[1:])
        features = network.features(images)
        expected = self.network.features(np.repeat(_large(images), 3 // channels, -1))
        self.assertAllClose(features[:, -48:], expected[:, -48:], atol=0.1)


def _large(images: np.ndarray) -> np.ndarray:
    large = np.zeros((len(images), 48, 48, images.shape[-1]), np.uint8)
    large[:, :24] = 200
    return large


if __name__ == "__main__":
    tf.test.main()
