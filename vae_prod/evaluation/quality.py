"""How good a trained model is, in figures that don't depend on `fact`'s scale.

`total_loss` can't rank models with different `fact`: it falls as `fact` falls. What can
is gathered here, in one pass over held-out images: how close images of random z are to
real ones, what reconstructions lose, and bounds of the log-likelihood. `assessment`
adds what else there is to know of a single model.

Figures are taken from what an export gives as well as a run: latent points, and decoded
images in [0, 1]. Logits are recovered from these, log(p) - log(1 - p). Close to 1
float32 is coarse: up to 6, logits come back to 1e-5, at 12 to half a percent, and a
pixel nearer to 1 than 2^-24 counts as if it were that far, so that black in its place
costs 16.6 nats and no more. Of the reference VAE (logits up to 5) nats per image are
the same to 2 in 10 million.
"""

import collections
import contextlib
import functools
import math
from collections.abc import Callable, Iterable

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.evaluation import held_out, image_measures, wasserstein
from vae_prod.latent import moments as moments_lib
from vae_prod.latent import per_dimension
from vae_prod.model import codec as codec_lib
from vae_prod.model import likelihoods
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam
from vae_prod.reporting import plots

# Probabilities that logits are recovered from: what float32 has between 0 and 1.
_LEAST, _MOST = np.finfo(np.float32).tiny, 1 - 2.0**-24


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
        mse: Squared error of reconstructions from z_mean on [0, 1], mean over all
            elements; lower is better.
        psnr: Decibels, of the same, the mean of the images' own figures, each at most
            100; higher is better.
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
    mse: float
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


@attrs.frozen
class Subject:
    """A trained model as it is measured, from a run or from an export.

    Attributes:
        codec: Its encoder and decoder.
        config: What it computes.
    """

    codec: codec_lib.Codec
    config: config_lib.ModelConfig

    @classmethod
    def of(cls, model: vae_lib.VAE) -> "Subject":
        """Take a model in memory, with the weights it has whenever it is measured."""
        return cls(codec_lib.from_model(model), model.config)


def evaluate(
    model: vae_lib.VAE,
    batches: Iterable[dict[str, tf.Tensor]],
    seed: int = 1,
    distance_images: int = 2000,
    importance_samples: int = 0,
) -> Quality:
    """Measure a model in memory, see `measure`.

    Averaged weights are used where there are any, and batch norm's moving statistics.
    """
    with _averaged(model):
        return measure(
            Subject.of(model), batches, seed, distance_images, importance_samples
        )


def measure(
    subject: Subject,
    batches: Iterable[dict[str, tf.Tensor]],
    seed: int = 1,
    distance_images: int = 2000,
    importance_samples: int = 0,
    also: Iterable[Callable[[held_out.Batch], None]] = (),
) -> Quality:
    """Measure a trained model in one pass over held-out images.

    Every image counts the same, whatever the sizes of the batches, and draws its noise
    by its number: batches of other sizes give the same figures.

    Memory beside the model's is that of the distances' patches (of 2,000 images of
    96x96x3, 1.4 GB) and of a batch, whatever the number of images.

    Args:
        subject: The trained model.
        batches: Dicts with `image` uint8 [B, H, W, C], or float in [0, 1], and, where
            the input is corrupted, `target` like it; each image once.
        seed: Seed of latent noise, samples, patches and directions.
        distance_images: Images behind the distances, the first ones, at least 1; all
            if there are fewer.
        importance_samples: K of the importance-weighted bound, each as much work as
            decoding all images once; 0: no bound.
        also: Called with each batch, before it is measured here: what else is taken in
            the same pass.

    Returns:
        All figures.

    Raises:
        UserError: There is no image.
    """
    figures = _Figures(subject, importance_samples)
    distances = _Distances(subject.codec.image_shape, distance_images, seed)
    for values in batches:
        batch = held_out.Batch(subject.codec, values, figures.count, seed)
        for add in (*also, figures.add, distances.add):
            add(batch)
    if not figures.count:
        raise files.UserError(
            "Expected held-out images to measure the model on, received none. Evaluate "
            "on a split that isn't empty."
        )
    return Quality(**figures.result(), **distances.result())


def _averaged(model: vae_lib.VAE):
    """Give the weights their averages for a while; a model never compiled has none."""
    if not model.compiled:
        return contextlib.nullcontext()
    return adam.averaged(model)


