import functools

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod.model import steps
from vae_prod.optim import exchange as exchange_lib

_PARTS, _BATCH = 4, 8


def _model(**settings):
    model = tiny.model(dropout=0.2, **settings)
    model.exchange = exchange_lib.Exchange(_PARTS)
    return model


def _flat(values):
    return tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)


def _given(gathered, _):
    return gathered


def _train(model, num_steps):
    """Take steps alone."""
    for number in range(num_steps):
        model.train_step({"image": tf.constant(tiny.images(_BATCH, seed=number))})


def _train_together(workers, num_steps, **settings):
    """Take steps as so many workers do, in this process; return their models."""
    models = [_model(**settings) for _ in range(workers)]
    share = _BATCH // workers
    for number in range(num_steps):
        images = tiny.images(_BATCH, seed=number)
        sums = []
        for index, model in enumerate(models):
            model.exchange = exchange_lib.Exchange(_PARTS, index, workers)
            own = images[index * share : (index + 1) * share]
            sums.append(steps.local_sums(model, {"image": tf.constant(own)}))
        gathered = tf.stack([_flat(each.total) for each in sums])
        gather = functools.partial(_given, gathered)
        for model, own in zip(models, sums, strict=True):
            exchange = attrs.evolve(model.exchange, gather=gather)
            steps.settle(model, own, exchange.over_workers(own.total), _BATCH)
    return models


def _state(model):
    variables = [*model.variables, *model.optimizer.variables]
    variables += [*model.metrics_variables, model.guard.counts]
    return [variable.numpy() for variable in variables]


class PartsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        (2, {"reconstruction": "gaussian_sigma"}),
        (2, {"reconstruction": "gaussian_learned", "divergence": "mmd"}),
        (4, {"reconstruction": "bce"}),
    )
    def test_workers_give_the_same_bits_as_one(self, workers, settings):
        alone = _model(**settings)
        _train(alone, 2)
        for model in _train_together(workers, 2, **settings):
            for got, wanted in zip(_state(model), _state(alone), strict=True):
                self.assertAllEqual(got, wanted)

    def test_parts_change_the_numbers_a_little(self):
        # Batch norm is by parts, and so is the noise.
        parts, whole = _model(), tiny.model(dropout=0.2)
        _train(parts, 3)
        _train(whole, 3)
        weights = [m.trainable_weights[0].numpy() for m in (parts, whole)]
        self.assertGreater(np.abs(weights[0] - weights[1]).max(), 0)
        self.assertAllClose(*weights, atol=0.1)

    def test_gradients_are_those_of_the_whole_batch_without_batch_norm(self):
        settings = {"batch_norm": False, "mode": "ae"}
        parts, whole = tiny.model(**settings), tiny.model(**settings)
        parts.exchange = exchange_lib.Exchange(_PARTS)
        batch = {"image": tf.constant(tiny.images(_BATCH))}
        means = parts.exchange.over_workers(steps.local_sums(parts, batch).total)
        wanted = steps.local_sums(whole, batch).total
        for got, value in zip(means, wanted, strict=True):
            self.assertAllClose(got, value, rtol=1e-4, atol=1e-4)

    def test_nothing_is_kept_before_all_parts_are_there(self):
        model = _model()
        _train(model, 1)
        before = _state(model)
        steps.local_sums(model, {"image": tf.constant(tiny.images(_BATCH, seed=5))})
        for got, wanted in zip(_state(model), before, strict=True):
            self.assertAllEqual(got, wanted)

    def test_a_part_that_is_not_finite_makes_the_step_bad(self):
        model = _model()
        before = model.get_weights()
        images = tiny.images(_BATCH).astype(np.float32) / 255
        images[-1] = np.nan
        model.train_step({"image": tf.constant(images)})
        self.assertEqual(model.guard.check(), 1)
        for got, wanted in zip(model.get_weights(), before, strict=True):
            if got.dtype == np.float32:
                self.assertAllEqual(got, wanted)


class HeldOutTest(tf.test.TestCase):
    def test_workers_in_turn_measure_as_one_does(self):
        images, size, workers = tiny.images(11), 4, 2
        alone = tiny.model()
        for first in range(0, 11, size):
            batch = tf.constant(images[first : first + size])
            wanted = alone.test_step({"image": batch})
        together = tiny.model()
        exchanges = [
            exchange_lib.Exchange(2, index, workers, size, len(images))
            for index in range(workers)
        ]
        for first in range(0, 11, size * workers):
            values = []
            for exchange in exchanges:
                together.exchange = exchange
                own = first + exchange.first_held_out
                batch = images[own : own + size] if own < len(images) else images[:1]
                batch = tf.constant(batch)
                values.append(steps.local_values(together, {"image": batch}))
            got = steps.add_values(together, tf.stack(values))
        for name, value in wanted.items():
            self.assertAllEqual(got[name], value, name)


if __name__ == "__main__":
    tf.test.main()
