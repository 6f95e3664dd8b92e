"""Batch-norm statistics recomputed over training batches.

With few steps an epoch the moving statistics lag far behind the weights, and a
validation loss measures that lag. Averaging the statistics of fresh batches under
fixed weights measures the model.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam


def _layers(model: vae_lib.VAE) -> list[keras.layers.BatchNormalization]:
    networks = (model.encoder, model.decoder)
    kind = keras.layers.BatchNormalization
    return [
        layer for net in networks for layer in net.layers if isinstance(layer, kind)
    ]


def _moving(model: vae_lib.VAE) -> list[keras.Variable]:
    return [v for x in _layers(model) for v in (x.moving_mean, x.moving_variance)]


def recompute(model: vae_lib.VAE, batches: Iterable[dict]) -> None:
    """Set the moving statistics to the mean batch statistics of `batches`.

    Args:
        model: Its weights stay as they are.
        batches: Training batches, as the train step takes them; at least one.
    """
    moving = _moving(model)
    momentum = [x.momentum for x in _layers(model) for _ in range(2)]

    @tf.function
    def forward(batch):
        # From zero, one update leaves (1 - momentum) times the batch's statistic.
        for variable in moving:
            variable.assign(tf.zeros_like(variable))
        posterior = model.encoder(vae_lib.scale_images(batch["image"]), training=True)
        z = model.sample(posterior, tf.constant([0, 0], tf.int64))
        model.decoder(z, training=True)

    totals, count = [np.zeros(v.shape) for v in moving], 0
    for batch in batches:
        forward(batch)
        totals = [t + v.numpy() for t, v in zip(totals, moving, strict=True)]
        count += 1
    for variable, total, kept in zip(moving, totals, momentum, strict=True):
        variable.assign((total / count / (1.0 - kept)).astype(np.float32))


@contextlib.contextmanager
def recomputed(model: vae_lib.VAE, batches: Iterable[dict]) -> Iterator[None]:
    """Give the model recomputed statistics, then its own again.

    The states of dropout's random generators come back too, so that training goes on
    as if nothing had been recomputed.
    """
    kept = model.non_trainable_variables
    before = [variable.numpy() for variable in kept]
    try:
        recompute(model, batches)
        yield
    finally:
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)


class RecomputedValidation(keras.callbacks.Callback):
    """Validates again with batch-norm statistics recomputed over training batches.

    Adds `val_recomputed_*` to an epoch's logs.

    Args:
        validation: Makes the validation batches.
        training: Makes the training batches of an epoch (0-based) to recompute over.
    """

    def __init__(
        self,
        validation: Callable[[], tf.data.Dataset],
        training: Callable[[int], tf.data.Dataset],
    ):
        super().__init__()
        self.validation = validation
        self.training = training

    def on_epoch_end(self, epoch, logs=None):
        """Recompute, validate, put the moving statistics back."""
        model, batches = self.model, self.training(epoch)
        with adam.averaged(model), recomputed(model, batches):
            values = model.evaluate(self.validation(), verbose=0, return_dict=True)
        logs.update({f"val_recomputed_{name}": v for name, v in values.items()})
