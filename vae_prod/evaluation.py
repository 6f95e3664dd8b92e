"""How good a trained model is, in figures that don't depend on `fact`'s scale.

`total_loss` can't rank models with different `fact`: it falls as `fact` falls. What can
is gathered here, in one pass over held-out images: how close images of random z are to
real ones, what reconstructions lose, and bounds of the log-likelihood.
"""

import collections
import contextlib
import functools
import math
from collections.abc import Iterable

import attrs
import numpy as np
import tensorflow as tf

from vae_prod import (
    codec,
    errors,
    measures,
    objectives,
    ops,
    optimizer,
    plots,
    wasserstein,
)
from vae_prod import vae as vae_lib

# Burda et al. (2016), section 5.1.
_ACTIVE_VARIANCE = 1e-2
# Independent streams of draws under one seed; each has 2^40 numbers.
_POSTERIOR, _SAMPLES, _IMPORTANCE = range(3)
_NUM_STREAMS = 4
_STREAM_BITS = 40


@attrs.frozen
class Quality:
    """Figures of a trained model on held-out images.

    Attributes:
        num_images: Images behind all figures but the distances.
        distance_images: Images behind each distance; only distances between as many
            images compare.
        sample_distance: Sliced Wasserstein distance of images of z ~ N(0, I) from the
            targets, in thousandths of a deviation; lower is better.
        reconstruction_distance: The same of reconstructions from z_mean; lower is
            better. As a set they may be close to the targets without being alike one by
            one, which `psnr` says.
        psnr: Decibels, of reconstructions from z_mean on [0, 1], the mean of the
            images' own figures, each at most 100; higher is better.
        reconstruction_nats: Nats per image, negative log-likelihood of the targets
            given z drawn from the posterior, summed over pixels and channels (of `mse`,
            the squared error); lower is better.
        kl: Nats per image, of the posterior from N(0, I); neither direction is better.
            0 for an autoencoder.
        elbo: Nats per image at beta = 1, -(reconstruction_nats + kl), one z an image;
            higher is better. None for `mse` and for an autoencoder.
        bits_per_dim: The ELBO in bits per pixel and channel; lower is better. None
            where the likelihood is no density of the pixels.
        importance_bound: Nats per image, the importance-weighted bound; higher is
            better, and at least `elbo` but for chance. None where that is, and where no
            samples were asked for.
        active_units: Latent dimensions whose z_mean varies over the images with a
            variance above 0.01; more is better at the same `psnr`.
        z_dim: Latent dimensions in all.
        radius: Mean of |z_mean|.
        sampled_radius: Mean of |z|, z drawn from the posterior. Best near
            `prior_radius`: else the decoder was not trained on what N(0, I) gives.
    """

    num_images: int
    distance_images: int
    sample_distance: wasserstein.Distance
    reconstruction_distance: wasserstein.Distance
    psnr: float
    reconstruction_nats: float
    kl: float
    elbo: float | None
    bits_per_dim: float | None
    importance_bound: float | None
    active_units: int
    z_dim: int
    radius: float
    sampled_radius: float

    @property
    def prior_radius(self) -> float:
        """What |z| is close to for z ~ N(0, I), sqrt(z_dim)."""
        return math.sqrt(self.z_dim)

    def combined(self, weight: float = 1.0) -> float:
        """Return the objective of a search, see `combined`; lower is better."""
        return combined(
            self.sample_distance.mean, self.reconstruction_distance.mean, weight
        )


def combined(
    sample_distance: float, reconstruction_distance: float, weight: float = 1.0
) -> float:
    """Return what a search minimises by default: two distances from the same targets.

    Images of random z alone would be best where reconstructions have lost detail
    already, reconstructions alone at `fact` = 0, where random z fail. Both distances
    are of one kind and have one unit (thousandths of a deviation of the patches'
    pixels), are 0 for equal sets and at the same floor for other images of the same
    kind, so they add without a factor.

    PSNR isn't in the sum: in decibels, or as an error of pixels, it has no common scale
    with a distance, and rewards blur. It belongs beside the sum, for distances of sets
    see neither whether each reconstruction is of its own image nor contrast that all
    have lost.

    Args:
        sample_distance: Of images of z ~ N(0, I) from the targets, mean over levels.
        reconstruction_distance: Of reconstructions from the targets, mean over levels.
        weight: What a unit of the second is worth in units of the first; above 1,
            detail of reconstructions counts for more.

    Returns:
        The sum, in thousandths of a deviation; lower is better.
    """
    return sample_distance + weight * reconstruction_distance


