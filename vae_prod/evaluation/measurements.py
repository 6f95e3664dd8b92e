"""All figures of one trained model on a split, taken in one pass: `evaluate`.

`quality` has the figures that rank models; here are those that explain one: what its
losses are, what each latent dimension does, whether z can be told from z_mean, what its
decoder adds to images, and how samples compare in a feature extractor's eyes.
"""

import collections
import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.evaluation import (
    checkerboard,
    held_out,
    image_similarity,
    latent_space,
    pixel_statistics,
    recognition,
    resampling,
)
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import built_in, comparison
from vae_prod.evaluation.features import distances as distances_lib
from vae_prod.evaluation.features import extractor as extractor_lib
from vae_prod.latent import per_dimension, posterior_table
from vae_prod.model import kl as kl_lib
from vae_prod.model import likelihoods

# Variance of pixels, on [0, 1], that is only rounding.
_ROUNDING = 1e-12


@attrs.frozen
class EvaluationSettings:
    """What an evaluation takes.

    Attributes:
        seed: Seed of latent noise, samples, patches and directions.
        distance_images: Images behind the sliced Wasserstein distances, the first ones.
        importance_samples: K of the importance-weighted bound; 0: no bound.
        feature_images: Images behind the distances of features, the first ones; as many
            features of each kind are kept in memory.
    """

    seed: int = 1
    distance_images: int = 1000
    importance_samples: int = 10
    feature_images: int = 10_000


@attrs.frozen(eq=False)
class Measurements:
    """Figures of one model on one split, with replicates.

    Attributes:
        settings: What they were taken with; the number of images may be smaller.
        judge: The feature extractor of `quality.judged`.
        quality: The figures that rank models.
        reco_loss: In the training convention.
        kl_loss: In the training convention, with the final fact and, of free bits, the
            allowance of the whole split's mean; None where the loss has another
            divergence.
        ssim: Structural similarity of reconstructions from z_mean, mean over images;
            higher is better, 1 is equal. None of images below 11x11.
        explained_variance: Share of the pixels' variance over the images that
            reconstructions from z_mean give back: 1 - mse / variance. 0 is what the
            mean image gives, below is worse than that.
        latent: What each latent dimension does.
        z_log_var: Mean over images and dimensions; None of an autoencoder.
        posteriors: What separates z from z_mean.
        checkerboards: Artefacts of reconstructions at the decoder's strides.
        features: Extractor's name to distances of samples and reconstructions, of
            others than the judge.
        recognised: Shares of images that show their subject; None where nothing was
            there to say so.
        pixel_statistics: See `pixel_statistics.PixelStatistics`.
        images_digest: sha256 of the targets and, where they differ, of the inputs.
    """

    settings: EvaluationSettings
    judge: extractor_lib.Extractor
    quality: quality_lib.Quality
    reco_loss: resampling.Estimate
    kl_loss: resampling.Estimate | None
    ssim: resampling.Estimate | None
    explained_variance: resampling.Estimate
    latent: latent_space.LatentSpace
    z_log_var: resampling.Estimate | None
    posteriors: posterior_table.Table
    checkerboards: tuple[checkerboard.Checkerboard, ...]
    features: dict[str, distances_lib.FeatureDistances]
    recognised: recognition.Recognised | None
    pixel_statistics: Mapping[str, resampling.Estimate]
    images_digest: str

    @property
    def total_loss(self) -> resampling.Estimate | None:
        """In the training convention, `reco_loss` + `kl_loss`, where there is one."""
        if self.kl_loss is None:
            return None
        return resampling.derived(operator.add, self.reco_loss, self.kl_loss)

    @property
    def dimensions(self) -> per_dimension.Dimensions:
        """What each latent dimension does, of all images."""
        return self.latent.dimensions


