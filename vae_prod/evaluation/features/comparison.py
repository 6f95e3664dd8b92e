"""How a model's images compare with real ones in a feature extractor's eyes."""

import numpy as np

from pipelines import files
from vae_prod.evaluation import held_out, resampling
from vae_prod.evaluation.features import distances, scaling
from vae_prod.evaluation.features import extractor as extractor_lib


class Comparison:
    """Features of the first images, their reconstructions and as many samples.

    Memory: 4 bytes times the features' size, three times for each image.

    Args:
        extractor: The network.
        limit: Images of each kind, at most.
        seed: Seed of the bootstrap.
    """

    def __init__(self, extractor: extractor_lib.Extractor, limit: int, seed: int):
        self._extractor = extractor
        self._limit = limit
        self._seed = seed
        self._count = 0
        self._real: list[np.ndarray] = []
        self._samples: list[np.ndarray] = []
        self._reconstructions: list[np.ndarray] = []

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, its reconstructions from z_mean, and images of random z."""
        size = min(len(batch), self._limit - self._count)
        if size:
            features = self._extractor.features
            self._real.append(features(batch.targets[:size]))
            self._samples.append(features(batch.samples(size)))
            self._reconstructions.append(features(batch.reconstructions[:size]))
            self._count += size

    def result(self) -> distances.FeatureDistances:
        """Compare what was added.

        Raises:
            UserError: There are too few images.
        """
        if self._count < distances.FEWEST:
            raise files.UserError(
                f"Expected at least {distances.FEWEST} images to compare sets of "
                f"them, received {self._count}. Take a larger split, or more of it "
                "(--distance_images, --feature_images)."
            )
        sets = [
            np.concatenate(parts)
            for parts in (self._real, self._samples, self._reconstructions)
        ]
        weights = scaling.weights(sets[0], self._extractor.groups)
        counts = [
            resampling.counts(self._seed, stream, 0, self._count)
            for stream in (resampling.REAL, resampling.GENERATED)
        ]
        real, samples, reconstructions = (each * weights for each in sets)
        return distances.compare(real, samples, reconstructions, counts)
