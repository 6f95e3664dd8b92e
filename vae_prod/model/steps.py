"""A step in parts: what a worker computes of a batch, and what is done with the whole.

Alone and in one part, which is the usual case, it is a plain step. In several parts,
each is computed with its own noise, batch-norm statistics and dropout, and begins as
the first did; losses, statistics and gradients are averaged by `optim.exchange`. Until
all parts are there nothing of a step is kept.
"""

from collections.abc import Mapping

import attrs
import keras
import tensorflow as tf

from vae_prod.model import kl as kl_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.optim import guard

# Independent streams of latent noise under one seed.
TRAINING, VALIDATION, PREDICTION = range(3)


@attrs.frozen
class Sums:
    """What a worker knows of a batch.

    Attributes:
        total: float32, summed over its parts: losses, statistics that the forward pass
            left, gradients of the scaled loss.
        before: What the statistics were.
    """

    total: list[tf.Tensor]
    before: list[tf.Tensor]


def local_sums(model, batch: Mapping[str, tf.Tensor]) -> Sums:
    """Compute what a step needs of this worker's parts of a batch.

    Args:
        model: The VAE.
        batch: This worker's share, as `VAE.train_step` takes it.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    parts = model.exchange.local_parts
    before = [(v, tf.convert_to_tensor(v)) for v in guard.statistics(model)]
    states = [(v, tf.convert_to_tensor(v)) for v in _random_states(model)]
    size = tf.shape(batch["image"])[0] // len(parts)
    values = []
    for place, part in enumerate(parts):
        images = batch
        if model.exchange.parts > 1:
            first = place * size
            images = {name: v[first : first + size] for name, v in batch.items()}
            for variable, state in states:
                variable.assign(state + tf.constant([part, 0], state.dtype))
        values.append(_values_of(model, images, part))
        if model.exchange.parts > 1:
            for variable, value in [*before, *states]:
                variable.assign(value)
    return Sums(exchange_lib.local_sums(values), [value for _, value in before])


def _values_of(model, batch: Mapping[str, tf.Tensor], part: int) -> list[tf.Tensor]:
    """Return losses, statistics and gradients of a part of a batch, in a list."""
    alone = model.exchange.parts == 1
    seed = model.noise_seed(TRAINING, model.step, None if alone else part)
    fact = kl_lib.fact_at(model.config, tf.convert_to_tensor(model.step))
    with tf.GradientTape() as tape:
        losses = model.losses(batch, seed, fact, training=True)
        # Keras optimizers sum gradients over replicas.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        loss = model.optimizer.scale_loss(losses["total_loss"] / replicas)
    weights = [weight.value for weight in model.trainable_weights]
    after = [tf.convert_to_tensor(v) for v in guard.statistics(model)]
    return [*losses.values(), *after, *tape.gradient(loss, weights)]


def settle(
    model, sums: Sums, means: list[tf.Tensor], size: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Do what a step does once all parts are there; return the metrics so far.

    Args:
        model: The VAE.
        sums: This worker's.
        means: Of the totals, over all parts.
        size: int [], images of the whole batch.
    """
    statistics, parts = guard.statistics(model), model.exchange.parts
    losses = dict(zip(model.means, means, strict=False))
    rest = means[len(losses) :]
    after, gradients = rest[: len(statistics)], rest[len(statistics) :]
    if parts > 1:
        for variable, value in zip(statistics, after, strict=True):
            variable.assign(value)
    bad = model.guard.apply(model, list(losses.values()), gradients, sums.before)
    # Not before the others' parts are there.
    with tf.control_dependencies([bad]):
        model.step.assign_add(1)
        if parts > 1:
            for variable in _random_states(model):
                variable.assign_add(tf.constant([parts, 0], variable.value.dtype))
    return model.update_metrics(losses, size, bad)


def _random_states(model) -> list[keras.Variable]:
    """Return the states of dropout's random generators, integers [2] each."""
    layers = [*model.encoder.layers, *model.decoder.layers]
    dropouts = [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]
    return [layer.seed_generator.state for layer in dropouts if layer.rate]


def local_values(model, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Measure a batch of this worker's, of held-out images that several share.

    Workers take the batches in turn, whole ones all but the very last; once there are
    no more they measure some image, which doesn't count.

    Returns:
        float32 [metrics + 1], with the number of images that count.
    """
    exchange = model.exchange
    first = model.means["total_loss"].count + float(exchange.first_held_out)
    size = tf.where(
        first < exchange.held_out_images,
        tf.cast(tf.shape(batch["image"])[0], tf.float32),
        0.0,
    )
    seed = model.noise_seed(VALIDATION, first, 0)
    losses = model.losses(batch, seed, model.config.fact, training=False)
    return tf.stack([*losses.values(), size])


def add_values(model, values: tf.Tensor) -> dict[str, tf.Tensor]:
    """Add what `local_values` gave of each worker, in turn; return the metrics so far.

    Args:
        model: The VAE.
        values: float32 [workers, metrics + 1].
    """
    for worker in tf.unstack(values):
        *losses, size = tf.unstack(worker)
        logs = model.update_metrics(dict(zip(model.means, losses, strict=True)), size)
    return logs
