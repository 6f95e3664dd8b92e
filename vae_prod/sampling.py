"""Points of the latent space to decode: prior and uniform draws, paths between.

Every draw is a function of its own seed alone: draw i is the same point whatever is
drawn beside it, so a server may batch requests as it likes.
"""

import tensorflow as tf

from vae_prod import ops

# Independent streams of draws under one seed.
_PRIOR, _UNIFORM = 101, 102


def prior(seeds: tf.Tensor, z_dim: int, limit: float = 0.0) -> tf.Tensor:
    """Draw from N(0, I), one point per seed.

    Args:
        seeds: int64 [N].
        z_dim: Dimensions of the latent space.
        limit: Limit of each coordinate's size; 0: none.

    Returns:
        z float32 [N, z_dim].
    """

    def draw(seed):
        return ops.limited_normal([z_dim], tf.stack([seed, _PRIOR]), limit)

    return _each(draw, seeds, z_dim)


def uniform(seeds: tf.Tensor, z_dim: int, limit: float) -> tf.Tensor:
    """Draw each coordinate uniformly from [-limit, limit), one point per seed.

    Args:
        seeds: int64 [N].
        z_dim: Dimensions of the latent space.
        limit: Half the side of the box.

    Returns:
        z float32 [N, z_dim].
    """

    def draw(seed):
        seed = tf.stack([seed, _UNIFORM])
        return tf.random.stateless_uniform([z_dim], seed, -limit, limit, alg="philox")

    return _each(draw, seeds, z_dim)


def _each(draw, seeds: tf.Tensor, z_dim: int) -> tf.Tensor:
    seeds = tf.cast(seeds, tf.int64)
    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([z_dim]))


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
