"""Points of the latent space to decode: draws from known densities, paths between.

Every draw is a function of its own seed alone: draw i is the same point to the last
bit whatever is drawn beside it, so a server may batch requests as it likes. For that
each point is drawn by itself: TensorFlow rounds an element of an array by its place in
it. Densities fitted to encoded images are in `densities`.
"""

import functools

import numpy as np
import tensorflow as tf

from vae_prod.model.kernels import ops

# Independent streams of draws under one seed.
_PRIOR, _UNIFORM, _POSTERIOR = 101, 102, 103
# Draws under one seed, before those of the next begin.
_SEEDS_APART = 1_000_003

# As a graph, a loop over the seeds takes a hundredth of its time.
_as_graph = functools.partial(tf.function, reduce_retracing=True)


def draw_each(draw, seeds, z_dim: int) -> tf.Tensor:
    """Draw one point per seed, each by itself.

    Args:
        draw: Maps a seed, int64 [], to a point, float32 [z_dim].
        seeds: int64 [N]; or a tuple of such and what else `draw` takes a row of.
        z_dim: Dimensions of the latent space.

    Returns:
        float32 [N, z_dim].
    """
    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([z_dim]))


def seeds(seed: int, count: int) -> np.ndarray:
    """Return the seeds of so many draws under one, int64 [count]."""
    return seed * _SEEDS_APART + np.arange(count, dtype=np.int64)


def normal(seed: tf.Tensor, z_dim: int) -> tf.Tensor:
    """Draw the prior's point of one seed, int64 []: float32 [z_dim]."""
    return ops.limited_normal([z_dim], tf.stack([seed, _PRIOR]), 0.0)


def prior(seeds: tf.Tensor, z_dim: int) -> tf.Tensor:
    """Draw from the prior N(0, I), one point per seed.

    Whoever decodes random z draws them here: pictures, figures, and exports in their
    graph by `normal`. `ModelConfig.epsilon_limit` is a limit of training's noise, not
    of the prior; `truncated` draws from a limited one.

    Args:
        seeds: int64 [N].
        z_dim: Dimensions of the latent space.

    Returns:
        z float32 [N, z_dim].
    """
    return _prior(tf.cast(seeds, tf.int64), z_dim)


@_as_graph
def _prior(seeds, z_dim):
    return draw_each(lambda seed: normal(seed, z_dim), seeds, z_dim)


def truncated(seeds: tf.Tensor, z_dim: int, limit: float) -> tf.Tensor:
    """Draw from N(0, I) given that no coordinate's size is above a limit.

    A seed's point is its point of the prior with each coordinate moved to the same
    quantile, so the limit's effect shows in one and the same image.

    Args:
        seeds: int64 [N].
        z_dim: Dimensions of the latent space.
        limit: Limit of each coordinate's size, above 0.

    Returns:
        z float32 [N, z_dim].
    """
    return _truncated(tf.cast(seeds, tf.int64), z_dim, tf.constant(limit, tf.float32))


@_as_graph
def _truncated(seeds, z_dim, limit):
    # P(|z| <= x) is erf(x / sqrt(2)).
    root = np.sqrt(2.0).astype(np.float32)
    inside = tf.math.erf(limit / root)

    def draw(seed):
        share = inside * tf.math.erf(normal(seed, z_dim) / root)
        return tf.clip_by_value(root * tf.math.erfinv(share), -limit, limit)

    return draw_each(draw, seeds, z_dim)


def uniform(seeds: tf.Tensor, z_dim: int, limit: float) -> tf.Tensor:
    """Draw each coordinate uniformly from [-limit, limit), one point per seed.

    Args:
        seeds: int64 [N].
        z_dim: Dimensions of the latent space.
        limit: Half the side of the box.

    Returns:
        z float32 [N, z_dim].
    """
    return _uniform(tf.cast(seeds, tf.int64), z_dim, tf.constant(limit, tf.float32))


@_as_graph
def _uniform(seeds, z_dim, limit):
    def draw(seed):
        seed = tf.stack([seed, _UNIFORM])
        return tf.random.stateless_uniform([z_dim], seed, -limit, limit, alg="philox")

    return draw_each(draw, seeds, z_dim)


def posterior(
    seeds: tf.Tensor, z_mean: np.ndarray, z_log_var: np.ndarray, limit: float = 0.0
) -> np.ndarray:
    """Draw z = z_mean + exp(z_log_var / 2) * epsilon for encoded images.

    Args:
        seeds: int64 [N].
        z_mean: float32 [N, z_dim].
        z_log_var: float32 [N, z_dim].
        limit: Limit of each epsilon's size; 0: none.

    Returns:
        z float32 [N, z_dim].
    """
    epsilon = _noise(tf.cast(seeds, tf.int64), z_mean.shape[1], limit)
    return z_mean + np.exp(0.5 * z_log_var) * epsilon.numpy()


@_as_graph
def _noise(seeds, z_dim, limit):
    def draw(seed):
        return ops.limited_normal([z_dim], tf.stack([seed, _POSTERIOR]), limit)

    return draw_each(draw, seeds, z_dim)


def plane(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return the points of a grid over a latent plane, a row of a picture at a time.

    Args:
        across: Values of the first coordinate, from left to right.
        up: Values of the second coordinate, from bottom to top.

    Returns:
        float32 [len(up) len(across), 2], the top row first.
    """
    first, second = np.meshgrid(across, up[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float32)


def normal_quantiles(number: int, outside: float = 0.01) -> np.ndarray:
    """Return values with equal shares of N(0, 1) between them, float64 [number].

    Args:
        number: How many.
        outside: Share of N(0, 1) beyond the first, and beyond the last.
    """
    from scipy import special  # It takes a while; training doesn't need it.

    return special.ndtri(np.linspace(outside, 1 - outside, number))


def interpolate(start: tf.Tensor, end: tf.Tensor, num_steps: int) -> tf.Tensor:
    """Walk straight from one point to another.

    Args:
        start: float32 [N, z_dim].
        end: float32 [N, z_dim].
        num_steps: Points on each path, both ends included; at least 2.

    Returns:
        float32 [N, num_steps, z_dim].
    """
    weights = tf.linspace(0.0, 1.0, num_steps)[None, :, None]
    return start[:, None] * (1.0 - weights) + end[:, None] * weights
