"""How good a trained model is, in figures that don't depend on `fact`'s scale.

`total_loss` can't rank models with different `fact`: it falls as `fact` falls. What can
is gathered here, in one pass over held-out images: how close images of random z are to
real ones, what reconstructions lose, and bounds of the log-likelihood. A search
evaluates its trials so. `measurements` adds what else there is to know of one model.
"""

import collections
import functools
import math
import operator
from collections.abc import Iterable

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.evaluation import (
    bounds,
    held_out,
    image_similarity,
    latent_space,
    resampling,
    set_distances,
    wasserstein,
)
from vae_prod.evaluation import nats as nats_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import built_in, comparison
from vae_prod.evaluation.features import distances as distances_lib
from vae_prod.evaluation.features import extractor as extractor_lib
from vae_prod.model import likelihoods


@attrs.frozen
class Quality:
    """Figures of a trained model on held-out images, with replicates.

    Attributes:
        num_images: Images behind all figures but the distances.
        distance_images: Images behind each distance; only distances between as many
            images compare.
        judged: Distances of images of z ~ N(0, I) and of reconstructions from the
            targets, in the features of the judge.
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
    judged: distances_lib.FeatureDistances
    mse: resampling.Estimate
    psnr: resampling.Estimate
    reconstruction_nats: resampling.Estimate
    kl: resampling.Estimate
    elbo: resampling.Estimate | None
    bits_per_dim: resampling.Estimate | None
    importance_bound: resampling.Estimate | None
    active_units: resampling.Estimate
    z_dim: int
    radius: resampling.Estimate
    sampled_radius: resampling.Estimate

    @property
    def prior_radius(self) -> float:
        """What |z| is close to for z ~ N(0, I), sqrt(z_dim)."""
        return math.sqrt(self.z_dim)

    def frechet(self, weight: float = 1.0) -> resampling.Estimate:
        """Return what a search minimises by default: two Fréchet distances, added.

        Images of random z alone would be best where reconstructions have lost detail
        already, reconstructions alone at `fact` = 0, where random z fail. Both
        distances have one unit, are 0 for equal sets and at the same floor for other
        images of the same kind, so they add without a factor.

        PSNR isn't in the sum: in decibels, or as an error of pixels, it has no common
        scale with a distance, and rewards blur. It belongs beside the sum, for
        distances of sets don't see whether each reconstruction is of its own image.

        Args:
            weight: What a unit of the reconstructions' distance is worth in units of
                the samples'; above 1, detail of reconstructions counts for more.

        Returns:
            In the judge's units; lower is better.
        """
        return _weighted(self.judged.fid, self.judged.reconstruction_fid, weight)

    def distance(self, weight: float = 1.0) -> resampling.Estimate:
        """Return the same of sliced Wasserstein distances, in their thousandths."""
        return _weighted(
            self.sample_distance.mean, self.reconstruction_distance.mean, weight
        )


def _weighted(
    samples: resampling.Estimate, reconstructions: resampling.Estimate, weight: float
) -> resampling.Estimate:
    return resampling.derived(
        lambda first, second: first + weight * second, samples, reconstructions
    )


def evaluate_quality(
    subject: subject_lib.Subject,
    batches: Iterable[dict[str, tf.Tensor]],
    judge: extractor_lib.Extractor | None = None,
    seed: int = 1,
    distance_images: int = 2000,
    importance_samples: int = 0,
) -> Quality:
    """Take the figures that rank models, in one pass over held-out images.

    Every image counts the same, whatever the sizes of the batches, and draws its noise
    by its number: batches of other sizes give the same figures.

    Memory beside the model's is that of the distances' patches (of 2,000 images of
    96x96x3, 1.4 GB) and of a batch, whatever the number of images.

    Args:
        subject: The trained model.
        batches: Dicts with `image` uint8 [B, H, W, C], or float in [0, 1], and, where
            the input is corrupted, `target` like it; each image once.
        judge: The feature extractor that models are ranked by; None: the one that needs
            no weights.
        seed: Seed of latent noise, samples, patches and directions.
        distance_images: Images behind the distances, the first ones, at least 1; all
            if there are fewer.
        importance_samples: K of the importance-weighted bound, each as much work as
            decoding all images once; 0: no bound.

    Raises:
        UserError: There are too few images.
    """
    judge = judge or built_in.load_gradients(subject.codec.image_shape)
    figures = QualityFigures(subject, judge, seed, distance_images, importance_samples)
    for batch in held_out.batches(subject.codec, batches, seed):
        figures.add(batch)
    return figures.result()


class QualityFigures:
    """`Quality` of images that arrive in batches.

    Args:
        subject: The trained model.
        judge: The feature extractor that models are ranked by.
        seed: Seed of patches, directions and the bootstrap.
        distance_images: Images behind the distances.
        importance_samples: K of the importance-weighted bound; 0: no bound.

    Attributes:
        latent: What each latent dimension does, of the same images.
    """

    def __init__(
        self,
        subject: subject_lib.Subject,
        judge: extractor_lib.Extractor,
        seed: int,
        distance_images: int,
        importance_samples: int,
    ):
        self._count = 0
        self._subject = subject
        config = subject.config
        self._has_elbo = config.has_elbo
        self._importance_samples = importance_samples if self._has_elbo else 0
        self._means = collections.defaultdict[str, resampling.Mean](resampling.Mean)
        self.latent = latent_space.Moments()
        self._distances = set_distances.SetDistances(
            subject.codec.image_shape, distance_images, seed
        )
        self._judged = comparison.Comparison(judge, distance_images, seed)
        self._nats = tf.function(
            functools.partial(nats_lib.reconstruction_nats, subject),
            reduce_retracing=True,
            autograph=False,
        )

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch."""
        error = np.square(batch.reconstructions - batch.clean).mean(axis=(1, 2, 3))
        is_mean = batch.z is batch.z_mean
        decoded = batch.reconstructions if is_mean else self._decode(batch.z)
        values = {
            "mse": error,
            "psnr": image_similarity.psnr(error),
            "radius": np.linalg.norm(batch.z_mean, axis=-1),
            "sampled_radius": np.linalg.norm(batch.z, axis=-1),
            "nats": self._nats(decoded, batch.targets).numpy(),
        }
        if self._importance_samples:
            values["bound"] = self._bound(batch)
        for name, value in values.items():
            self._means[name].add(np.asarray(value, np.float64), batch.counts)
        self.latent.add(batch)
        self._distances.add(batch)
        self._judged.add(batch)
        self._count += len(batch)

    def _decode(self, z: np.ndarray) -> np.ndarray:
        return self._subject.codec.decode(z)

    def _bound(self, batch: held_out.Batch) -> np.ndarray:
        if batch.z_log_var is None:
            raise ValueError("expected posteriors, an autoencoder has none")
        samples = self._importance_samples
        return bounds.importance_weighted_bound(
            batch.z_mean,
            batch.z_log_var,
            lambda z: -self._nats(self._decode(z), batch.targets),
            samples,
            batch.bound_seeds(samples),
        )

    def result(self) -> Quality:
        """Return the figures of all images so far, at least one."""
        means = {name: mean.result() for name, mean in self._means.items()}
        latent, config = self.latent.result(), self._subject.config
        nats, kl = means["nats"], latent.estimate(lambda each: each.kl.sum(axis=-1))
        elbo = bits = None
        if self._has_elbo:
            cost = resampling.derived(operator.add, nats, kl)
            elbo = resampling.derived(operator.neg, cost)
            if config.likelihood.is_density:
                to_bits = functools.partial(likelihoods.bits_per_dim, config)
                bits = resampling.derived(to_bits, cost)
        return Quality(
            num_images=self._count,
            **self._distances.result(),
            judged=self._judged.result(),
            mse=means["mse"],
            psnr=means["psnr"],
            reconstruction_nats=nats,
            kl=kl,
            elbo=elbo,
            bits_per_dim=bits,
            importance_bound=means.get("bound"),
            active_units=latent.estimate(lambda each: each.active_units),
            z_dim=config.z_dim,
            radius=means["radius"],
            sampled_radius=means["sampled_radius"],
        )