def evaluate(
    model: vae_lib.VAE,
    batches: Iterable[dict[str, tf.Tensor]],
    seed: int = 1,
    distance_images: int = 2000,
    importance_samples: int = 0,
) -> Quality:
    """Measure a trained model in one pass over held-out images.

    Every image counts the same, whatever the sizes of the batches, and draws its noise
    by its number: batches of other sizes give the same figures. Averaged weights are
    used where there are any, and batch norm's moving statistics.

    Memory beside the model's is that of the distances' patches (of 2,000 images of
    96x96x3, 1.4 GB) and of a batch, whatever the number of images.

    Args:
        model: The trained model.
        batches: Dicts with `image` uint8 [B, H, W, C], or float in [0, 1], and, where
            the input is corrupted, `target` like it; each image once.
        seed: Seed of latent noise, samples, patches and directions.
        distance_images: Images behind the distances, the first ones, at least 1; all
            if there are fewer.
        importance_samples: K of the importance-weighted bound, each as much work as
            decoding all images once; 0: no bound.

    Returns:
        All figures.

    Raises:
        RunError: There is no image.
    """
    distances = _Distances(model, distance_images, seed)
    figures = _Figures(model, importance_samples, seed)
    with _averaged(model):
        for batch in batches:
            images = tf.convert_to_tensor(batch["image"])
            targets = tf.convert_to_tensor(batch.get("target", images))
            reconstructions = figures.add(images, targets)
            distances.add(targets.numpy(), reconstructions)
    if not figures.count:
        raise errors.RunError(
            "Expected held-out images to measure the model on, received none. Evaluate "
            "on a split that isn't empty."
        )
    return Quality(**figures.result(), **distances.result())


def _averaged(model: vae_lib.VAE):
    """Give the weights their averages for a while; a model never compiled has none."""
    if not model.compiled:
        return contextlib.nullcontext()
    return optimizer.averaged(model)


def _seeds(seed: int, stream: int, first: int, size: int, each: int = 1) -> tf.Tensor:
    """Return the seeds of images `first` and on in a stream: int64 [size].

    `each` seeds are set apart for an image; the one returned is the first of them.
    """
    start = (seed * _NUM_STREAMS + stream) % 2**22 * 2**_STREAM_BITS
    return start + each * tf.range(first, first + size, dtype=tf.int64)


class _Figures:
    """Everything but the distances, averaged over images as they come."""

    def __init__(self, model: vae_lib.VAE, importance_samples: int, seed: int):
        self.model = model
        self.seed = seed
        self.count = 0
        self.has_elbo = model.config.is_vae and objectives.has_nats(model.config)
        self.importance_samples = importance_samples if self.has_elbo else 0
        self._moments = collections.defaultdict(measures.Moments)
        self._measure = tf.function(
            functools.partial(_measure, model), reduce_retracing=True
        )
        self._nats = tf.function(functools.partial(_nats, model), reduce_retracing=True)

    def add(self, images: tf.Tensor, targets: tf.Tensor) -> np.ndarray:
        """Add a batch; return its reconstructions, float32 [B, H, W, C] in [0, 1]."""
        seeds = _seeds(self.seed, _POSTERIOR, self.count, len(images))
        noise = measures.draw_normal(seeds, self.model.config.z_dim)
        values = self._measure(images, targets, noise)
        values = {name: value.numpy() for name, value in values.items()}
        reconstructions = values.pop("reconstructions")
        values["psnr"] = measures.psnr(values.pop("error"))
        z_log_var = values.pop("z_log_var", None)
        if self.importance_samples:
            values["bound"] = self._bound(values["z_mean"], z_log_var, targets)
        for name, value in values.items():
            self._moments[name].update(value)
        self.count += len(images)
        return reconstructions

    def _bound(
        self, z_mean: np.ndarray, z_log_var: np.ndarray, targets: tf.Tensor
    ) -> np.ndarray:
        samples = self.importance_samples
        seeds = _seeds(self.seed, _IMPORTANCE, self.count, len(z_mean), samples)
        return measures.importance_weighted_bound(
            z_mean, z_log_var, lambda z: -self._nats(z, targets), samples, seeds
        )

    def result(self) -> dict:
        """Return the fields of `Quality` that these are."""
        means = {name: moments.mean for name, moments in self._moments.items()}
        elbo = -float(means["nats"] + means["kl"]) if self.has_elbo else None
        bits = None
        if self.has_elbo and objectives.has_bits_per_dim(self.model.config):
            bits = objectives.bits_per_dim(self.model.config, -elbo)
        bound = float(means["bound"]) if self.importance_samples else None
        active = self._moments["z_mean"].variance > _ACTIVE_VARIANCE
        return {
            "num_images": self.count,
            "psnr": float(means["psnr"]),
            "reconstruction_nats": float(means["nats"]),
            "kl": float(means["kl"]),
            "elbo": elbo,
            "bits_per_dim": bits,
            "importance_bound": bound,
            "active_units": int(np.count_nonzero(active)),
            "z_dim": self.model.config.z_dim,
            "radius": float(means["radius"]),
            "sampled_radius": float(means["sampled_radius"]),
        }


