from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from tests.vae_prod import tiny
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam, guard

_BATCH = 4
# Every place, and every way of running it, where a bad step might leave something.
_PLACES = (
    *((dtype, False, "none") for dtype in tiny.POLICIES),
    *((dtype, True, "none") for dtype in tiny.POLICIES[::2]),
    *((dtype, False, "mirrored") for dtype in tiny.POLICIES[::2]),
)


@tf.custom_gradient
def _trap(value, sprung):
    """Return `value`; its gradient is infinite where `sprung`."""
    return value, lambda upstream: (upstream * tf.where(sprung, np.inf, 1.0), None)


def _losses(model, batch, seed, fact, training):
    """Compute the model's losses, in a trap that a batch may spring."""
    losses = _REAL_LOSSES(model, batch, seed, fact, training)
    if "sprung" in batch:
        sprung = tf.reduce_max(batch["sprung"]) > 0.0
        losses["total_loss"] = _trap(losses["total_loss"], sprung)
    return losses


_REAL_LOSSES = vae_lib.VAE.losses


def _batch(kind: str, number: int) -> dict[str, np.ndarray]:
    """Return a batch whose last image alone is bad, so that one replica's are good."""
    images = tiny.images(_BATCH, seed=number).astype(np.float32) / 255
    sprung = np.zeros(_BATCH, np.float32)
    if kind == "nan_image":
        images[-1, 0, 0] = np.nan
    elif kind == "infinite_gradient":
        sprung[-1] = 1.0
    return {"image": images, "sprung": sprung}


