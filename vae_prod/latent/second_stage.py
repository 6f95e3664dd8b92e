"""A second VAE over the points of encoded images, to draw new ones from.

Dai & Wipf (2019), "Diagnosing and enhancing VAE models", section 4: where the first
model's images don't lie like N(0, I), a second one learns how they lie,

    u ~ N(0, I)      z = decoder(u) + sigma * epsilon,

with sigma learned too, and the first one's decoder makes the image of z. Both networks
are dense, and see what goes in again beside their last hidden layer, as in the paper's
code. Points are standardised first, so that it fits an autoencoder's as well.
`second_stage_training` fits it.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.core import artefacts
from vae_prod.latent import sampling
from vae_prod.model.kernels import ops

# Streams of draws beside those of `sampling` and `densities`.
_NOISE, _BOUND = 105, 106
# Draws of u behind the bound of one point's log-density; points of a batch of them.
_BOUND_DRAWS, _BATCH = 8, 256
_PLAIN = ("mean", "scale", "log_sigma")

Arrays = tuple[np.ndarray, ...]


@attrs.frozen(eq=False)
class SecondStage:
    """A fitted second VAE.

    Attributes:
        mean: float32 [z_dim], of the points.
        scale: float32 [z_dim], their deviations: the networks see (z - mean) / scale.
        log_sigma: float32 [], of the decoder.
        encoder: Kernels and biases in turn: z to the mean of u beside its log variance.
        decoder: The same: u to z.
        made: How it was made.

    Raises:
        ValueError: The arrays don't fit one another.
    """

    log_prob_text = "lower bound of the log-density"

    mean: np.ndarray
    scale: np.ndarray
    log_sigma: np.ndarray
    encoder: Arrays
    decoder: Arrays
    made: Mapping = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        z_dim = self.mean.size
        shapes = {"mean": (z_dim,), "scale": (z_dim,), "log_sigma": ()}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has not the shape {shape}")
        _check_network("encoder", self.encoder, z_dim, 2 * z_dim)
        _check_network("decoder", self.decoder, z_dim, z_dim)

    @property
    def z_dim(self) -> int:
        """Dimensions of the latent space."""
        return self.mean.size

    def sample(self, seeds: tf.Tensor) -> tf.Tensor:
        """Draw one point per seed, each a function of its own seed alone.

        Args:
            seeds: int64 [N].

        Returns:
            z float32 [N, z_dim].
        """
        arrays = [tf.constant(array) for array in self.arrays()]
        return _sample(tf.cast(seeds, tf.int64), arrays, self.z_dim)

    def arrays(self) -> Arrays:
        """Return what `draw` takes, float32."""
        sigma = np.exp(self.log_sigma, dtype=np.float32)
        return self.mean, self.scale, sigma, *self.decoder

    @staticmethod
    def draw(
        seed: tf.Tensor,
        arrays: Sequence[tf.Tensor],
        temperature: tf.Tensor | float = 1.0,
    ) -> tf.Tensor:
        """Draw a seed's point.

        Args:
            seed: int64 [].
            arrays: What `arrays` gives, as tensors.
            temperature: float32 [], what u and the decoder's noise are multiplied by.

        Returns:
            z float32 [z_dim].
        """
        mean, scale, sigma, *decoder = arrays
        u = temperature * sampling.normal(seed, mean.shape[0])
        noise = ops.limited_normal(mean.shape, tf.stack([seed, _NOISE]), 0.0)
        z = network(u[None], decoder)[0] + temperature * sigma * noise
        return mean + scale * z

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """Return a lower bound of the log-density of points.

        Burda et al. (2016), "Importance weighted autoencoders", eq. 8, with 8 draws.

        Args:
            z: float [N, z_dim].

        Returns:
            float64 [N], nats.
        """
        standard = ((np.asarray(z) - self.mean) / self.scale).astype(np.float32)
        networks = self.encoder, self.decoder, self.log_sigma
        bounds = []
        for first in range(0, len(standard), _BATCH):
            seed = tf.constant([first, _BOUND], tf.int64)
            rows = tf.constant(standard[first : first + _BATCH])
            bounds.append(_bound(rows, seed, *networks).numpy())
        volume = np.log(self.scale, dtype=np.float64).sum()
        return np.concatenate(bounds).astype(np.float64) - volume

    def save(self, path: str) -> None:
        """Write to a folder, aside first; an older one there is replaced."""
        arrays = {name: getattr(self, name) for name in _PLAIN}
        for name in ("encoder", "decoder"):
            for number, array in enumerate(getattr(self, name)):
                arrays[f"{name}_{number}"] = array
        artefacts.save(path, arrays, self.made)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], made: Mapping
    ) -> "SecondStage":
        """Make it of what `save` wrote.

        Raises:
            ValueError: These are other arrays.
        """
        rest: dict[str, Any] = {
            name: array.astype(np.float32, casting="same_kind")
            for name, array in arrays.items()
        }
        networks: dict[str, list[np.ndarray]] = {"encoder": [], "decoder": []}
        for name, layers in networks.items():
            while (key := f"{name}_{len(layers)}") in rest:
                layers.append(rest.pop(key))
        if set(rest) != set(_PLAIN):
            raise ValueError(f"it holds {sorted(arrays)}")
        fields: dict[str, Any] = {n: tuple(layers) for n, layers in networks.items()}
        return cls(**rest, **fields, made=made)


def _check_network(name: str, arrays: Arrays, inputs: int, outputs: int) -> None:
    """Raise a `ValueError` where layers don't fit one another; see `network`."""
    widths = [inputs, *(kernel.shape[-1] for kernel in arrays[:-2:2] if kernel.ndim)]
    expected = []
    for before, units in itertools.pairwise(widths):
        expected += [(before, units), (units,)]
    expected += [(inputs + widths[-1], outputs), (outputs,)]
    if [array.shape for array in arrays] != expected:
        raise ValueError(f"the layers of its {name} don't fit")


