import math

import keras
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.optim import adam, schedules


class LearningRateTest(tf.test.TestCase, parameterized.TestCase):
    def _rates(self, updates, **settings):
        config = config_lib.TrainConfig(learning_rate=2.0, epochs=4, **settings)
        rate = schedules.learning_rate(config, steps_per_epoch=5)
        return [float(rate(update)) for update in updates]

    def test_constant_is_a_number(self):
        config = config_lib.TrainConfig(learning_rate=2.0)
        self.assertEqual(schedules.learning_rate(config, 5), 2.0)

    def test_warm_up_rises_to_the_rate(self):
        rates = self._rates(range(6), learning_rate_warmup_steps=4)
        self.assertAllClose(rates, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0])

    def test_cosine_goes_from_the_rate_to_its_floor(self):
        rates = self._rates(
            (0, 5, 10, 20, 99), learning_rate_schedule="cosine", learning_rate_floor=0.1
        )
        turned = [(1 + math.cos(math.pi * part)) / 2 for part in (0, 0.25, 0.5, 1, 1)]
        self.assertAllClose(rates, [2 * (0.1 + 0.9 * part) for part in turned])

    def test_cosine_follows_the_warm_up(self):
        settings = {"learning_rate_schedule": "cosine", "learning_rate_warmup_steps": 4}
        rates = self._rates((1, 3, 4, 12, 20), **settings)
        self.assertAllClose(rates, [1.0, 2.0, 2.0, 1.0, 0.0], atol=1e-6)

    @parameterized.parameters(
        ({}, 20),
        ({"gradient_accumulation": 4}, 5),
        ({"learning_rate_decay_steps": 33}, 33),
    )
    def test_length_of_a_cosine(self, settings, expected):
        (before, after) = self._rates(
            (expected - 1, expected), learning_rate_schedule="cosine", **settings
        )
        self.assertGreater(before, 1e-3)
        self.assertAllClose(after, 0.0, atol=1e-6)

    def test_warm_up_must_leave_the_cosine_updates(self):
        with self.assertRaisesRegex(files.UserError, "cosine, 20, received 20"):
            settings = {"learning_rate_schedule": "cosine"}
            self._rates((), learning_rate_warmup_steps=20, **settings)

    def test_every_schedule_of_the_table_is_computed(self):
        table = config_lib.LEARNING_RATE_SCHEDULES
        self.assertEqual(list(schedules.SHAPES), list(table))

    @parameterized.parameters(*config_lib.LEARNING_RATE_SCHEDULES)
    def test_only_what_decays_ends_at_its_floor(self, name):
        floor = {"learning_rate_schedule": name, "learning_rate_floor": 0.1}
        first, last = self._rates((1, 99), learning_rate_warmup_steps=1, **floor)
        decays = config_lib.LEARNING_RATE_SCHEDULES[name].decays
        self.assertAllClose((first, last), (2.0, 0.2 if decays else 2.0))
        # What lasts for all epochs is another one with other epochs.
        config = config_lib.TrainConfig(**floor)
        self.assertEqual(config_lib.may_change(config, "epochs"), not decays)

    def test_counts_updates_not_batches(self):
        rate = schedules.LearningRate(1e-3, warmup_steps=10)
        model = tiny.model()
        model.compile(adam.Adam(rate, gradient_accumulation=2), jit_compile=False)
        model.fit(tiny.batches(6), verbose=0)
        self.assertAllClose(model.optimizer.learning_rate, 4e-4)

    def test_round_trip(self):
        first = adam.Adam(schedules.LearningRate(1e-3, "cosine", 3, 9, 0.5))
        second = keras.optimizers.deserialize(keras.optimizers.serialize(first))
        self.assertEqual(second.get_config(), first.get_config())


if __name__ == "__main__":
    tf.test.main()
