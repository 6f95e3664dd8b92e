"""Tests for vae_prod.training.graphs."""

import gc
import weakref

import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod.training import graphs


class ForgetTest(tf.test.TestCase):
    def test_nothing_keeps_a_model_that_was_trained(self):
        graphs.forget()
        model = tiny.model()
        model.fit(tiny.batches(), verbose=0)
        kept = weakref.ref(model)
        del model
        gc.collect()
        graphs.forget()
        self.assertIsNone(kept())

    def test_models_train_afterwards(self):
        losses = []
        for _ in range(2):
            history = tiny.model().fit(tiny.batches(), verbose=0).history
            losses.append(history["total_loss"])
            graphs.forget()
        self.assertEqual(*losses)
