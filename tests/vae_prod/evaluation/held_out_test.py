import numpy as np
import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.evaluation import held_out
from vae_prod.model import codec as codec_lib

_SHAPE, _Z_DIM = (8, 8, 3), 4


def _codec(log_var: float | None = 0.0) -> codec_lib.Codec:
    """Return a model whose images show their latent point, and the other way round."""

    def encode(images):
        posterior = {"z_mean": np.float32(images[:, 0, :_Z_DIM, 0] / 255)}
        if log_var is not None:
            posterior["z_log_var"] = np.full_like(posterior["z_mean"], log_var)
        return posterior

    def decode(z):
        images = np.zeros((len(z), *_SHAPE), np.float32)
        images[:, 0, :_Z_DIM, 0] = z
        return images

    return codec_lib.Codec(_SHAPE, _Z_DIM, encode, decode, lambda: "")


def _shown(images: np.ndarray) -> np.ndarray:
    return images[:, 0, :_Z_DIM, 0]


class BatchTest(tf.test.TestCase):
    def test_what_a_model_makes_of_images(self):
        images = tiny.images(5)
        batch = held_out.Batch(_codec(np.log(0.25)), {"image": images}, 0, 1)
        self.assertLen(batch, 5)
        self.assertIs(batch.targets, batch.images)
        self.assertIsNone(batch.attributes)
        self.assertAllClose(batch.clean, images / 255)
        self.assertAllClose(batch.z_mean, _shown(images) / 255)
        self.assertAllClose(_shown(batch.reconstructions), batch.z_mean)
        many = held_out.Batch(_codec(np.log(0.25)), {"image": tiny.images(500)}, 0, 1)
        noise = (many.z - many.z_mean) / 0.5
        # Four standard errors of 2,000 draws.
        self.assertAllClose(noise.mean(), 0.0, atol=4 / np.sqrt(2000))
        self.assertAllClose(noise.std(), 1.0, atol=4 / np.sqrt(4000))

    def test_damaged_inputs_and_an_autoencoder(self):
        images, clean = tiny.images(3), tiny.images(3, seed=1)
        values = {"image": tf.constant(images), "target": tf.constant(clean)}
        batch = held_out.Batch(_codec(None), values, 0, 1)
        self.assertAllClose(batch.clean, clean / 255)
        self.assertAllClose(batch.z_mean, _shown(images) / 255)
        self.assertIsNone(batch.z_log_var)
        self.assertIs(batch.z, batch.z_mean)

    def test_noise_depends_on_the_image_number_alone(self):
        images = tiny.images(6)
        whole = held_out.Batch(_codec(), {"image": images}, 0, 1)
        part = held_out.Batch(_codec(), {"image": images[4:]}, 4, 1)
        self.assertAllEqual(part.z, whole.z[4:])
        self.assertAllEqual(part.samples(2), whole.samples(6)[4:])
        self.assertAllEqual(part.samples(1), whole.samples(5)[4:])
        self.assertAllEqual(part.bound_seeds(3), whole.bound_seeds(3)[4:])
        other = held_out.Batch(_codec(), {"image": images}, 0, 2)
        self.assertNotAllClose(other.z, whole.z)
        self.assertNotAllClose(other.samples(6), whole.samples(6))
        some = held_out.samples(_codec(), 1, np.array([5, 2]))
        self.assertAllEqual(some, whole.samples(6)[[5, 2]])

    def test_streams_are_apart(self):
        batch = held_out.Batch(_codec(), {"image": tiny.images(3)}, 0, 1)
        self.assertNotAllClose(batch.z - batch.z_mean, _shown(batch.samples(3)))
        self.assertAllEqual(np.diff(batch.bound_seeds(7)), [7, 7])


class BatchesTest(tf.test.TestCase):
    def _batches(self, size):
        images = tiny.images(5)
        parts = [{"image": images[i : i + size]} for i in range(0, 5, size)]
        return list(held_out.batches(_codec(), parts, 1))

    def test_images_are_numbered_through(self):
        many, whole = self._batches(2), self._batches(5)
        self.assertEqual([batch.first for batch in many], [0, 2, 4])
        z = np.concatenate([batch.z for batch in many])
        self.assertAllClose(z, whole[0].z, atol=1e-6)
        samples = np.concatenate([batch.samples(len(batch)) for batch in many])
        self.assertAllClose(whole[0].samples(1), samples[:1], atol=1e-6)
        self.assertAllClose(whole[0].samples(5), samples, atol=1e-6)

    def test_no_images(self):
        with self.assertRaisesRegex(files.UserError, "Expected held-out images"):
            list(held_out.batches(_codec(), [], 1))


if __name__ == "__main__":
    tf.test.main()