class Part(Protocol):
    """What else is taken of each batch in the same pass."""

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch."""


def evaluate(
    subject: subject_lib.Subject,
    batches: Iterable[dict[str, tf.Tensor]],
    settings: EvaluationSettings | None = None,
    *,
    judge: extractor_lib.Extractor | None = None,
    extractors: Sequence[extractor_lib.Extractor] = (),
    recogniser: recognition.Recogniser | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
    beside: Sequence[Part] = (),
) -> Measurements:
    """Take all figures of a trained model in one pass over held-out images.

    See `quality.evaluate_quality` for what batches are and for memory, to which the
    features add 4 bytes times their size, three times for each of `feature_images`.

    Args:
        subject: The trained model.
        batches: Held-out images, each once.
        settings: What to take.
        judge: The feature extractor that models are ranked by; None: the one that needs
            no weights.
        extractors: Others for distances of samples and reconstructions.
        recogniser: What says whether images show their subject; None: nothing does.
        on_progress: Called with the number of images done.
        beside: What else sees each batch.

    Raises:
        UserError: There are too few images, or the figures aren't finite.
    """
    settings = settings or EvaluationSettings()
    pictures = _Pictures(subject)
    posteriors = posterior_table.Posteriors()
    features = {
        extractor.name: comparison.Comparison(
            extractor, settings.feature_images, settings.seed
        )
        for extractor in extractors
    }
    first = settings.distance_images, settings.seed
    statistics = pixel_statistics.PixelStatistics(*first)
    parts: list[Part] = [pictures, *features.values(), statistics]
    recognised = None
    if recogniser:
        recognised = recognition.Recognition(recogniser, *first)
        parts.append(recognised)
    judge = judge or built_in.load_gradients(subject.codec.image_shape)
    ranking = quality_lib.QualityFigures(
        *(subject, judge, settings.seed),
        settings.distance_images,
        settings.importance_samples,
    )
    for batch in held_out.batches(subject.codec, batches, settings.seed):
        _check_finite(batch)
        posteriors.add(batch.z_mean, batch.z_log_var, batch.z)
        for part in [*parts, *beside, ranking]:
            part.add(batch)
        on_progress(batch.first + len(batch))
    quality, latent = ranking.result(), ranking.latent.result()
    reco_loss, kl_loss = _losses(subject, quality, latent)
    return Measurements(
        settings=settings,
        judge=judge,
        quality=quality,
        reco_loss=reco_loss,
        kl_loss=kl_loss,
        **pictures.result(quality.mse),
        latent=latent,
        posteriors=posteriors.result(),
        features={name: part.result() for name, part in features.items()},
        recognised=recognised.result() if recognised else None,
        pixel_statistics=statistics.result(),
    )


def _check_finite(batch: held_out.Batch) -> None:
    if not (np.isfinite(batch.z).all() and np.isfinite(batch.reconstructions).all()):
        raise files.UserError(
            "Expected finite reconstructions, the model gives NaN or infinity. Its "
            "training diverged: take earlier weights, or train at a lower "
            "--learning_rate."
        )


def _losses(
    subject: subject_lib.Subject,
    quality: quality_lib.Quality,
    latent: latent_space.LatentSpace,
) -> tuple[resampling.Estimate, resampling.Estimate | None]:
    """Return `reco_loss` and `kl_loss` of `Measurements`."""
    config = subject.config
    fact = config.fact if config.is_vae else 0.0

    def kl_loss(dimensions: per_dimension.Dimensions) -> np.ndarray:
        kl = tf.constant(dimensions.kl[None], tf.float32)
        return fact * kl_lib.charged_kl(config, kl).numpy().astype(np.float64)

    reco_loss = resampling.derived(
        lambda nats: likelihoods.training_scale(config) * nats,
        quality.reconstruction_nats,
    )
    return reco_loss, latent.estimate(kl_loss) if config.has_kl_loss else None


class _Pictures:
    """Figures of the images themselves, of all of them."""

    def __init__(self, subject: subject_lib.Subject):
        shape = subject.codec.image_shape
        self._periods = checkerboard.periods(subject.config.level_strides, shape)
        self._decoded, self._real = (checkerboard.Spectrum(shape) for _ in range(2))
        self._means = collections.defaultdict[str, resampling.Mean](resampling.Mean)
        self._targets, self._inputs = hashlib.sha256(), hashlib.sha256()

    def add(self, batch: held_out.Batch) -> None:
        counts = batch.counts
        self._decoded.add(batch.reconstructions, counts)
        self._real.add(batch.clean, counts)
        # Around the middle of the range float32 is finest.
        pixels = batch.clean - np.float32(0.5)
        log_var = batch.z_log_var
        if log_var is not None:
            log_var = log_var.mean(axis=1, dtype=np.float64)
        values = {
            "pixels": pixels,
            "squares": np.square(pixels, dtype=np.float64).mean(axis=(1, 2, 3)),
            "ssim": image_similarity.ssim(batch.reconstructions, batch.clean),
            "z_log_var": log_var,
        }
        for name, value in values.items():
            if value is not None:
                self._means[name].add(value, counts)
        self._targets.update(np.ascontiguousarray(batch.targets).data)
        if batch.images is not batch.targets:
            self._inputs.update(np.ascontiguousarray(batch.images).data)

    def result(self, mse: resampling.Estimate) -> dict:
        """Return the fields of `Measurements` that these are."""
        boards = checkerboard.compare(self._decoded, self._real, self._periods)
        means = {name: mean.result() for name, mean in self._means.items()}
        digest = self._targets.copy()
        digest.update(self._inputs.digest())
        return {
            "ssim": means.get("ssim"),
            "explained_variance": resampling.derived(
                _explained, mse, means["pixels"], means["squares"]
            ),
            "z_log_var": means.get("z_log_var"),
            "checkerboards": tuple(boards),
            "images_digest": digest.hexdigest(),
        }


def _explained(mse: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the share of the pixels' variance that errors leave.

    Args:
        mse: float64 [...].
        mean: Of each pixel, float64 [..., H, W, C].
        squares: Mean square of all pixels, float64 [...].

    Returns:
        float64 [...], 0 where the images are all the same.
    """
    variance = squares - np.square(mean).mean(axis=(-3, -2, -1))
    varies = variance > _ROUNDING
    return np.where(varies, 1.0 - mse / np.where(varies, variance, 1.0), 0.0)
