import functools

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from vae_prod.optim import exchange as exchange_lib


def _mean(exchange, values):
    return exchange.over_workers(exchange_lib.local_sums(values))


class ExchangeTest(parameterized.TestCase, tf.test.TestCase):
    def _values(self, parts):
        rng = np.random.default_rng(0)
        return [
            [tf.constant(rng.normal(size=s), tf.float32) for s in ((3, 2), (), (5,))]
            for _ in range(parts)
        ]

    @parameterized.parameters(1, 2, 4, 8)
    def test_any_number_of_workers_gives_the_same_bits(self, workers):
        values = self._values(8)
        wanted = _mean(exchange_lib.Exchange(8), values)

        @tf.function(autograph=False)
        def means(index):
            def flat(worker):
                share = exchange_lib.Exchange(8, worker, workers, gather=lambda x: x)
                local = [values[part] for part in share.local_parts]
                sums = exchange_lib.local_sums(local)
                return tf.concat([tf.reshape(value, [-1]) for value in sums], 0), local

            gathered = tf.stack([flat(worker)[0] for worker in range(workers)])
            mine = exchange_lib.Exchange(8, index, workers, gather=lambda _: gathered)
            return _mean(mine, flat(index)[1])

        for index in range(workers):
            for got, value in zip(means(index), wanted, strict=True):
                self.assertAllEqual(got, value)

    def test_a_graph_keeps_the_order_of_sums(self):
        # 1e8 + 1 is 1e8 in float32: another order gives another sum.
        values = [[tf.constant([x])] for x in (1e8, 1.0, -1e8, 1.0, 1.0, 1.0, 1.0, 1.0)]
        mean = functools.partial(_mean, exchange_lib.Exchange(8))
        wanted = ((np.float32(1e8) + 1 + (np.float32(-1e8) + 1)) + 4) / 8
        self.assertAllEqual(mean(values), [[wanted]])
        self.assertAllEqual(tf.function(lambda: mean(values))(), [[wanted]])

    def test_one_part_is_left_as_it_is(self):
        values = self._values(1)
        self.assertAllEqual(_mean(exchange_lib.ALONE, values)[0], values[0][0])

    @parameterized.parameters(
        ({"parts": 3}, "power of two"),
        ({"parts": 2, "workers": 4}, "multiple of the 4 workers, received 2"),
        ({"parts": 1, "workers": 2}, "give at least 2"),
    )
    def test_refuses_parts_that_cannot_be_shared(self, settings, message):
        with self.assertRaisesRegex(files.UserError, message):
            exchange_lib.Exchange(**settings)


if __name__ == "__main__":
    tf.test.main()
