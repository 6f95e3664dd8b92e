import numpy as np
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod.training import batch_norm


class RecomputedTest(tf.test.TestCase):
    def test_gives_the_mean_batch_statistics_then_the_models_own(self):
        model = tiny.model()
        model.fit(tiny.batches(), verbose=0)
        weights = model.get_weights()
        first = model.encoder.get_layer("down1_conv")
        norm = model.encoder.get_layer("down1_norm")
        means, variances = [], []
        for batch in tiny.batches():
            maps, bias = first(tf.cast(batch["image"], tf.float32) / 255.0)
            x = maps + bias
            means.append(tf.reduce_mean(x, [0, 1, 2]))
            variances.append(tf.math.reduce_variance(x, [0, 1, 2]))
        with batch_norm.recomputed(model, tiny.batches()):
            # The division by 1 - momentum costs two digits of float32.
            self.assertAllClose(norm.moving_mean, np.mean(means, 0), atol=1e-4)
            self.assertAllClose(norm.moving_variance, np.mean(variances, 0), atol=1e-4)
        for before, after in zip(weights, model.get_weights(), strict=True):
            self.assertAllEqual(before, after)

    def test_leaves_the_noise_of_dropout_alone(self):
        model = tiny.model(dropout=0.1)
        weights = model.get_weights()
        with batch_norm.recomputed(model, tiny.batches()):
            pass
        for before, after in zip(weights, model.get_weights(), strict=True):
            self.assertAllEqual(before, after)

    def test_restores_after_an_error(self):
        model = tiny.model()
        weights = model.get_weights()
        with self.assertRaises(KeyError), batch_norm.recomputed(model, tiny.batches()):
            raise KeyError
        for before, after in zip(weights, model.get_weights(), strict=True):
            self.assertAllEqual(before, after)


if __name__ == "__main__":
    tf.test.main()
