import math

import attrs
import numpy as np
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.evaluation import nats
from vae_prod.evaluation import subject as subject_lib
from vae_prod.model import likelihoods


class ReconstructionNatsTest(tf.test.TestCase):
    def test_logits_are_recovered_from_images(self):
        random = np.random.default_rng(0)
        subject, targets = subject_lib.Subject.from_model(tiny.model()), tiny.images(5)
        # Near 1 float32 has the coarser logits the larger they are.
        for largest, tolerance in ((6, 1e-4), (12, 0.02)):
            logits = random.uniform(-largest, largest, (5, 8, 8, 3)).astype(np.float32)
            for likelihood in config_lib.LIKELIHOODS:
                config = tiny.config(reconstruction=likelihood)
                codec = attrs.evolve(subject.codec, variance=0.5)
                changed = attrs.evolve(subject, codec=codec, config=config)
                measured = nats.reconstruction_nats(
                    changed, tf.sigmoid(logits), targets
                )
                expected = likelihoods.reconstruction_nats(
                    config, logits, targets, lambda _: tf.constant(0.5)
                )
                self.assertAllClose(measured, expected, rtol=1e-6, atol=tolerance)

    def test_saturated_pixels_cost_what_float32_tells(self):
        subject = subject_lib.Subject.from_model(tiny.model())
        images = np.zeros((2, 8, 8, 3), np.float32)
        images[1] = 1.0
        right = nats.reconstruction_nats(subject, images, images)
        self.assertAllClose(right, [0.0, 0.0], atol=192 * 2.0**-23)
        wrong = nats.reconstruction_nats(subject, images, 1 - images)
        costs = [-math.log(np.finfo(np.float32).tiny), 24 * math.log(2)]
        self.assertAllClose(wrong, 192 * np.array(costs), rtol=1e-6)


if __name__ == "__main__":
    tf.test.main()
