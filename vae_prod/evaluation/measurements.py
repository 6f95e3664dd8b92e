"""All figures of one trained model on a split, taken in one pass: `evaluate`.

`quality` has the figures that rank models; here are those that explain one: what its
losses are, what each latent dimension does, whether z can be told from z_mean, what its
decoder adds to images, and how samples compare in a feature extractor's eyes.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.evaluation import checkerboard, held_out, image_similarity
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import comparison
from vae_prod.evaluation.features import distances as distances_lib
from vae_prod.evaluation.features import extractor as extractor_lib
from vae_prod.latent import moments as moments_lib
from vae_prod.latent import per_dimension, posterior_table
from vae_prod.model import kl as kl_lib
from vae_prod.model import likelihoods


@attrs.frozen
class Settings:
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
    """Figures of one model on one split.

    Attributes:
        settings: What they were taken with; the number of images may be smaller.
        quality: The figures that rank models.
        reco_loss: In the training convention.
        kl_loss: In the training convention, with the final fact and, of free bits, the
            allowance of the whole split's mean.
        ssim: Structural similarity of reconstructions from z_mean, mean over images;
            higher is better, 1 is equal. None of images below 11x11.
        explained_variance: Share of the pixels' variance over the images that
            reconstructions from z_mean give back: 1 - mse / variance. 0 is what the
            mean image gives, below is worse than that.
        dimensions: What each latent dimension does.
        posteriors: What separates z from z_mean.
        checkerboards: Artefacts of reconstructions at the decoder's strides.
        features: Extractor's name to distances of samples and reconstructions.
        images_digest: sha256 of the targets and, where they differ, of the inputs.
    """

    settings: Settings
    quality: quality_lib.Quality
    reco_loss: float
    kl_loss: float
    ssim: float | None
    explained_variance: float
    dimensions: per_dimension.Dimensions
    posteriors: posterior_table.Table
    checkerboards: tuple[checkerboard.Checkerboard, ...]
    features: dict[str, distances_lib.FeatureDistances]
    images_digest: str

    @property
    def total_loss(self) -> float:
        """In the training convention, `reco_loss` + `kl_loss`."""
        return self.reco_loss + self.kl_loss


def evaluate(
    subject: subject_lib.Subject,
    batches: Iterable[dict[str, tf.Tensor]],
    settings: Settings | None = None,
    extractors: Sequence[extractor_lib.Extractor] = (),
    on_progress: Callable[[int], None] = lambda done: None,
) -> Measurements:
    """Take all figures of a trained model in one pass over held-out images.

    See `quality.evaluate_quality` for what batches are and for memory, to which the
    features add 4 bytes times their size, three times for each of `feature_images`.

    Args:
        subject: The trained model.
        batches: Held-out images, each once.
        settings: What to take.
        extractors: Feature extractors for distances of samples and reconstructions.
        on_progress: Called with the number of images done.

    Raises:
        UserError: There is no image, or the figures aren't finite.
    """
    settings = settings or Settings()
    pictures = _Pictures(subject)
    posteriors = posterior_table.Posteriors()
    features = {
        extractor.name: comparison.Comparison(
            extractor, settings.feature_images, settings.seed
        )
        for extractor in extractors
    }
    ranking = quality_lib.QualityFigures(
        subject, settings.seed, settings.distance_images, settings.importance_samples
    )
    for batch in held_out.batches(subject.codec, batches, settings.seed):
        _check_finite(batch)
        posteriors.add(batch.z_mean, batch.z_log_var, batch.z)
        for part in (pictures, *features.values(), ranking):
            part.add(batch)
        on_progress(batch.first + len(batch))
    quality, dimensions = ranking.result(), ranking.dimensions.result()
    return Measurements(
        settings=settings,
        quality=quality,
        **_losses(subject, quality, dimensions),
        **pictures.result(quality.mse),
        dimensions=dimensions,
        posteriors=posteriors.result(),
        features={name: part.result() for name, part in features.items()},
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
    dimensions: per_dimension.Dimensions,
) -> dict[str, float]:
    config, kl_loss = subject.config, 0.0
    reco_loss = quality.reconstruction_nats * likelihoods.training_scale(config)
    if config.is_vae:
        kl = tf.constant(dimensions.kl[None], tf.float32)
        kl_loss = config.fact * float(kl_lib.charged_kl(config, kl))
    return {"reco_loss": reco_loss, "kl_loss": kl_loss}


class _Pictures:
    """Figures of the images themselves, of all of them."""

    def __init__(self, subject: subject_lib.Subject):
        shape = subject.codec.image_shape
        self._periods = checkerboard.periods(subject.config.level_strides, shape)
        self._decoded, self._real = (checkerboard.Spectrum(shape) for _ in range(2))
        self._pixels, self._ssim = moments_lib.Moments(), moments_lib.Moments()
        self._targets, self._inputs = hashlib.sha256(), hashlib.sha256()

    def add(self, batch: held_out.Batch) -> None:
        self._decoded.add(batch.reconstructions)
        self._real.add(batch.clean)
        self._pixels.update(batch.clean)
        similarity = image_similarity.ssim(batch.reconstructions, batch.clean)
        if similarity is not None:
            self._ssim.update(similarity)
        self._targets.update(np.ascontiguousarray(batch.targets))
        if batch.images is not batch.targets:
            self._inputs.update(np.ascontiguousarray(batch.images))

    def result(self, mse: float) -> dict:
        """Return the fields of `Measurements` that these are."""
        boards = checkerboard.compare(self._decoded, self._real, self._periods)
        variance = float(self._pixels.variance.mean())
        digest = self._targets.copy()
        digest.update(self._inputs.digest())
        return {
            "ssim": float(self._ssim.mean) if self._ssim.count else None,
            "explained_variance": 1.0 - mse / variance if variance else 0.0,
            "checkerboards": tuple(boards),
            "images_digest": digest.hexdigest(),
        }
