"""How a second VAE is trained on the points of encoded images.

Batches have 64 points, as those of Dai & Wipf (2019). Chosen here are a learning rate
that falls from 0.001 by a cosine, and sigma's beginning. Each epoch draws new points of
the images' posteriors, so that the aggregate posterior is fitted, as by `densities`.
"""

import itertools
import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.latent import densities, statistics
from vae_prod.latent import second_stage as second_stage_lib
from vae_prod.model.kernels import ops
from vae_prod.optim import adam

_BATCH = 64
# At 1, the points' own deviation, a decoder that ignores u is a saddle of the loss.
_FIRST_SIGMA = 0.3
# Streams of random numbers under one seed.
_ORDER, _Z, _U = 107, 108, 109
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def fit(
    z_mean: np.ndarray,
    z_log_var: np.ndarray | None = None,
    *,
    units: int = 1024,
    layers: int = 3,
    epochs: int = 300,
    learning_rate: float = 1e-3,
    seed: int = 1,
    made: Mapping | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> second_stage_lib.SecondStage:
    """Train a second VAE.

    Args:
        z_mean: float [N, z_dim], may be mapped from disk; at least 2 points.
        z_log_var: Like it, of a VAE.
        units: Of each hidden layer.
        layers: Hidden layers of each network.
        epochs: Passes over the images.
        learning_rate: The first one.
        seed: Of weights, order and noise.
        made: How the points were made, kept with it.
        on_progress: Told after each epoch how many are done, and of how many.

    Raises:
        UserError: There are too few points, they are all the same, or the training
            diverged.
    """
    mean, scale = _standards(z_mean, z_log_var)
    points = [a for a in (z_mean, z_log_var) if a is not None]
    training = _Training(z_mean.shape[1], units, layers, seed)
    training.plan(learning_rate, epochs * math.ceil(len(z_mean) / _BATCH))
    for epoch in range(epochs):
        order = np.random.default_rng([seed, _ORDER, epoch]).permutation(len(z_mean))
        total = 0.0
        for first in range(0, len(order), _BATCH):
            rows = np.sort(order[first : first + _BATCH])
            batch = [tf.constant(array[rows], tf.float32) for array in points]
            total += float(training.step(batch, mean, scale)) * len(rows)
        if not math.isfinite(total):
            raise files.UserError(
                "Expected the second stage's loss to stay finite, it didn't in epoch "
                f"{epoch + 1}. See whether the encodings hold extreme points, or fit "
                "another kind of sampler."
            )
        on_progress(epoch + 1, epochs)
    described = {
        "kind": "two_stage",
        "num_points": len(z_mean),
        "units": units,
        "layers": layers,
        "epochs": epochs,
        "seed": seed,
    }
    made = {**(made or {}), **described}
    return second_stage_lib.SecondStage(mean, scale, **training.arrays(), made=made)


def _standards(
    z_mean: np.ndarray, z_log_var: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points' mean and deviation in each dimension, float32 [z_dim]."""
    moments = statistics.covariance(z_mean)
    variance = np.diag(moments.matrix)
    if z_log_var is not None:
        variance = variance + statistics.mean_variance(z_log_var)
    # A dimension in which nothing differs has a deviation to divide by, too.
    variance = variance + densities.ridge(variance, moments.count)
    with np.errstate(over="ignore"):  # Then the loss isn't finite either.
        return moments.mean.astype(np.float32), np.sqrt(variance).astype(np.float32)


class _Training:
    """The networks as variables, and their optimizer."""

    def __init__(self, z_dim: int, units: int, layers: int, seed: int):
        self._seed, self._steps = seed, 0
        self._sizes = {"encoder": 2 * z_dim, "decoder": z_dim}
        widths = [z_dim, *[units] * layers]
        self._networks = {
            name: _initial(widths, outputs, seed, number)
            for number, (name, outputs) in enumerate(self._sizes.items())
        }
        self._log_sigma = keras.Variable(
            math.log(_FIRST_SIGMA), dtype="float32", name="log_sigma"
        )
        self._weights = [self._log_sigma]
        for weights in self._networks.values():
            self._weights += weights
        self._take = tf.function(self._take_step, reduce_retracing=True)

    def plan(self, learning_rate: float, steps: int) -> None:
        """Say how many steps will be taken, and how large the first one is."""
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        self._optimizer = adam.Adam(rate)
        self._optimizer.build(self._weights)

    def step(self, points: list[tf.Tensor], mean, scale) -> tf.Tensor:
        """Take a step; return the loss before it, float32 [], nats a point.

        Args:
            points: float32 [B, z_dim] once or twice: z_mean, and z_log_var of a VAE.
            mean: float32 [z_dim], what z is standardised by.
            scale: The same.
        """
        seed = self._seed * 2**31 + self._steps
        self._steps += 1
        return self._take(points, mean, scale, tf.constant(seed, tf.int64))

    def _take_step(self, points, mean, scale, seed):
        z, *log_var = points
        if log_var:
            noise = ops.limited_normal(tf.shape(z), tf.stack([seed, _Z]), 0.0)
            z = ops.reparameterize(z, log_var[0], noise)
        z = (z - mean) / scale
        with tf.GradientTape() as tape:
            loss = self._loss(z, tf.stack([seed, _U]))
        weights = [weight.value for weight in self._weights]
        self._optimizer.apply(tape.gradient(loss, weights))
        return loss

    def _loss(self, z, seed):
        """Return the negative ELBO of standardised points; the paper's eq. 6."""
        codes = second_stage_lib.network(z, self._values("encoder"))
        u_mean, u_log_var = tf.split(codes, 2, axis=1)
        noise = ops.limited_normal(tf.shape(u_mean), seed, 0.0)
        u = ops.reparameterize(u_mean, u_log_var, noise)
        decoded = second_stage_lib.network(u, self._values("decoder"))
        log_sigma = tf.convert_to_tensor(self._log_sigma)
        errors = tf.square((z - decoded) * tf.exp(-log_sigma))
        nats = 0.5 * errors + log_sigma + _HALF_LOG_2PI
        kl = ops.diagonal_gaussian_kl(u_mean, u_log_var)
        return tf.reduce_mean(tf.reduce_sum(nats + kl, axis=1))

    def _values(self, name: str) -> list[tf.Tensor]:
        return [weight.value for weight in self._networks[name]]

    def arrays(self) -> dict:
        """Return the weights as `SecondStage` takes them."""
        networks = {
            name: tuple(weight.numpy() for weight in weights)
            for name, weights in self._networks.items()
        }
        return {"log_sigma": self._log_sigma.numpy(), **networks}


def _initial(
    widths: list[int], outputs: int, seed: int, number: int
) -> list[keras.Variable]:
    """Make a network's kernels and biases in turn, as Keras' dense layers begin."""
    shapes = [*itertools.pairwise(widths)]
    shapes.append((widths[0] + widths[-1], outputs))
    rng = np.random.default_rng([seed, number])
    weights = []
    for inputs, units in shapes:
        limit = math.sqrt(6.0 / (inputs + units))
        kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        weights += [keras.Variable(kernel), keras.Variable(np.zeros(units, np.float32))]
    return weights
