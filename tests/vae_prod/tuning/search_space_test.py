"""Tests for vae_prod.tuning.search_space."""

import keras_tuner
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.tuning import search_space


def _space(**search):
    settings = {
        "search_fact": (0.1, 10.0),
        "search_z_dim": (4, 2),
        "search_filters": ("a:4-6", "b:2-4"),
        "search_decoder": ("upsampling", "conv2d_transpose"),
    }
    return search_space.SearchSpace(
        config_lib.SearchConfig(**settings | search),
        tiny.config(),
        config_lib.TrainConfig(seed=7),
    )


class SpaceTest(tf.test.TestCase):
    def test_declares_ranges_and_choices(self):
        hp = keras_tuner.HyperParameters()
        _space(search_learning_rate=(1e-4, 1e-2)).declare_hyperparameters(hp)
        kinds = {parameter.name: parameter for parameter in hp.space}
        self.assertEqual(
            list(kinds), ["fact", "learning_rate", "z_dim", "filters", "decoder"]
        )
        self.assertEqual(kinds["fact"].sampling, "log")
        self.assertEqual(
            (kinds["learning_rate"].min_value, kinds["learning_rate"].max_value),
            (1e-4, 1e-2),
        )
        self.assertEqual(kinds["z_dim"].values, [2, 4])
        self.assertEqual(kinds["filters"].values, ["a", "b"])

    def test_settings_are_those_searched_and_those_given(self):
        values = {
            "fact": 2.5,
            "z_dim": 2,
            "filters": "b",
            "decoder": "upsampling",
            "tuner/epochs": 9,
        }
        model, train = _space().settings(values, epochs=4, execution=2)
        self.assertEqual(model.fact, 2.5)
        self.assertEqual(model.z_dim, 2)
        self.assertEqual(model.filters, (2, 4))
        self.assertEqual(model.decoder, "upsampling")
        self.assertEqual(model.image_shape, (8, 8, 3))
        self.assertEqual((train.epochs, train.seed), (4, 9))
        self.assertEqual(train.learning_rate, 5e-4)

    def test_learning_rate_is_the_training_s(self):
        space = _space(search_learning_rate=(1e-4, 1e-2), search_filters=())
        values = {"fact": 1.0, "learning_rate": 1e-3, "z_dim": 4}
        model, train = space.settings(values | {"decoder": "upsampling"}, 1)
        self.assertEqual(train.learning_rate, 1e-3)
        self.assertEqual(model.filters, (4, 6))

    def test_builds_a_compiled_model(self):
        hp = keras_tuner.HyperParameters()
        model = _space().build(hp)
        self.assertIsInstance(model, vae_lib.VAE)
        self.assertTrue(model.compiled)
        self.assertEqual(model.config.z_dim, hp.get("z_dim"))