def network(x: tf.Tensor, arrays: Sequence[tf.Tensor]) -> tf.Tensor:
    """Apply dense layers, of which the last sees the input too.

    Args:
        x: float32 [N, inputs].
        arrays: Kernels and biases in turn.

    Returns:
        float32 [N, outputs].
    """
    hidden = x
    for kernel, bias in zip(arrays[:-2:2], arrays[1:-2:2], strict=True):
        hidden = tf.nn.relu(tf.matmul(hidden, kernel) + bias)
    kernel, bias = arrays[-2:]
    return tf.matmul(tf.concat([x, hidden], axis=1), kernel) + bias


@functools.partial(tf.function, reduce_retracing=True)
def _sample(seeds, arrays, z_dim):
    return sampling.draw_each(lambda s: SecondStage.draw(s, arrays), seeds, z_dim)


@functools.partial(tf.function, reduce_retracing=True)
def _bound(z, seed, encoder, decoder, log_sigma):
    """Return the bound of standardised points, float32 [N], nats."""
    u_mean, u_log_var = tf.split(network(z, encoder), 2, axis=1)
    z_dim = tf.shape(z)[1]  # Traced once for models of several.
    shape = tf.concat([[_BOUND_DRAWS], tf.shape(z)], axis=0)
    epsilon = ops.limited_normal(shape, seed, 0.0)
    u = u_mean + tf.exp(0.5 * u_log_var) * epsilon
    decoded = network(tf.reshape(u, [-1, z_dim]), decoder)
    error = (z - tf.reshape(decoded, shape)) / tf.exp(log_sigma)
    # The normals' constants are those of p(z | u); the others cancel.
    terms = tf.square(epsilon) + u_log_var - tf.square(u) - tf.square(error)
    constant = tf.cast(z_dim, tf.float32) * (0.5 * math.log(2 * math.pi) + log_sigma)
    weights = 0.5 * tf.reduce_sum(terms, axis=2) - constant
    return tf.reduce_logsumexp(weights, axis=0) - math.log(_BOUND_DRAWS)