def _nats(model: vae_lib.VAE, z: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return -log p(targets | z) as validation has it: float32 [B], nats per image."""
    return objectives.reconstruction_nats(
        model.config,
        model.decoder(z, training=False),
        targets,
        lambda error: tf.convert_to_tensor(model.variance),
    )


def _measure(
    model: vae_lib.VAE, images: tf.Tensor, targets: tf.Tensor, noise: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return what `_Figures` averages, a row an image, and the reconstructions.

    Args:
        model: The trained model.
        images: uint8 [B, H, W, C], or float in [0, 1].
        targets: Like them.
        noise: float32 [B, z_dim], of the posterior.
    """
    posterior = model.encoder(vae_lib.scale_images(images), training=False)
    z = z_mean = posterior["z_mean"]
    values = {"kl": tf.zeros_like(z[:, 0])}
    if model.config.is_vae:
        z_log_var = values["z_log_var"] = posterior["z_log_var"]
        z = ops.reparameterize(z_mean, z_log_var, noise)
        kl = ops.diagonal_gaussian_kl(z_mean, z_log_var)
        values["kl"] = tf.reduce_sum(kl, axis=-1)
    logits = model.decoder(z_mean, training=False)
    error = ops.squared_error(logits, targets)
    return values | {
        "z_mean": z_mean,
        "radius": tf.norm(z_mean, axis=-1),
        "sampled_radius": tf.norm(z, axis=-1),
        "error": error / objectives.num_elements(model.config),
        "nats": _nats(model, z, targets),
        "reconstructions": tf.sigmoid(tf.cast(logits, tf.float32)),
    }


class _Distances:
    """Patches of targets, reconstructions and samples, of the first images alone."""

    def __init__(self, model: vae_lib.VAE, limit: int, seed: int):
        self.limit = limit
        self.seed = seed
        self.targets, self.reconstructions, self.samples = (
            wasserstein.Patches(model.config.image_shape, seed) for _ in range(3)
        )
        self._codec = codec.from_model(model)

    def add(self, targets: np.ndarray, reconstructions: np.ndarray) -> None:
        """Add a batch, and as many images of random z, all as they would be saved."""
        first = self.targets.num_images
        size = min(len(targets), self.limit - first)
        if not size:
            return
        seeds = _seeds(self.seed, _SAMPLES, first, size)
        samples = self._codec.decode(measures.draw_normal(seeds, self._codec.z_dim))
        self.targets.add(plots.to_uint8(targets[:size]))
        self.reconstructions.add(plots.to_uint8(reconstructions[:size]))
        self.samples.add(plots.to_uint8(samples))

    def result(self) -> dict:
        """Return the fields of `Quality` that these are."""
        return {
            "distance_images": self.targets.num_images,
            "sample_distance": self._from_targets(self.samples),
            "reconstruction_distance": self._from_targets(self.reconstructions),
        }

    def _from_targets(self, patches: wasserstein.Patches) -> wasserstein.Distance:
        return wasserstein.distance(patches, self.targets, self.seed)