class _Snapshots(keras.callbacks.Callback):
    """Keeps the bits of everything that a step may change, by name, after each."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def on_train_batch_end(self, batch, logs=None):
        """Keep them."""
        model = self.model
        kept = [*model.variables, *model.optimizer.variables]
        kept += model.metrics_variables
        # Dropout's random state may go on.
        moving = (model.step, model.guard.counts)
        self.taken.append(
            {
                # Not its path, which has the model's name, which counts models.
                f"{number} {variable.name}": variable.numpy().tobytes()
                for number, variable in enumerate(kept)
                if not any(variable is other for other in moving)
            }
        )


class _GuardCase(tf.test.TestCase, parameterized.TestCase):
    def _model(self, dtype="float32", jit=False, strategy="none", **settings):
        scope = tiny.mirrored() if strategy == "mirrored" else tf.distribute
        with scope.scope() if strategy == "mirrored" else mock.MagicMock():
            model = tiny.model(dtype, reconstruction="gaussian_sigma")
            model.compile(adam.Adam(1e-2, **settings), jit_compile=jit)
            model.optimizer.build(model.trainable_variables)
        self.assertEqual(model.jit_compile, jit)
        return model

    def _fit(self, model, *kinds):
        """Train on batches of these kinds; return what there was after each step."""
        batches = [_batch(kind, number) for number, kind in enumerate(kinds)]
        merged = {name: np.concatenate([b[name] for b in batches]) for name in _KEYS}
        data = tf.data.Dataset.from_tensor_slices(merged).batch(_BATCH)
        snapshots = _Snapshots()
        with mock.patch.object(vae_lib.VAE, "losses", _losses):
            model.fit(data, callbacks=[snapshots], verbose=0)
        return snapshots.taken

    def _changed(self, before, after):
        return [name for name in before if before[name] != after[name]]


_KEYS = ("image", "sprung")


class BadStepTest(_GuardCase):
    @parameterized.parameters(*_PLACES)
    def test_leaves_everything_as_it_was(self, dtype, jit, strategy):
        settings = {"gradient_accumulation": 2, "ema": 0.9, "clip_norm": 1.0}
        model = self._model(dtype, jit, strategy, **settings)
        if dtype == "mixed_float16":
            model.optimizer.dynamic_scale.assign(1.0)  # there is none to search for
        kinds = ("good", "nan_image", "good", "infinite_gradient", "good", "good")
        taken = self._fit(model, *kinds)
        for number, kind in enumerate(kinds[1:], 1):
            changed = self._changed(taken[number - 1], taken[number])
            self.assertEqual(bool(changed), kind == "good", (kind, changed))
        self.assertEqual(model.step.numpy(), len(kinds))
        self.assertAllEqual(model.optimizer.iterations, 2)
        self.assertAllEqual(model.guard.counts, [2, 0, 0])
        for variable in [*model.variables, *model.metrics_variables]:
            if "seed" not in variable.path:
                self.assertAllEqual(
                    np.isfinite(variable.numpy()), tf.ones(variable.shape)
                )

    @parameterized.parameters("nan_image", "infinite_gradient")
    def test_is_skipped_with_a_plain_keras_optimizer(self, kind):
        model = self._model()
        model.compile(keras.optimizers.SGD(1e-3), jit_compile=False)
        taken = self._fit(model, "good", kind, "good")
        self.assertEmpty(self._changed(taken[0], taken[1]))
        self.assertNotEmpty(self._changed(taken[1], taken[2]))

    def test_statistics_that_overflow_unnoticed_make_a_step_bad(self):
        model = self._model()
        batch = _batch("good", 0)
        # Their variance overflows, yet what is normalised by it is finite.
        batch["image"][0] = 1e25
        target = _batch("good", 0)["image"]
        data = tf.data.Dataset.from_tensors({"image": batch["image"], "target": target})
        model.fit(data, verbose=0)
        self.assertAllEqual(model.guard.counts, [1, 1, 0])
        for variable in guard.statistics(model):
            self.assertAllEqual(np.isfinite(variable.numpy()), tf.ones(variable.shape))


class GoodStepTest(_GuardCase):
    @parameterized.parameters(*tiny.POLICIES[::2])
    def test_is_what_it_is_without_a_guard(self, dtype):
        def unguarded(self, model, losses, gradients, before):
            model.optimizer.apply(gradients, model.trainable_weights)
            return tf.constant(False)

        guarded = self._fit(self._model(dtype), *["good"] * 4)
        with mock.patch.object(guard.Guard, "apply", unguarded):
            plain = self._fit(self._model(dtype), *["good"] * 4)
        self.assertEqual(guarded, plain)


class LossScaleTest(_GuardCase):
    @parameterized.parameters("none", "mirrored")
    def test_its_search_is_no_failure(self, strategy):
        model = self._model("mixed_float16", strategy=strategy)
        model.optimizer.dynamic_scale.assign(64.0)  # low enough for good batches
        kinds = ("good", "infinite_gradient", "infinite_gradient", "good")
        taken = self._fit(model, *kinds)
        self.assertEqual(model.optimizer.dynamic_scale.numpy(), 16.0)
        self.assertAllEqual(model.guard.counts, [0, 0, 0])
        self.assertAllEqual(model.optimizer.iterations, 2)
        changed = " ".join(self._changed(taken[0], taken[1]))
        self.assertIn("moving_mean", changed)
        self.assertIn("total", changed)
        self.assertNotIn("kernel", changed)

    def test_a_loss_that_is_not_finite_leaves_the_scale(self):
        model = self._model("mixed_float16")
        self._fit(model, "nan_image")
        self.assertEqual(model.optimizer.dynamic_scale.numpy(), 2.0**15)
        self.assertAllEqual(model.guard.counts, [1, 1, 0])

    def test_its_search_ends_at_one(self):
        model = self._model("mixed_float16")
        model.optimizer.dynamic_scale.assign(2.0)
        self._fit(model, *["infinite_gradient"] * 3)
        self.assertEqual(model.optimizer.dynamic_scale.numpy(), 1.0)
        self.assertAllEqual(model.guard.counts, [2, 2, 0])


class CountTest(_GuardCase):
    def test_the_first_of_enough_in_a_row_is_remembered(self):
        model = self._model()
        model.guard.limit, model.guard.steps_per_epoch = 3, 4
        self._fit(model, "nan_image", "nan_image", "good", "good")
        self.assertEqual(model.guard.check(), 2)
        self._fit(model, "good", *["nan_image"] * 4, "good", *["nan_image"] * 3)
        self.assertAllEqual(model.guard.counts, [9, 3, 6])
        with self.assertRaisesRegex(
            files.UserError, "in 3 steps in a row, .* step 6 of"
        ):
            model.guard.check()

    def test_without_a_limit_there_is_no_failure(self):
        model = self._model()
        self._fit(model, *["nan_image"] * 12)
        self.assertEqual(model.guard.check(), 12)


if __name__ == "__main__":
    tf.test.main()
