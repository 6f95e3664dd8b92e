"""Every row of the model side's tables, walked through all that is done with a model.

A row that is added is trained until its loss falls, evaluated, opened as a codec,
exported, opened again, and accepted or refused by the search as its table says.
"""

import os

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod import config as config_lib
from vae_prod.evaluation import quality
from vae_prod.evaluation import subject as subject_lib
from vae_prod.latent import densities, samplers, sampling, second_stage_training
from vae_prod.model import codec as codec_lib
from vae_prod.model import networks
from vae_prod.serving import opening
from vae_prod.training import building

_TABLES = {
    "divergence": tuple(config_lib.DIVERGENCES),
    "reconstruction": tuple(config_lib.LIKELIHOODS),
    "decoder": tuple(config_lib.DECODERS),
    "fact_schedule": tuple(config_lib.FACT_SCHEDULES),
    "learning_rate_schedule": tuple(config_lib.LEARNING_RATE_SCHEDULES),
}
# Walks in which each row of each table comes at least once.
_WALKS = tuple(
    {setting: names[number % len(names)] for setting, names in _TABLES.items()}
    for number in range(max(map(len, _TABLES.values())))
)


class ModelRowsTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_row_is_walked(self):
        for setting, names in _TABLES.items():
            self.assertEqual({walk[setting] for walk in _WALKS}, set(names))

    @parameterized.parameters(*_WALKS)
    def test_is_trained_evaluated_exported_and_opened(
        self, learning_rate_schedule, **walk
    ):
        config = tiny.config(**walk)
        train = config_lib.TrainConfig(
            jit_compile="false",
            epochs=2,
            learning_rate=1e-2,
            learning_rate_schedule=learning_rate_schedule,
        )
        model = building.build(config, train, steps_per_epoch=30)
        data = tiny.batches(1).repeat()
        history = model.fit(data, epochs=2, steps_per_epoch=30, verbose=0).history
        self.assertTrue(np.all(np.isfinite(list(history.values()))))
        self.assertEqual("elbo" in history, config.has_elbo)
        first, second = history["total_loss"]
        self.assertLess(second, first)

        figures = quality.evaluate_quality(
            subject_lib.Subject.from_model(model),
            tiny.batches(2),
            importance_samples=2,
        )
        is_density = config.likelihood.is_density
        self.assertEqual(figures.elbo is not None, config.has_elbo)
        self.assertEqual(figures.importance_bound is not None, config.has_elbo)
        self.assertEqual(figures.bits_per_dim is not None, is_density)

        codec = codec_lib.from_model(model)
        self.assertEqual(codec.variance is not None, config.likelihood.has_variance)
        out = self.create_tempdir().full_path
        opened = opening.open_export(
            tiny_exports.export_little(model, os.path.join(out, "export"))
        )
        self.assertEqual(opened.variance, codec.variance)
        z = sampling.prior(np.arange(4), config.z_dim)
        self.assertAllClose(opened.decode(z), codec.decode(z), atol=1e-6)

    def test_every_decoder_is_built(self):
        self.assertEqual(list(networks.DECODERS), list(config_lib.DECODERS))


class SearchTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        objective=("elbo", "importance_bound", "bits_per_dim"),
        likelihood=tuple(config_lib.LIKELIHOODS),
        mode=("vae", "ae"),
    )
    def test_takes_an_objective_where_it_exists(self, objective, likelihood, mode):
        model = tiny.config(reconstruction=likelihood, mode=mode)
        search = config_lib.SearchConfig(
            objective=objective,
            importance_samples=1,
            search_filters=("4-8",),
            search_fact=(),
        )
        exists = model.has_elbo
        if objective == "bits_per_dim":
            exists = exists and model.likelihood.is_density
        if exists:
            config_lib.check_space(search, model)
        else:
            with self.assertRaisesRegex(ValueError, f"{objective} needs mode=vae"):
                config_lib.check_space(search, model)

    def test_a_loss_with_another_divergence_ranks_nothing(self):
        model = tiny.config(mode="ae", divergence="mmd")
        space = {"search_filters": ("4-8",), "search_fact": (1.0, 2.0)}
        config_lib.check_space(config_lib.SearchConfig(**space), model)
        search = config_lib.SearchConfig(objective="total_loss", **space)
        with self.assertRaisesRegex(ValueError, "needs divergence=kl, received div"):
            config_lib.check_space(search, model)

    @parameterized.parameters(*config_lib.DECODERS)
    def test_tries_every_decoder(self, name):
        self.assertIn(name, config_lib.SearchConfig().choices()["decoder"])


class SamplersTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*samplers.SAMPLERS)
    def test_every_sampler_draws(self, name):
        row, seeds = samplers.SAMPLERS[name], np.arange(5)
        if row.is_fitted:
            points = np.random.default_rng(0).normal(2.0, 0.5, (64, 3))
            fit = {
                "gaussian": densities.fit_gaussian,
                "mixture": lambda z: densities.fit_mixture(z, components=2),
                "two_stage": lambda z: second_stage_training.fit(z, units=4, epochs=2),
            }
            z = fit[name](points).sample(seeds)
        elif row.takes_limit:
            z = getattr(sampling, name)(seeds, 3, 0.5)
            self.assertAllLessEqual(np.abs(z), 0.5)
        else:
            z = getattr(sampling, name)(seeds, 3)
        self.assertEqual(z.shape, (5, 3))
        self.assertTrue(np.all(np.isfinite(z)))


if __name__ == "__main__":
    tf.test.main()
