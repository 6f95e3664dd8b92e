import os
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from tests.vae_prod.evaluation import evaluations
from vae_prod.evaluation import held_out, judge, recognition
from vae_prod.evaluation.features import face_network
from vae_prod.model import codec as codec_lib


class _Network(tf.Module):
    """Gives as many numbers an image as it is told, the first its brightness."""

    def __init__(self, numbers: int):
        super().__init__()
        self._numbers = numbers

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, "image")]
    )
    def __call__(self, images):
        brightness = tf.reduce_mean(images, axis=[1, 2, 3])
        return tf.repeat(brightness[:, None], self._numbers, axis=1)


def _saved(path: str, numbers: int) -> str:
    network = _Network(numbers)
    tf.saved_model.save(network, path, signatures=network.__call__)
    return path


class LoadTest(tf.test.TestCase):
    def test_a_network_of_the_users(self):
        path = _saved(os.path.join(self.create_tempdir().full_path, "network"), 1)
        recogniser = recognition.load(path, (8, 8, 3))
        images = np.full((3, 8, 8, 3), 255, np.uint8)
        images[1] = 100
        self.assertAllEqual(recogniser.recognised(images), [True, False, True])
        self.assertLen(recogniser.digest, 64)

    def test_refuses_what_gives_more_than_a_probability(self):
        path = _saved(os.path.join(self.create_tempdir().full_path, "network"), 2)
        with self.assertRaisesRegex(files.UserError, "one probability.*received 2"):
            recognition.load(path, (8, 8, 3))


class RecognitionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(9, 4)
    def test_shares_of_the_first_images(self, size):
        codec, images = codec_lib.from_model(tiny.model()), tiny.images(9)
        images[::2] //= 4
        images[1::2] = 255 - images[1::2] // 4
        recognised = recognition.Recognition(evaluations.recogniser(), 8, seed=1)
        batches = (
            {"image": tf.constant(images[i : i + size])} for i in range(0, 9, size)
        )
        for batch in held_out.batches(codec, batches, seed=1):
            recognised.add(batch)
        result = recognised.result()
        self.assertEqual(result.num_images, 8)
        self.assertEqual(result.real.value, 0.5)
        self.assertGreater(result.real.standard_error, 0.05)
        self.assertBetween(result.samples.value, 0.0, 1.0)


class FacesTest(tf.test.TestCase):
    """What the package does of faces, of images where there are none."""

    def test_nothing_is_found_in_noise_and_flat_images(self):
        images = np.zeros((4, 48, 48, 3), np.uint8)
        images[2:] = np.random.default_rng(1).integers(0, 255, images[2:].shape)
        network = recognition.load("faces", (48, 48, 3))
        self.assertAllEqual(network.recognised(images), [False] * 4)
        self.assertAllEqual(network.recognised(images[..., :1]), [False] * 4)
        choice = judge.choose("auto", "auto", images)
        self.assertEqual((choice.judge, choice.recogniser), ("gradients", "none"))
        self.assertRegex(choice.reason, "gradients: .*a face in 0% of 4 real images")

    def test_other_weights_are_refused(self):
        digests = dict.fromkeys(face_network._WEIGHTS, "0" * 64)
        with (
            mock.patch.object(face_network, "_WEIGHTS", digests),
            self.assertRaisesRegex(files.UserError, "weights of mtcnn 1.0.0"),
        ):
            face_network.features()


class ChooseTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.images = np.zeros((40, 32, 32, 3), np.uint8)

    @parameterized.parameters(
        ("auto", "auto", 1.0, "faces", "faces"),
        ("auto", "none", 0.95, "faces", "none"),
        ("gradients", "auto", 1.0, "gradients", "faces"),
        ("auto", "auto", 0.5, "gradients", "none"),
        ("some:path", "auto", 0.0, "some:path", "none"),
    )
    def test_by_what_real_images_show(self, first, second, share, best, found):
        sure = np.arange(judge.NUM_IMAGES) < share * judge.NUM_IMAGES
        network = recognition.Recogniser("", "", lambda images: sure[: len(images)])
        with mock.patch.object(recognition, "load", return_value=network):
            choice = judge.choose(first, second, self.images)
        self.assertEqual((choice.judge, choice.recogniser), (best, found))
        self.assertStartsWith(choice.reason, f"judged by {best}: ")

    def test_nothing_to_choose(self):
        choice = judge.choose("gradients", "none", self.images)
        self.assertEqual(choice, judge.Choice("gradients", "none", ""))

    def test_without_the_extra_it_says_how_to_get_it(self):
        with mock.patch.object(face_network, "is_installed", return_value=False):
            choice = judge.choose("auto", "auto", self.images)
            with self.assertRaisesRegex(files.UserError, r"vae_prod\[faces\]"):
                recognition.load("faces", (32, 32, 3))
        self.assertEqual((choice.judge, choice.recogniser), ("gradients", "none"))
        self.assertIn("vae_prod[faces]", choice.reason)


if __name__ == "__main__":
    tf.test.main()
