"""A batch of held-out images and what a trained model makes of it.

Image i of a split draws its noise by (seed, i): whatever the batches, it is the same.
"""

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.evaluation import resampling
from vae_prod.latent import sampling
from vae_prod.model import codec as codec_lib
from vae_prod.model.kernels import ops

# Independent streams of draws under one seed; each has 2^40 numbers.
_POSTERIOR, _SAMPLES, _BOUND = range(3)
_NUM_STREAMS = 4
_STREAM_BITS = 40


class Batch:
    """A batch of held-out images and what the model makes of it.

    Attributes:
        first: Number of its first image.
        images: What the encoder is given: uint8 [B, H, W, C], or float in [0, 1].
        targets: What it should come to, like them.
        clean: The targets as float32 in [0, 1].
        attributes: int64 [B, num_attributes] in {0, 1}; None where none were read.
        z_mean: float32 [B, z_dim].
        z_log_var: float32 [B, z_dim]; None of an autoencoder.
        z: Drawn from the posterior: float32 [B, z_dim]; an autoencoder's is z_mean.
        reconstructions: Decoded from z_mean: float32 [B, H, W, C] in [0, 1].

    Args:
        codec: The trained model.
        values: `image`; `target`, where that is corrupted; `attributes`, if wanted.
        first: Number of its first image.
        seed: Seed of all noise.
    """

    def __init__(self, codec: codec_lib.Codec, values: dict, first: int, seed: int):
        self.first = first
        self.images = np.asarray(values["image"])
        self.targets = np.asarray(values.get("target", self.images))
        self.clean = ops.scale_images(tf.convert_to_tensor(self.targets)).numpy()
        attributes = values.get("attributes")
        self.attributes = None if attributes is None else np.asarray(attributes)
        self._codec = codec
        self._seed = seed
        self._samples: np.ndarray | None = None
        posterior = codec.encode(self.images)
        self.z = self.z_mean = posterior["z_mean"]
        self.z_log_var = posterior.get("z_log_var")
        if self.z_log_var is not None:
            noise = sampling.prior(self._seeds(_POSTERIOR, len(self)), codec.z_dim)
            self.z = ops.reparameterize(self.z_mean, self.z_log_var, noise).numpy()
        self.reconstructions = codec.decode(self.z_mean)

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """How often each replicate draws each image, see `resampling.counts`."""
        return resampling.counts(self._seed, resampling.REAL, self.first, len(self))

    def samples(self, count: int) -> np.ndarray:
        """Return images of z ~ N(0, I), one for each of the first `count` images.

        Returns:
            float32 [count, H, W, C] in [0, 1].
        """
        drawn = self._samples
        if drawn is None or len(drawn) < count:
            numbers = np.arange(self.first, self.first + count)
            drawn = self._samples = samples(self._codec, self._seed, numbers)
        return drawn[:count]

    def bound_seeds(self, num_samples: int) -> np.ndarray:
        """Return seeds of draws for `bounds.importance_weighted_bound`.

        Returns:
            int64 [B], the first of `num_samples` seeds of each image.
        """
        return self._seeds(_BOUND, len(self), num_samples)

    def _seeds(self, stream: int, count: int, per_image: int = 1) -> np.ndarray:
        numbers = np.arange(self.first, self.first + count, dtype=np.int64)
        return _start(self._seed, stream) + per_image * numbers


def samples(codec: codec_lib.Codec, seed: int, numbers: np.ndarray) -> np.ndarray:
    """Return the images of z ~ N(0, I) that go with images of some numbers.

    Args:
        codec: The trained model.
        seed: Seed of all noise.
        numbers: int64 [N].

    Returns:
        float32 [N, H, W, C] in [0, 1].
    """
    return codec.decode(sampling.prior(_start(seed, _SAMPLES) + numbers, codec.z_dim))


def _start(seed: int, stream: int) -> int:
    """Return the first number of a stream of draws."""
    return (seed * _NUM_STREAMS + stream) % 2**22 * 2**_STREAM_BITS


def batches(
    codec: codec_lib.Codec, values: Iterable[dict[str, tf.Tensor]], seed: int
) -> Iterator[Batch]:
    """Let a trained model encode and decode held-out images, batch by batch.

    Args:
        codec: The trained model.
        values: Dicts of what `Batch` takes.
        seed: Seed of all noise.

    Raises:
        UserError: There is no image.
    """
    count = 0
    for value in values:
        batch = Batch(codec, value, count, seed)
        yield batch
        count += len(batch)
    if not count:
        raise files.UserError(
            "Expected held-out images to evaluate the model on, received none. "
            "Evaluate on a split that isn't empty."
        )
