import numpy as np
import tensorflow as tf

from vae_prod.optim import exchange
from vae_prod.training import workers


class WorkersTest(tf.test.TestCase):
    def test_the_chiefs_values_go_to_all_whatever_their_type(self):
        values = [
            np.float32([1.5, np.nan, -0.0]),
            np.array(2**62 + 1, np.int64),
            np.uint32([[3, 2**32 - 1]]),
            np.float16([0.1]),
            np.array([np.inf, 1e-300, 7.0]),
        ]
        bits = []

        def gather(own):
            if not bits:
                bits.append(own)
                return own[None]
            return tf.stack([bits[0], own])

        def copy(scale):
            return [tf.Variable((v * scale).astype(v.dtype)) for v in values]

        chief, other = copy(1), copy(0)
        for index, variables in ((0, chief), (1, other)):
            tf.config.run_functions_eagerly(True)
            self.addCleanup(tf.config.run_functions_eagerly, False)
            workers.share(exchange.Exchange(2, index, 2, gather=gather), variables)
        for variable, value in zip(other, values, strict=True):
            self.assertAllEqual(variable.numpy(), value)

    def test_all_stop_at_a_look_once_the_step_has_brought_the_wish(self):
        asked = []
        stopping = workers.Stopping(lambda: bool(asked))
        self.assertFalse(any(stopping() for _ in range(25)))
        asked.append(True)
        self.assertFalse(any(stopping() for _ in range(15)))  # Nobody has agreed.
        self.assertEqual(stopping.wish.numpy(), 1.0)
        stopping.agreed.assign(0.5)
        looks = [stopping() for _ in range(10)]
        self.assertEqual(looks.count(True), 1)

    def test_only_workers_with_others_are_told_that_one_is_gone(self):
        text = "Graph error\nCollective ops is aborted by: Socket closed\n[[node]]"
        error, saved = tf.errors.UnavailableError(None, None, text), []
        with (
            self.assertRaisesRegex(workers.LostError, r"all 2 .*\(Socket closed\)"),
            workers.others(exchange.Exchange(2, 0, 2), lambda: saved.append(1)),
        ):
            raise error
        self.assertEqual(saved, [1])
        # Alone it is something else, within a step of which traces are left.
        with (
            self.assertRaises(tf.errors.UnavailableError),
            workers.others(exchange.ALONE, lambda: saved.append(2)),
        ):
            raise error
        self.assertEqual(saved, [1])


if __name__ == "__main__":
    tf.test.main()