class _Figures:
    """Everything but the distances, averaged over images as they come."""

    def __init__(self, subject: Subject, importance_samples: int):
        self.count = 0
        self._subject = subject
        config = subject.config
        self._has_elbo = config.has_elbo
        self._importance_samples = importance_samples if self._has_elbo else 0
        self._moments = collections.defaultdict(moments_lib.Moments)
        self._dimensions = per_dimension.Moments()
        self._nats = tf.function(
            functools.partial(_nats, subject), reduce_retracing=True, autograph=False
        )

    def add(self, batch: held_out.Batch) -> None:
        error = np.square(batch.reconstructions - batch.clean).mean(axis=(1, 2, 3))
        own = batch.z is batch.z_mean
        decoded = batch.reconstructions if own else self._decode(batch.z)
        values = {
            "mse": error,
            "psnr": image_measures.psnr(error),
            "radius": np.linalg.norm(batch.z_mean, axis=-1),
            "sampled_radius": np.linalg.norm(batch.z, axis=-1),
            "nats": self._nats(decoded, batch.targets).numpy(),
        }
        if self._importance_samples:
            values["bound"] = self._bound(batch)
        for name, value in values.items():
            self._moments[name].update(value)
        self._dimensions.add(batch.z_mean, batch.z_log_var)
        self.count += len(batch)

    def _decode(self, z: np.ndarray) -> np.ndarray:
        return self._subject.codec.decode(z)

    def _bound(self, batch: held_out.Batch) -> np.ndarray:
        samples = self._importance_samples
        return image_measures.importance_weighted_bound(
            batch.z_mean,
            batch.z_log_var,
            lambda z: -self._nats(self._decode(z), batch.targets),
            samples,
            batch.bound_seeds(samples),
        )

    def result(self) -> dict:
        """Return the fields of `Quality` that these are."""
        means = {name: float(each.mean) for name, each in self._moments.items()}
        dimensions = self._dimensions.result()
        nats, kl = means["nats"], float(dimensions.kl.sum())
        elbo = -(nats + kl) if self._has_elbo else None
        bits = None
        if self._has_elbo and self._subject.config.likelihood.is_density:
            bits = likelihoods.bits_per_dim(self._subject.config, -elbo)
        return {
            "num_images": self.count,
            "mse": means["mse"],
            "psnr": means["psnr"],
            "reconstruction_nats": nats,
            "kl": kl,
            "elbo": elbo,
            "bits_per_dim": bits,
            "importance_bound": means.get("bound"),
            "active_units": dimensions.active_units,
            "z_dim": self._subject.config.z_dim,
            "radius": means["radius"],
            "sampled_radius": means["sampled_radius"],
        }


def _nats(subject: Subject, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return -log p(targets | z) of decoded images: float32 [B], nats per image."""
    images = tf.clip_by_value(images, _LEAST, _MOST)
    logits = tf.math.log(images) - tf.math.log1p(-images)
    variance = subject.codec.variance
    return likelihoods.reconstruction_nats(
        subject.config, logits, targets, lambda error: tf.constant(variance)
    )


class _Distances:
    """Patches of targets, reconstructions and samples, of the first images alone."""

    def __init__(self, image_shape: tuple[int, int, int], limit: int, seed: int):
        self._limit = limit
        self._seed = seed
        self._targets, self._reconstructions, self._samples = (
            wasserstein.Patches(image_shape, seed) for _ in range(3)
        )

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, and as many images of random z, all as they would be saved."""
        size = min(len(batch), self._limit - self._targets.num_images)
        if size:
            self._targets.add(plots.to_uint8(batch.targets[:size]))
            self._reconstructions.add(plots.to_uint8(batch.reconstructions[:size]))
            self._samples.add(plots.to_uint8(batch.samples(size)))

    def result(self) -> dict:
        """Return the fields of `Quality` that these are."""
        return {
            "distance_images": self._targets.num_images,
            "sample_distance": self._from_targets(self._samples),
            "reconstruction_distance": self._from_targets(self._reconstructions),
        }

    def _from_targets(self, patches: wasserstein.Patches) -> wasserstein.Distance:
        return wasserstein.distance(patches, self._targets, self._seed)
