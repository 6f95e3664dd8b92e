import keras
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod.training import checkpoints


class CheckpointsTest(tf.test.TestCase):
    def test_everything_comes_back(self):
        directory = self.create_tempdir().full_path
        model = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        model.fit(tiny.batches(), verbose=0)
        saved = checkpoints.Checkpoints(directory, model, keep=1)
        saved.early_stopping.best = 12.5
        saved.save()
        keras.utils.set_random_seed(99)
        other = tiny.model(dropout=0.1, reconstruction="gaussian_sigma")
        restored = checkpoints.Checkpoints(directory, other, keep=1)
        self.assertTrue(restored.restore())
        self.assertEqual(restored.early_stopping, saved.early_stopping)
        for kind in ("variables", "metrics_variables"):
            pairs = zip(getattr(model, kind), getattr(other, kind), strict=True)
            for one, two in pairs:
                self.assertAllEqual(one, two)
        pairs = zip(model.optimizer.variables, other.optimizer.variables, strict=True)
        for one, two in pairs:
            self.assertAllEqual(one, two)

    def test_nothing_to_restore(self):
        saved = checkpoints.Checkpoints(
            self.create_tempdir().full_path, tiny.model(), keep=1
        )
        self.assertFalse(saved.restore())


if __name__ == "__main__":
    tf.test.main()
