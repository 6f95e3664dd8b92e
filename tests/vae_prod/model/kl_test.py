import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import config as config_lib
from vae_prod.model import kl


class FactTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("constant", 0, 5.0),
        ("linear", 0, 0.0),
        ("linear", 5, 2.5),
        ("linear", 10, 5.0),
        ("linear", 10**12, 5.0),
        ("cyclical", 5, 2.5),
        ("cyclical", 15, 5.0),
        ("cyclical", 20, 0.0),
        ("cyclical", 25, 2.5),
        ("cyclical", 2 * 10**12 + 5, 2.5),
    )
    def test_schedule(self, schedule, step, expected):
        settings = tiny.config(fact=5.0, fact_schedule=schedule, fact_warmup_steps=10)
        fact = kl.fact_at(settings, tf.constant(step, tf.int64))
        self.assertAllClose(fact, expected)

    def test_every_schedule_of_the_table_is_computed(self):
        self.assertEqual(list(kl.SCHEDULES), list(config_lib.FACT_SCHEDULES))

    @parameterized.parameters(*config_lib.FACT_SCHEDULES)
    def test_a_schedule_stays_between_nothing_and_fact(self, schedule):
        settings = tiny.config(fact=5.0, fact_schedule=schedule, fact_warmup_steps=10)
        facts = [kl.fact_at(settings, tf.constant(s, tf.int64)) for s in range(45)]
        self.assertBetween(min(facts), 0.0, 5.0)
        self.assertAllClose(max(facts), 5.0)

    def test_free_bits_charge_the_allowance_at_least(self):
        nats = tf.constant([[0.0, 1.0], [0.2, 3.0]])
        plain, free = tiny.config(), tiny.config(free_bits=0.5)
        self.assertAllClose(kl.charged_kl(plain, nats), 2.1)
        self.assertAllClose(kl.charged_kl(free, nats), 2.5)


if __name__ == "__main__":
    tf.test.main()
