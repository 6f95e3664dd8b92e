import os

import numpy as np
import tensorflow as tf

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.training import checkpoints, weights


class SavedWeightsTest(tf.test.TestCase):
    def test_best_is_the_lowest_validation_loss(self):
        run_dir = self.create_tempdir().full_path
        state = checkpoints.EarlyStopping()
        model = tiny.model()
        keeper = weights.SavedWeights(run_dir, state, patience=2)
        keeper.set_model(model)
        keeper.on_train_begin()
        for epoch, loss in enumerate((3.0, 2.0, 2.5, 4.0)):
            model.step.assign(epoch)
            keeper.on_epoch_end(epoch, {"val_total_loss": loss, "total_loss": -loss})
            self.assertEqual(state.has_stalled(2), epoch == 3)
        self.assertEqual((state.best, state.best_epoch), (2.0, 2))
        for kind, step in (("best", 1), ("last", 3)):
            copy = tiny.model()
            path = os.path.join(run_dir, "weights", kind, "vae.weights.h5")
            copy.with_precision("float32").load_weights(path)
            plain = copy.with_precision("float32")
            plain.load_weights(path)
            self.assertEqual(plain.step.numpy(), step)

    def test_damage_is_found_wherever_it_is(self):
        run_dir = self.create_tempdir().full_path
        model = tiny.model()
        keeper = weights.SavedWeights(run_dir, checkpoints.EarlyStopping(), patience=0)
        keeper.set_model(model)
        keeper.on_train_begin()
        keeper.on_epoch_end(0, {"total_loss": 1.0})
        path = os.path.join(run_dir, "weights", "best", "vae.weights.h5")
        weights.load(model, path)
        with open(path, "rb") as file:
            content = file.read()
        for place in np.random.default_rng(1).integers(0, len(content), 20):
            damaged = bytearray(content)
            damaged[place] ^= 1
            files.write(path, bytes(damaged))
            with self.assertRaisesRegex(files.UserError, "they are damaged"):
                weights.load(model, path)
        # Without digests beside them, weights of anywhere are taken.
        alone = os.path.join(self.create_tempdir().full_path, "mine.weights.h5")
        files.write(alone, content)
        weights.load(model, alone)

    def test_saved_weights_hold_no_optimizer(self):
        run_dir = self.create_tempdir().full_path
        model = tiny.model()
        model.fit(tiny.batches(), verbose=0)
        keeper = weights.SavedWeights(run_dir, checkpoints.EarlyStopping(), patience=0)
        keeper.set_model(model)
        keeper.on_train_begin()
        keeper.on_epoch_end(0, {"total_loss": 1.0})
        path = os.path.join(run_dir, "weights", "last", "vae.weights.h5")
        other = tiny.model(learning_rate=0.5)
        other.with_precision("float32").load_weights(path)
        self.assertAllClose(other.optimizer.learning_rate, 0.5)


if __name__ == "__main__":
    tf.test.main()
