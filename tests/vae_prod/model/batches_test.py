import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.model import batches

_SHAPE = (8, 8, 3)


class AsBatchTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (lambda images: images, {"image"}),
        (lambda images: (images,), {"image"}),
        (lambda images: (images, images), {"image", "target"}),
        (lambda images: (images, tf.zeros([4], tf.int64)), {"image", "label"}),
        (lambda images: {"image": images, "key": tf.zeros([4])}, {"image", "key"}),
    )
    def test_takes(self, form, names):
        images = tf.constant(tiny.images())
        batch = batches.as_batch(form(images), _SHAPE)
        self.assertEqual(set(batch), names)
        self.assertAllEqual(batch["image"], images)

    @parameterized.parameters(
        (lambda images: {"picture": images}, "dict with picture"),
        (lambda images: (images, images, images), "a tuple of 3"),
        (lambda images: tf.cast(images, tf.int32), "received int32. Cast them"),
        (lambda images: images[0], r"received \(8, 8, 3\). Batch the data set"),
        (lambda images: (images, images[:, :4]), r"as `target`, received \(4, 4, 8, 3"),
    )
    def test_refuses(self, form, sentence):
        images = tf.constant(tiny.images())
        with self.assertRaisesRegex(files.UserError, sentence):
            batches.as_batch(form(images), _SHAPE)


class FitTest(tf.test.TestCase):
    """A plain `compile` and a plain data set are enough."""

    def test_floats_in_tuples_train_as_bytes_in_dicts(self):
        floats = np.float32(tiny.images(8)) / np.float32(255)
        pairs = tf.data.Dataset.from_tensor_slices((floats, floats)).batch(4)
        histories = []
        for dataset in (tiny.batches(), pairs):
            model = tiny.model()
            model.compile(optimizer="adam")
            self.assertFalse(model.jit_compile)
            fitted = model.fit(dataset, validation_data=dataset, verbose=0)
            histories.append(fitted.history)
        self.assertAllClose(*histories)
        self.assertAllEqual(model.predict(pairs, verbose=0).shape, [8, 8, 8, 3])

    def test_what_it_computes_itself_is_refused(self):
        with self.assertRaisesRegex(files.UserError, "without loss"):
            tiny.model().compile("adam", loss="mse")

    def test_wrong_images_are_refused_in_a_sentence(self):
        dataset = tf.data.Dataset.from_tensor_slices(tiny.images(shape=(6, 6, 3)))
        with self.assertRaisesRegex(files.UserError, "image_shape"):
            tiny.model().fit(dataset.batch(2), verbose=0)


if __name__ == "__main__":
    tf.test.main()
